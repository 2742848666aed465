package queue

import (
	"context"
	"fmt"

	"syncer/calls"
)

// WakeForQuota wakes the batches of connections that are parked for a day's quota of which calls are left now: it was
// raised, or the process has ended whose figure was lower. As in admit_calls_v4 the lowest holds that a living
// process names.
func (s *Store) WakeForQuota(ctx context.Context, connections []string) error {
	_, err := s.db.Exec(ctx, `
		UPDATE batches b SET wake_at = clock_timestamp()
		FROM runs r
		WHERE r.id = b.run_id
		AND r.connection = ANY ($1)
		AND b.state = 'parked'
		AND b.wake_at > clock_timestamp()
		AND strpos(b.park_reason, $2) > 0
		AND NOT EXISTS (
			SELECT FROM gates g
			JOIN worker_quotas q ON q.connection = r.connection
			JOIN workers w ON w.id = q.worker_id
			WHERE g.bucket = b.park_bucket
			AND g.day_ends > clock_timestamp()
			AND g.day_calls >= q.per_day
			AND w.expires_at > clock_timestamp()
		)`, connections, calls.PauseByQuota)
	if err != nil {
		return fmt.Errorf("wake the batches that waited for a day's quota: %w", err)
	}
	return nil
}
