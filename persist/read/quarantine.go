package read

import (
	"cmp"
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// QuarantineFilter chooses records in quarantine; zero fields choose all that are open.
type QuarantineFilter struct {
	Connection string
	Consent    int64
	Dataset    finance.Dataset
	Resolved   bool  // those that are resolved too
	After      int64 // only ids that are larger: the next page
	Limit      int   // 0: 100
}

// QuarantinedRecord is a record in quarantine, as a person asks for it.
type QuarantinedRecord struct {
	ID         int64
	Connection string
	Consent    int64
	Dataset    finance.Dataset
	Account    string
	Key        string // the provider's; empty: it could not be read
	Call       finance.CallID
	Place      int32
	Reason     string
	Times      int
	Held       bool // the stream's position waits for it
	FirstAt    time.Time
	LastAt     time.Time
	ResolvedAt time.Time // zero: it is open
	ResolvedAs string
	Note       string
}

// Quarantine lists records in quarantine by their ids.
func (s *Store) Quarantine(ctx context.Context, f QuarantineFilter) ([]QuarantinedRecord, error) {
	rows, err := s.db.Query(ctx, `SELECT q.id, n.connection, q.consent_id, q.dataset, q.account_id,
			coalesce(q.record_id, ''), q.call_id, q.place, q.reason, q.times, q.held, q.at, q.last_at, q.resolved_at,
			coalesce(q.resolved_as, ''), coalesce(q.note, '')
		FROM quarantine q JOIN consents n ON n.id = q.consent_id
		WHERE ($1 = '' OR n.connection = $1)
		AND ($2 = 0 OR q.consent_id = $2)
		AND ($3 = '' OR q.dataset = $3)
		AND ($4 OR q.resolved_at IS NULL)
		AND q.id > $5
		ORDER BY q.id
		LIMIT $6`, f.Connection, f.Consent, string(f.Dataset), f.Resolved, f.After, cmp.Or(max(f.Limit, 0), 100))
	return pg.AllRows(rows, err, func(row pgx.CollectableRow) (r QuarantinedRecord, err error) {
		var resolved *time.Time
		err = row.Scan(&r.ID, &r.Connection, &r.Consent, &r.Dataset, &r.Account,
			&r.Key, &r.Call, &r.Place, &r.Reason, &r.Times, &r.Held, &r.FirstAt, &r.LastAt, &resolved, &r.ResolvedAs, &r.Note)
		r.ResolvedAt = pg.OrZero(resolved)
		return r, err
	}, "list the quarantine")
}
