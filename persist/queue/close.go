package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// closeBatches takes the batches of run $1 from whoever holds them: a higher fence keeps that one from
// writing.
const closeBatches = `UPDATE batches
	SET state = 'done',
		fence = fence + 1,
		holder = NULL,
		asked_at = NULL,
		finished_at = clock_timestamp()
	WHERE run_id = $1
	AND state <> 'done'`

// closeItems decides what is undecided of run $1: nobody will ask for it. A verdict with such an item
// is never complete.
const closeItems = `UPDATE items i
	SET outcome = 'excused',
		class = $2,
		reason = $3,
		finished_at = clock_timestamp()
	FROM batches b
	WHERE b.run_id = $1
	AND i.batch_id = b.id
	AND i.outcome IS NULL`

// CloseRun ends a run that nobody is going to work: what it has not read is excused as not asked for,
// and it gets its verdict. items is how many that were. A run that has its verdict keeps it, and
// nothing is changed.
func (s *Store) CloseRun(ctx context.Context, id int64, reason string) (run Run, items int, err error) {
	err = s.db.InTx(ctx, fmt.Sprintf("close run %d", id), func(tx pgx.Tx) error {
		var settled bool
		err := tx.QueryRow(ctx, `SELECT verdict IS NOT NULL FROM runs WHERE id = $1 FOR NO KEY UPDATE`, id).
			Scan(&settled)
		if errors.Is(err, pgx.ErrNoRows) {
			return pg.ErrNotFound
		}
		if err != nil || settled {
			return err
		}
		if _, err := tx.Exec(ctx, closeBatches, id); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, closeItems, id, finance.Unasked, pg.Clean(reason))
		items = int(tag.RowsAffected())
		return err
	})
	if err != nil {
		return run, 0, err
	}
	if _, _, err := s.Settle(ctx, id); err != nil {
		return run, items, err
	}
	run, err = LoadRun(ctx, s.db, id)
	return run, items, err
}
