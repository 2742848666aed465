package persist

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// rule is one promise of the tables, as a query that lists what breaks it. Each row is one text.
type rule struct{ name, what, query string }

func rules() []rule {
	all := []rule{
		{"cursor-has-call", "a cursor without the call it came from", `SELECT format('stream %s/%s of consent %s', dataset, account_id, consent_id)
			FROM cursors c WHERE call_id IS NULL OR NOT EXISTS (SELECT FROM calls k WHERE k.id = c.call_id)`},
		{"page-has-call", "a remembered page without its call", `SELECT format('a page of consent %s', consent_id) FROM pages p
			WHERE NOT EXISTS (SELECT FROM calls k WHERE k.id = p.call_id)`},
		{"answer-has-call", "a kept answer without its call", `SELECT call_id::text FROM answers a WHERE NOT EXISTS (SELECT FROM calls k WHERE k.id = a.call_id)`},
		{"done-means-decided", "a batch that is done with an undecided item", `SELECT format('batch %s', b.id) FROM batches b
			WHERE b.state = 'done' AND EXISTS (SELECT FROM items i WHERE i.batch_id = b.id AND i.outcome IS NULL)`},
		{"settled-means-done", "a settled run with an open batch", `SELECT format('run %s', r.id) FROM runs r WHERE r.verdict IS NOT NULL
			AND EXISTS (SELECT FROM batches b WHERE b.run_id = r.id AND b.state <> 'done')`},
		{"expected-means-there", "a run with another number of items than were planned", `SELECT format('run %s', r.id) FROM runs r
			WHERE r.expected <> (SELECT count(*) FROM batches b JOIN items i ON i.batch_id = b.id WHERE b.run_id = r.id)`},
		{"complete-means-proven", "a complete run with an item that is not proven", `SELECT format('run %s', r.id) FROM runs r
			WHERE r.verdict = 'complete' AND r.of_run IS NULL AND EXISTS (SELECT FROM effective_items e WHERE e.root_run = r.id
			AND coalesce(e.outcome, '') NOT IN ('rows', 'empty', 'excused'))`},
		{"rows-mean-records", "an item with outcome rows that brought none", `SELECT format('%s of consent %s in batch %s', dataset, consent_id, batch_id)
			FROM items WHERE outcome = 'rows' AND records = 0`},
		{"no-call-after-the-end", "a data call that was sent after its consent had ended", `SELECT format('call %s of consent %s', k.id, k.consent_id)
			FROM calls k JOIN consents c ON c.id = k.consent_id WHERE k.purpose = 'data' AND c.status NOT IN ('active', 'consumed', 'consumed_unknown')
			AND k.sent_at > c.ended_at + interval '10 seconds'`},
		{"spent-once", "a single-use consent with more than one answered data call", `SELECT format('consent %s', c.id) FROM consents c JOIN calls k
			ON k.consent_id = c.id AND k.purpose = 'data' AND k.status BETWEEN 200 AND 299 WHERE c.single_use GROUP BY c.id HAVING count(*) > 1`},
	}
	for _, table := range []string{"accounts", "balances", "transactions", "debts"} {
		all = append(all, rule{table + "-have-calls", "a row of " + table + " without the call it came from",
			`SELECT format('a row of consent %s', consent_id) FROM ` + table + ` t WHERE NOT EXISTS (SELECT FROM calls k WHERE k.id = t.call_id)`})
	}
	return all
}

// Verify checks the promises of the tables in one read-only snapshot, and lists those that are broken.
func (s *Store) Verify(ctx context.Context) ([]Violation, error) {
	var broken []Violation
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := longStatement(ctx, tx); err != nil {
			return err
		}
		for _, r := range rules() {
			var n int
			var example *string
			if err := tx.QueryRow(ctx, `SELECT count(*), min(x.example) FROM (`+r.query+`) AS x (example)`).Scan(&n, &example); err != nil {
				return fmt.Errorf("rule %s: %w", r.name, err)
			}
			if n > 0 {
				broken = append(broken, Violation{Rule: r.name, Count: n, What: r.what + ", such as " + *example})
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("verify the tables: %w", err)
	}
	return broken, nil
}
