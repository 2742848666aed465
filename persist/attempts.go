package persist

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// ItemKey names an item within a run.
type ItemKey struct {
	Consent int64
	Dataset finance.Dataset
}

// Attempts are what a run and its reruns have done so far, as far as the items of one batch go.
type Attempts struct {
	Runs    map[int64]bool   // the run and its reruns
	Brought map[ItemKey]bool // items of the batch for which one of them has read records
}

// Tried is what the calls for an item have come to within its run, of those that brought no page.
type Tried struct {
	Calls       int
	Class       finance.Class // of the newest of them
	Reason      string
	Correlation string
	Call        finance.CallID
}

// Tried looks at the calls of a run that were made for an item in vain. One that we broke off ourselves tells nothing.
func (s *Store) Tried(ctx context.Context, run, consent int64, dataset finance.Dataset) (Tried, error) {
	var t Tried
	var id [16]byte
	err := s.pool.QueryRow(ctx, `SELECT count(*) OVER (), class, coalesce(reason, ''), coalesce(correlation_id, ''), id
		FROM calls
		WHERE run_id = $1 AND consent_id = $2 AND dataset = $3 AND purpose = 'data'
			AND class NOT IN ('ok', 'interrupted')
		ORDER BY id DESC LIMIT 1`, run, consent, dataset).Scan(&t.Calls, &t.Class, &t.Reason, &t.Correlation, &id)
	if errors.Is(err, pgx.ErrNoRows) {
		return Tried{}, nil
	}
	if err != nil {
		return t, fmt.Errorf("look for the calls of run %d for %s of consent %d: %w", run, dataset, consent, err)
	}
	t.Call = id
	return t, nil
}

// AttemptsBefore looks at the attempts of root run, for a batch of a rerun of it.
func (s *Store) AttemptsBefore(ctx context.Context, batch, root int64) (Attempts, error) {
	a := Attempts{Runs: map[int64]bool{}, Brought: map[ItemKey]bool{}}
	rows, err := s.pool.Query(ctx, `SELECT id FROM runs WHERE id = $1 OR of_run = $1`, root)
	if err != nil {
		return a, fmt.Errorf("look for the attempts of run %d: %w", root, err)
	}
	var run int64
	_, err = pgx.ForEachRow(rows, []any{&run}, func() error {
		a.Runs[run] = true
		return nil
	})
	if err != nil {
		return a, fmt.Errorf("look for the attempts of run %d: %w", root, err)
	}
	rows, err = s.pool.Query(ctx, `SELECT DISTINCT i.consent_id, i.dataset
		FROM items mine
		JOIN runs r ON r.id = $2 OR r.of_run = $2
		JOIN batches b ON b.run_id = r.id
		JOIN items i ON i.batch_id = b.id AND i.consent_id = mine.consent_id AND i.dataset = mine.dataset
		WHERE mine.batch_id = $1 AND i.records > 0`, batch, root)
	if err != nil {
		return a, fmt.Errorf("look for what the attempts of run %d have read: %w", root, err)
	}
	var key ItemKey
	_, err = pgx.ForEachRow(rows, []any{&key.Consent, &key.Dataset}, func() error {
		a.Brought[key] = true
		return nil
	})
	if err != nil {
		return a, fmt.Errorf("look for what the attempts of run %d have read: %w", root, err)
	}
	return a, nil
}
