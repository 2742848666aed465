package write

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// What there was before a run, as far as its guard of removals has to know it.

// The sizes of the samples from which it is estimated what there was before a run. Up to these it is counted.
const (
	sampledConsents  = 20_000
	sampledForRows   = 1_000
	countedOfConsent = 10_000 // records of one consent
)

// RecordsOf is the table whose rows are counted for a dataset, and which of its rows t are. A balance follows its
// account, and a reservation that goes was booked or has expired.
func RecordsOf(d finance.Dataset) (table, counts, ofStream string) {
	switch d {
	case finance.Accounts:
		return accountKind.table, "true", "true"
	case finance.Transactions:
		return transactionKind.table, "t.status <> 'pending'", "c.account_id IN ('', t.account_id)"
	}
	return debtKind.table, "true", "true"
}

// consentsOf selects the consents of a root run, one in @step of them, chosen by their hash.
const consentsOf = `SELECT DISTINCT i.consent_id AS id
			FROM batches b
			JOIN items i ON i.batch_id = b.id
			WHERE b.run_id = @root
			AND abs(hashint8(i.consent_id)::int8) % @step = 0`

// consentsBefore is how many consents of the run had records before it: those that have some of that time still, and
// those that have lost all. Of a large run it is estimated: the run's items are read once, and sampledConsents are
// looked up.
func (a *attempt) consentsBefore(ctx context.Context, g *removalGuard) (int64, error) {
	table, counts, _ := RecordsOf(g.dataset)
	step := max(1, g.planned/sampledConsents)
	var have int64
	err := a.tx.QueryRow(ctx, `SELECT count(*)
		FROM (
			`+consentsOf+`
		) s
		WHERE EXISTS (
			SELECT FROM `+table+` t
			WHERE t.consent_id = s.id
			AND t.removed_at IS NULL
			AND t.first_seen_at < @began
			AND `+counts+`
		)`, pgx.NamedArgs{
		"root":  g.root,
		"step":  step,
		"began": g.began,
	}).Scan(&have)
	if err != nil {
		return 0, fmt.Errorf("count the consents that had records: %w", pg.Describe(err))
	}
	return have*step + g.lost, nil
}

// recordsBefore is how many records the consents of the run had before it, like consentsBefore.
func (a *attempt) recordsBefore(ctx context.Context, g *removalGuard) (int64, error) {
	table, counts, _ := RecordsOf(g.dataset)
	step := max(1, g.planned/sampledForRows)
	var have int64
	err := a.tx.QueryRow(ctx, `SELECT coalesce(sum(x.n), 0)::int8
		FROM (
			`+consentsOf+`
		) s
		CROSS JOIN LATERAL (
			SELECT count(*) AS n
			FROM (
				SELECT FROM `+table+` t
				WHERE t.consent_id = s.id
				AND t.removed_at IS NULL
				AND t.first_seen_at < @began
				AND `+counts+`
				LIMIT @most
			) y
		) x`, pgx.NamedArgs{
		"root":  g.root,
		"step":  step,
		"began": g.began,
		"most":  countedOfConsent,
	}).Scan(&have)
	if err != nil {
		return 0, fmt.Errorf("count the records before the run: %w", pg.Describe(err))
	}
	return have*step + g.records, nil
}

// anyKept says whether a consent that was answered in this run has kept records of before it. Those that pages of this
// attempt are still to be looked at for don't tell. Only a handful of consents has records when this is asked.
func (a *attempt) anyKept(ctx context.Context, g *removalGuard, p *page) (kept bool, err error) {
	table, counts, ofStream := RecordsOf(g.dataset)
	open := []int64{p.Stream.Consent}
	for _, q := range a.live {
		toCompare := q.Whole != nil && !q.Unchanged && !q.compared
		if toCompare && q.Stream.Dataset == g.dataset {
			open = append(open, q.Stream.Consent)
		}
	}
	err = a.tx.QueryRow(ctx, `SELECT EXISTS (
			SELECT FROM batches b
			JOIN items i ON i.batch_id = b.id
			JOIN cursors c ON c.consent_id = i.consent_id AND c.dataset = @dataset AND NOT c.mid_pass
			JOIN runs r ON r.id = c.run_id AND coalesce(r.of_run, r.id) = @root
			WHERE b.run_id = @root
			AND i.consent_id <> ALL (@open::int8[])
			AND EXISTS (
				SELECT FROM `+table+` t
				WHERE t.consent_id = i.consent_id
				AND t.removed_at IS NULL
				AND t.first_seen_at < @began
				AND `+counts+`
				AND `+ofStream+`
			)
		)`, pgx.NamedArgs{
		"dataset": string(g.dataset),
		"root":    g.root,
		"open":    open,
		"began":   g.began,
	}).Scan(&kept)
	if err != nil {
		return false, fmt.Errorf("look for consents that have kept records: %w", pg.Describe(err))
	}
	return kept, nil
}
