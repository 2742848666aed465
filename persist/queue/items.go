package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/consents"
)

// Item is one consent x dataset of a batch.
type Item struct {
	Consent     finance.Consent
	Dataset     finance.Dataset
	Outcome     finance.Outcome // empty: not decided
	Class       finance.Class
	Reason      string
	Attempts    int
	Pages       int
	Records     int
	Quarantined int
	Contested   bool   // a key of it came with two contents in this turn of its process, and one is in quarantine
	Partial     string // what the provider said is missing, so far
	StartedAt   time.Time
	FinishedAt  time.Time
}

// Decision is how an item ended.
type Decision struct {
	Outcome     finance.Outcome
	Class       finance.Class // of a failed or excused item; of a partial one the worst that a part of it met; Withheld of one that has the rest
	Reason      string        // must be set unless the outcome is Rows or Empty and the provider withheld nothing
	Correlation string        // the provider's id of the call that decided
	Call        finance.CallID
}

// Decided is one item and its decision.
type Decided struct {
	Consent int64
	Dataset finance.Dataset
	Decision
}

// Items are the items of a batch in working order: by consent, and for one consent accounts before transactions.
func (s *Store) Items(ctx context.Context, batch int64) ([]Item, error) {
	rows, err := s.db.Query(ctx, `SELECT `+consents.Columns+`, i.dataset, coalesce(i.outcome, ''), coalesce(i.class, ''),
		coalesce(i.reason, ''), i.attempts, i.pages, i.records, i.quarantined, coalesce(i.partial, ''), i.started_at, i.finished_at
		FROM items i JOIN consents c ON c.id = i.consent_id WHERE i.batch_id = $1
		ORDER BY i.consent_id, array_position(ARRAY['accounts', 'transactions', 'debt'], i.dataset)`, batch)
	if err != nil {
		return nil, fmt.Errorf("load the items of batch %d: %w", batch, err)
	}
	items, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Item, error) {
		var c consents.Row
		var i Item
		var started, finished *time.Time
		err := row.Scan(append(c.Fields(), &i.Dataset, &i.Outcome, &i.Class, &i.Reason, &i.Attempts, &i.Pages, &i.Records,
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
		i.Consent = c.Open(s.keys)
		return i, nil
	})
	if err != nil {
		return nil, fmt.Errorf("load the items of batch %d: %w", batch, err)
	}
	return items, nil
}
