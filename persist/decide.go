package persist

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// Items are the items of a batch in working order: by consent, and for one consent accounts before transactions.
func (s *Store) Items(ctx context.Context, batch int64) ([]Item, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+consentColumns+`, i.dataset, coalesce(i.outcome, ''), coalesce(i.class, ''),
		coalesce(i.reason, ''), i.attempts, i.pages, i.records, i.quarantined, coalesce(i.partial, ''), i.started_at, i.finished_at
		FROM items i JOIN consents c ON c.id = i.consent_id WHERE i.batch_id = $1
		ORDER BY i.consent_id, array_position(ARRAY['accounts', 'transactions', 'debt'], i.dataset)`, batch)
	if err != nil {
		return nil, fmt.Errorf("load the items of batch %d: %w", batch, err)
	}
	items, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Item, error) {
		var c consentScan
		var i Item
		var started, finished *time.Time
		err := row.Scan(append(c.fields(), &i.Dataset, &i.Outcome, &i.Class, &i.Reason, &i.Attempts, &i.Pages, &i.Records,
			&i.Quarantined, &i.Partial, &started, &finished)...)
		if err != nil {
			return i, err
		}
		if started != nil {
			i.StartedAt = *started
		}
		if finished != nil {
			i.FinishedAt = *finished
		}
		i.Consent, err = s.open(c)
		return i, err
	})
	if err != nil {
		return nil, fmt.Errorf("load the items of batch %d: %w", batch, err)
	}
	return items, nil
}

// StartItem counts an attempt at an item. It fails with ErrFenced when the batch is another's.
func (s *Store) StartItem(ctx context.Context, batch, fence, consent int64, dataset finance.Dataset) error {
	tag, err := s.pool.Exec(ctx, `UPDATE items i SET attempts = attempts + 1, started_at = coalesce(started_at, clock_timestamp())
		FROM (SELECT id FROM batches WHERE `+mine+` FOR SHARE) b
		WHERE i.batch_id = b.id AND i.consent_id = $3 AND i.dataset = $4 AND i.outcome IS NULL`, batch, fence, consent, dataset)
	if err != nil {
		return fmt.Errorf("start %s of consent %d: %w", dataset, consent, err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("start %s of consent %d in batch %d with fence %d: %w", dataset, consent, batch, fence, ErrFenced)
	}
	return nil
}

// DecideItem writes how an item ended. It fails with ErrFenced when the batch is another's. A decided item keeps its
// first decision.
func (s *Store) DecideItem(ctx context.Context, batch, fence, consent int64, dataset finance.Dataset, d Decision) error {
	return s.DecideItems(ctx, batch, fence, []Decided{{Consent: consent, Dataset: dataset, Decision: d}})
}

// DecideItems is DecideItem for many items of one batch, all or none.
func (s *Store) DecideItems(ctx context.Context, batch, fence int64, decided []Decided) error {
	return s.inTx(ctx, fmt.Sprintf("decide %d items of batch %d", len(decided), batch), func(tx pgx.Tx) error {
		return decideItems(ctx, tx, batch, fence, decided)
	})
}

func decideItems(ctx context.Context, tx pgx.Tx, batch, fence int64, decided []Decided) error {
	var id int64
	err := tx.QueryRow(ctx, `SELECT id FROM batches WHERE `+mine+` FOR SHARE`, batch, fence).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("with fence %d: %w", fence, ErrFenced)
	}
	if err != nil {
		return err
	}
	b := &pgx.Batch{}
	for _, d := range decided {
		b.Queue(`UPDATE items SET outcome = $4, class = $5, reason = $6, correlation_id = $7, call_id = $8,
			finished_at = clock_timestamp() WHERE batch_id = $1 AND consent_id = $2 AND dataset = $3 AND outcome IS NULL`,
			batch, d.Consent, d.Dataset, string(d.Outcome), nullText(string(d.Class)), nullText(d.Reason),
			nullText(d.Correlation), nullID(d.Call))
	}
	return tx.SendBatch(ctx, b).Close()
}
