package read

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// RemovalGuard is what a run and its reruns have removed of one dataset, and what is withheld of it. Records are
// accounts, transactions or debts; reservations that went are not counted, except in Withheld.
type RemovalGuard struct {
	Run             int64 // the root run
	Job             string
	Connection      string
	Dataset         finance.Dataset
	ClosedAt        time.Time // zero: it is open, and nothing is withheld
	Reason          string    // why it closed
	Consents        int       // that lost records before it closed
	Records         int       // that were removed before it closed
	WithheldOf      int       // active consents of which records are withheld now
	Withheld        int       // records of those that are withheld now
	FirstWithheldAt time.Time // zero: none is
}

// removalGuards lists guards that have closed. Of a consent that has ended since nothing will be shown any more, and
// its rows stay whatever happens, so it is nothing that waits for a person.
const removalGuards = `SELECT g.run_id, r.job, r.connection, g.dataset, g.closed_at, g.reason, g.consents, g.records,
	n.consents, n.records, n.first
FROM removal_guards g JOIN runs r ON r.id = g.run_id CROSS JOIN LATERAL (
	SELECT count(DISTINCT n.consent_id), count(*), min(n.noted_at)
	FROM absences n JOIN consents c ON c.id = n.consent_id AND c.status IN ('active', 'suspected') WHERE n.withheld_by = g.run_id
	AND n.kind = CASE g.dataset WHEN 'debt' THEN 'debts' ELSE g.dataset END) n(consents, records, first)
WHERE g.closed_at IS NOT NULL AND `

func scanRemovalGuard(row pgx.CollectableRow) (g RemovalGuard, err error) {
	var first *time.Time
	err = row.Scan(&g.Run, &g.Job, &g.Connection, &g.Dataset, &g.ClosedAt, &g.Reason, &g.Consents, &g.Records,
		&g.WithheldOf, &g.Withheld, &first)
	g.FirstWithheldAt = pg.OrZero(first)
	return g, err
}

// WithheldRemovals lists what guards of removals keep in the tables now, the newest run first.
func (s *Store) WithheldRemovals(ctx context.Context) ([]RemovalGuard, error) {
	rows, err := s.db.Query(ctx, removalGuards+`n.records > 0
		AND g.run_id IN (SELECT withheld_by FROM absences WHERE withheld_by IS NOT NULL)
		ORDER BY g.run_id DESC, g.dataset`)
	if err != nil {
		return nil, fmt.Errorf("list the removals that are withheld: %w", err)
	}
	guards, err := pgx.CollectRows(rows, scanRemovalGuard)
	if err != nil {
		return nil, fmt.Errorf("list the removals that are withheld: %w", err)
	}
	return guards, nil
}

// reportGuards adds the guards that have closed in the run, or in the run that it is a rerun of.
func reportGuards(ctx context.Context, tx pgx.Tx, r *Report) error {
	root := r.Run.ID
	if r.Run.OfRun != 0 {
		root = r.Run.OfRun
	}
	rows, err := tx.Query(ctx, removalGuards+`g.run_id = $1 ORDER BY g.dataset`, root)
	if err != nil {
		return err
	}
	r.Guards, err = pgx.CollectRows(rows, scanRemovalGuard)
	return err
}
