package persist

import (
	"context"
	"fmt"
	"time"
)

// AnsweredIn says whether a call for data has brought a good answer in a run.
func (s *Store) AnsweredIn(ctx context.Context, run int64) (bool, error) {
	var answered bool
	err := s.pool.QueryRow(ctx, `SELECT EXISTS (
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
	err := s.pool.QueryRow(ctx, `SELECT r.created_at < clock_timestamp() - $3 * interval '1 microsecond' AND NOT EXISTS (
			SELECT FROM calls c WHERE c.connection = $1 AND c.purpose = 'data' AND c.class = 'ok'
			AND c.sent_at > clock_timestamp() - $3 * interval '1 microsecond')
		FROM runs r WHERE r.id = $2`, connection, run, micros(d)).Scan(&silent)
	if err != nil {
		return false, fmt.Errorf("look for answers over connection %s: %w", connection, err)
	}
	return silent, nil
}
