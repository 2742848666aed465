package read

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// Renewal is what is known of a consent's renewal.
type Renewal struct {
	New       string // the id that it brings
	Old       string // the id that it replaces, or is to replace
	State     string // waiting, trial, done, refused, replaced or withdrawn
	Reason    string // of a refusal
	NotBefore time.Time
	From      time.Time // it is valid from; zero: its terms are in force, or were
	At        time.Time // when it was asked for
}

// Renewals are those of a consent, oldest first.
func (s *Store) Renewals(ctx context.Context, consent int64) ([]Renewal, error) {
	rows, err := s.db.Query(ctx, `SELECT r.new_id, coalesce(r.old_id, c.external_id), r.state, r.reason,
			nullif(r.not_before, '-infinity'),
			CASE WHEN r.state = 'waiting' THEN (r.terms->>'valid_from')::timestamptz END,
			r.asked_at
		FROM renewals r
		JOIN consents c ON c.id = r.consent_id
		WHERE r.consent_id = $1
		ORDER BY r.id`, consent)
	return pg.AllRows(rows, err, func(row pgx.CollectableRow) (r Renewal, err error) {
		var notBefore, from *time.Time
		err = row.Scan(&r.New, &r.Old, &r.State, &r.Reason, &notBefore, &from, &r.At)
		r.NotBefore = pg.OrZero(notBefore)
		r.From = pg.OrZero(from)
		return r, err
	}, fmt.Sprintf("load the renewals of consent %d", consent))
}
