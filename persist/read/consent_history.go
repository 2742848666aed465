package read

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/pg"
)

// ConsentChange is one line of a consent's history.
type ConsentChange struct {
	At     time.Time
	Source consents.EventSource
	From   finance.ConsentStatus // empty: the consent was new
	To     finance.ConsentStatus
	Reason string
	Call   finance.CallID
}

// ConsentHistory is what happened to a consent, oldest first.
func (s *Store) ConsentHistory(ctx context.Context, id int64) ([]ConsentChange, error) {
	rows, err := s.db.Query(ctx, `SELECT at, source, coalesce(from_status, ''), to_status, reason, call_id
		FROM consent_events WHERE consent_id = $1 ORDER BY at, id`, id)
	return pg.AllRows(rows, err, func(row pgx.CollectableRow) (h ConsentChange, err error) {
		var call *[16]byte
		err = row.Scan(&h.At, &h.Source, &h.From, &h.To, &h.Reason, &call)
		h.Call = pg.OrZero(call)
		return h, err
	}, fmt.Sprintf("read the history of consent %d", id))
}
