package admit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// AnsweredIn says whether a call for data has brought a good answer in a run.
func (s *Store) AnsweredIn(ctx context.Context, run int64) (bool, error) {
	var answered bool
	err := s.db.QueryRow(ctx, `SELECT EXISTS (
		SELECT FROM calls WHERE run_id = $1 AND purpose = 'data' AND class = 'ok')`, run).Scan(&answered)
	if err != nil {
		return false, fmt.Errorf("look for good answers in run %d: %w", run, err)
	}
	return answered, nil
}

// SilentFor says whether a connection has had no good answer for at least d, within a run that is at least as old. It
// looks at the newest calls only.
func (s *Store) SilentFor(ctx context.Context, connection string, run int64, d time.Duration) (bool, error) {
	var silent bool
	err := s.db.QueryRow(ctx, `SELECT r.created_at < clock_timestamp() - $3 * interval '1 microsecond' AND NOT EXISTS (
			SELECT FROM calls c WHERE c.connection = $1 AND c.purpose = 'data' AND c.class = 'ok'
			AND c.sent_at > clock_timestamp() - $3 * interval '1 microsecond')
		FROM runs r WHERE r.id = $2`, connection, run, pg.Micros(d)).Scan(&silent)
	if err != nil {
		return false, fmt.Errorf("look for answers over connection %s: %w", connection, err)
	}
	return silent, nil
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
	err := s.db.QueryRow(ctx, `SELECT count(*) OVER (), class, coalesce(reason, ''), coalesce(correlation_id, ''), id
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
