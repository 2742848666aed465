package read

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/write"
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
		{"complete-means-all", "a complete run that left items to an earlier one", `SELECT format('run %s', id) FROM runs
			WHERE verdict = 'complete' AND overlapped > 0`},
		// A rerun need not ask again for what earlier attempts of its run have brought.
		{"rows-mean-records", "an item with outcome rows that brought none", `SELECT format('%s of consent %s in batch %s',
				i.dataset, i.consent_id, i.batch_id)
			FROM items i
			JOIN batches b ON b.id = i.batch_id
			JOIN runs r ON r.id = b.run_id
			WHERE i.outcome = 'rows'
				AND i.records = 0
				AND NOT EXISTS (
					SELECT FROM runs o
					JOIN batches ob ON ob.run_id = o.id
					JOIN items oi ON oi.batch_id = ob.id
					WHERE r.of_run IN (o.id, o.of_run)
						AND o.id < r.id
						AND oi.consent_id = i.consent_id
						AND oi.dataset = i.dataset
						AND oi.records > 0
				)`},
		{"no-call-after-the-end", "a call that was sent after its consent had ended", `SELECT format('call %s of consent %s', k.id, k.consent_id)
			FROM calls k JOIN (
				SELECT id, status, ended_at + interval '10 seconds', 'infinity' FROM consents UNION ALL
				SELECT consent_id, to_status, at + interval '10 seconds', coalesce(lead(at) OVER (PARTITION BY consent_id ORDER BY id), 'infinity')
				FROM consent_events) AS e (consent, status, since, until) ON e.consent = k.consent_id
			WHERE k.purpose IN ('data', 'status') AND e.status NOT IN ('active', 'consumed', 'consumed_unknown')
			AND k.sent_at > e.since AND k.sent_at < e.until GROUP BY k.id`},
		// A second for calls on their way, and a tenth because sent_at is of the sender's clock and the rest of the
		// database's.
		{"no-call-in-a-pause", "a call that was sent while its gate was closed", `SELECT format('call %s to bucket %s', k.id, k.bucket)
			FROM calls k JOIN (SELECT bucket, range_agg(tstzrange(announced_at + interval '1 second', until - interval '100 milliseconds', '()')) AS closed
				FROM (SELECT bucket, announced_at, least(not_before, ended_at) AS until FROM pauses) AS told
				WHERE until > announced_at + interval '1.1 seconds' GROUP BY bucket) p USING (bucket)
			WHERE k.sent_at <@ p.closed`},
		{"empty-means-none", "an empty item that brought records", `SELECT format('%s of consent %s in batch %s',
				dataset, consent_id, batch_id)
			FROM items
			WHERE outcome = 'empty'
				AND (records > 0 OR quarantined > 0)`},
		{"written-means-read", "an item that wrote more records than it read", `SELECT format('%s of consent %s in batch %s', dataset, consent_id, batch_id)
			FROM items WHERE inserted + updated > records`},
		{"withheld-have-calls", "a withheld removal without the call that would have made it", `
			SELECT format('a row of %s of consent %s', n.kind, n.consent_id) FROM absences n
			WHERE n.withheld_call IS NOT NULL
			AND NOT EXISTS (SELECT FROM calls k WHERE k.id = n.withheld_call AND k.consent_id = n.consent_id)`},
		{"withheld-means-partial", "a complete run that withholds removals", `SELECT format('run %s', r.id) FROM runs r
			WHERE r.verdict = 'complete' AND EXISTS (SELECT FROM absences n WHERE n.withheld_by = r.id)`},
		{"guards-add-up", "a guard of removals that has counted something else than is written down of the consents", `
			SELECT format('%s of run %s', g.dataset, g.run_id) FROM removal_guards g LEFT JOIN (
				SELECT run_id, dataset, count(*) AS consents, count(*) FILTER (WHERE lost) AS lost, sum(records) AS records
				FROM removals GROUP BY run_id, dataset) r USING (run_id, dataset)
			WHERE (g.consents, g.lost, g.records) <> (coalesce(r.consents, 0), coalesce(r.lost, 0), coalesce(r.records, 0))`},
	}
	all = append(all, consentRules()...)
	for _, table := range []string{"accounts", "balances", "transactions", "debts"} {
		all = append(all, haveCalls(table, "call_id"), haveCalls(table+"_history", "call_id"), haveCalls(table+"_history", "replaced_by"))
	}
	for _, d := range []finance.Dataset{finance.Accounts, finance.Transactions, finance.Debts} {
		for _, table := range write.StagedTables(d) {
			all = append(all, haveCalls(table, "call_id"), stagedHaveChanges(table, d))
		}
	}
	return append(all, haveCalls("quarantine", "call_id"), haveCalls("absences", "call_id"),
		haveCalls("account_moves", "call_id"), absencesHaveRows())
}

// absencesHaveRows is the rule that what is noted as missing is in the tables: the note goes with the row.
func absencesHaveRows() rule {
	notes := ""
	for _, k := range []struct{ table, key string }{
		{"accounts", "t.account_id = n.record_id AND n.account_id = ''"},
		{"balances", "t.account_id = n.account_id AND t.kind || ' ' || t.currency = n.record_id"},
		{"transactions", "t.account_id = n.account_id AND t.transaction_id = n.record_id"},
		{"debts", "t.debt_id = n.record_id AND n.account_id = ''"},
	} {
		notes += fmt.Sprintf(` AND NOT (n.kind = '%s' AND EXISTS (SELECT FROM %s t WHERE t.consent_id = n.consent_id
			AND t.removed_at IS NULL AND %s))`, k.table, k.table, k.key)
	}
	return rule{"absences-have-rows", "a note of a missing row that is not there, or is removed",
		`SELECT format('a row of %s of consent %s', n.kind, n.consent_id) FROM absences n WHERE true` + notes}
}

// stagedHaveChanges is the rule that what is staged is there to replace rows with old keys. Staged and forgotten, it would
// be in no table that anybody reads.
func stagedHaveChanges(table string, d finance.Dataset) rule {
	return rule{table + "-have-changes", "a row of " + table + " that replaces nothing", fmt.Sprintf(`
		SELECT format('a row of consent %%s', s.consent_id)
		FROM %s s
		WHERE NOT EXISTS (
			SELECT FROM key_changes k
			WHERE k.consent_id = s.consent_id
				AND k.dataset = '%s'
				AND k.account_id IN ('', s.stream)
		)`, table, d)}
}

// haveCalls is the rule that a call of the row's own consent is behind each row.
func haveCalls(table, column string) rule {
	name := table + "-have-calls"
	what := "a row of " + table + " without the call it came from, or with another consent's"
	if column == "replaced_by" {
		name = table + "-replaced-by-calls"
		what = "a row of " + table + " without the call that replaced it, or with another consent's"
	}
	return rule{name, what, fmt.Sprintf(`SELECT format('a row of consent %%s', t.consent_id) FROM %s t
		LEFT JOIN calls k ON k.id = t.%s AND k.consent_id = t.consent_id WHERE k.id IS NULL`, table, column)}
}

// Verify checks the promises of the tables in one read-only snapshot, and lists those that are broken.
func (s *Store) Verify(ctx context.Context) ([]Violation, error) {
	var broken []Violation
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, s.db.Whole, snapshot, func(tx pgx.Tx) error {
		if err := pg.LongStatement(ctx, tx); err != nil {
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
