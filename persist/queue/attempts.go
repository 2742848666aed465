package queue

import (
	"context"
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

// AttemptsBefore looks at the attempts of root run, for a batch of a rerun of it.
func (s *Store) AttemptsBefore(ctx context.Context, batch, root int64) (Attempts, error) {
	a := Attempts{Runs: map[int64]bool{}, Brought: map[ItemKey]bool{}}
	rows, err := s.db.Query(ctx, `SELECT id FROM runs WHERE id = $1 OR of_run = $1`, root)
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
	rows, err = s.db.Query(ctx, `SELECT DISTINCT i.consent_id, i.dataset
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
