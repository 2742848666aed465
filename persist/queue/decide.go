package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// itemWrite is one statement about one item. There are two for each item, so they are sent as they stand: the names of
// pgx.NamedArgs would be looked up in their text each time.
type itemWrite struct {
	sql  string
	args []any
}

// writeItems makes concurrent writes to items in one round trip and one transaction: a worker with many small items
// would otherwise spend more on beginning and committing than on all else. Each statement checks its own fence. It
// says which of them changed their item.
func (s *Store) writeItems(ctx context.Context, writes []itemWrite) ([]bool, error) {
	b := &pgx.Batch{}
	for _, w := range writes {
		b.Queue(w.sql, w.args...)
	}
	results := s.db.SendBatch(ctx, b)
	changed := make([]bool, len(writes))
	for i := range writes {
		tag, err := results.Exec()
		if err != nil {
			_ = results.Close() // it says the same
			return nil, err
		}
		changed[i] = tag.RowsAffected() > 0
	}
	return changed, results.Close()
}

func (s *Store) writeItem(ctx context.Context, w itemWrite) (changed bool, err error) {
	if changed, err = s.itemWrites.Ask(ctx, w); err == nil || ctx.Err() != nil {
		return changed, err
	}
	// In the company of one that can't be stored all fail; alone it gets an answer of its own.
	alone, err := s.writeItems(ctx, []itemWrite{w})
	return err == nil && alone[0], err
}

const startItem = `UPDATE items i
	SET attempts = attempts + 1,
		started_at = coalesce(started_at, clock_timestamp())
	FROM (SELECT id FROM batches WHERE id = $1 AND fence = $2 AND state = 'working' FOR SHARE) b
	WHERE i.batch_id = b.id
	AND i.consent_id = $3
	AND i.dataset = $4
	AND i.outcome IS NULL`

// StartItem counts an attempt at an item. It fails with ErrFenced when the batch is another's. Callers that start
// items at the same time share a round trip.
func (s *Store) StartItem(ctx context.Context, batch, fence, consent int64, dataset finance.Dataset) error {
	changed, err := s.writeItem(ctx, itemWrite{startItem, []any{batch, fence, consent, dataset}})
	if err != nil {
		return fmt.Errorf("start %s of consent %d: %w", dataset, consent, err)
	}
	if !changed {
		return fmt.Errorf("start %s of consent %d in batch %d with fence %d: %w", dataset, consent, batch, fence, pg.ErrFenced)
	}
	return nil
}

const decideItem = `UPDATE items i
	SET outcome = $5,
		class = $6,
		reason = $7,
		correlation_id = $8,
		call_id = $9,
		finished_at = clock_timestamp()
	FROM (SELECT id FROM batches WHERE id = $1 AND fence = $2 AND state = 'working' FOR SHARE) b
	WHERE i.batch_id = b.id
	AND i.consent_id = $3
	AND i.dataset = $4
	AND i.outcome IS NULL`

// DecideItem writes how an item ended. It fails with ErrFenced when the batch is another's. A decided item keeps its
// first decision. Callers that decide items at the same time share a transaction.
func (s *Store) DecideItem(ctx context.Context, batch, fence, consent int64, dataset finance.Dataset, d Decision) error {
	changed, err := s.writeItem(ctx, itemWrite{decideItem, []any{batch, fence, consent, dataset, string(d.Outcome),
		pg.NullText(string(d.Class)), pg.NullText(d.Reason), pg.NullText(d.Correlation), pg.NullID(d.Call)}})
	if err != nil {
		return fmt.Errorf("decide %s of consent %d: %w", dataset, consent, err)
	}
	if changed {
		return nil
	}
	// Decided before or fenced off: this finds out.
	return s.DecideItems(ctx, batch, fence, []Decided{{Consent: consent, Dataset: dataset, Decision: d}})
}

// DecideItems is DecideItem for many items of one batch, all or none.
func (s *Store) DecideItems(ctx context.Context, batch, fence int64, decided []Decided) error {
	return s.db.InTx(ctx, fmt.Sprintf("decide %d items of batch %d", len(decided), batch), func(tx pgx.Tx) error {
		return DecideWithin(ctx, tx, batch, fence, decided)
	})
}

// DecideWithin is DecideItems within a transaction.
func DecideWithin(ctx context.Context, tx pgx.Tx, batch, fence int64, decided []Decided) error {
	var id int64
	err := tx.QueryRow(ctx, `SELECT id FROM batches WHERE `+mine+` FOR SHARE`,
		pgx.NamedArgs{"batch": batch, "fence": fence}).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("with fence %d: %w", fence, pg.ErrFenced)
	}
	if err != nil {
		return err
	}
	b := &pgx.Batch{}
	for _, d := range decided {
		b.Queue(`UPDATE items
			SET outcome = $4,
				class = $5,
				reason = $6,
				correlation_id = $7,
				call_id = $8,
				finished_at = clock_timestamp()
			WHERE batch_id = $1
			AND consent_id = $2
			AND dataset = $3
			AND outcome IS NULL`,
			batch, d.Consent, d.Dataset, string(d.Outcome), pg.NullText(string(d.Class)), pg.NullText(d.Reason),
			pg.NullText(d.Correlation), pg.NullID(d.Call))
	}
	return tx.SendBatch(ctx, b).Close()
}
