package admit

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/pg"
)

// longestPause is where the length of a pause ends, so that its end stays a timestamp and the way back a Duration.
const longestPause = 100 * 365 * 24 * time.Hour

// Pause closes a gate for every process and records the call that was told, in one commit. A gate is only
// ever closed for longer, never for less long. A pause of more than a hundred years lasts a hundred years. It gives how
// long the gate is closed from now on; see the functions close_gate and close_lone_gate for what they count.
func (s *Store) Pause(ctx context.Context, p calls.Pause) (time.Duration, error) {
	refused := p.Call.Class == finance.Throttled
	us := pg.Micros(min(p.For, longestPause))
	reason := pg.Clean(p.Reason)
	call := pg.NullID(p.Call.ID)
	run := pg.NullInt(p.Call.Task.Run)
	b := &pgx.Batch{}
	if p.Alone != "" {
		b.Queue("SELECT close_lone_gate($1, $2, $3, $4, $5, $6, $7)",
			p.Alone, p.Call.Connection, us, reason, call, run, p.Guessed)
	} else {
		b.Queue("SELECT close_gate($1, $2, $3, $4, $5, $6, $7, $8, $9)",
			p.Bucket, p.Call.Connection, us, reason, call, run, refused, p.Guessed, pg.Micros(p.Sent))
	}
	if !p.Call.ID.IsZero() && !p.Call.Durable {
		queueCall(b, p.Call, finance.CallID{})
	}
	results := s.db.SendBatch(ctx, b)
	var closed int64
	err := results.QueryRow().Scan(&closed)
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return 0, fmt.Errorf("close the gate of %s: %w", p.Bucket, err)
	}
	return pg.FromMicros(closed), nil
}

// Probed ends the probe of a bucket. A call that was answered ends the refusals too, also one that was sent before them,
// and wakes the batches that are parked for them: each refusal had them sleep longer.
func (s *Store) Probed(ctx context.Context, bucket string, call finance.CallID, answered bool) error {
	const forget = `WITH opened AS (
			UPDATE gates
			SET refusals = 0, probing = false, probe = NULL, probe_until = '-infinity'
			WHERE bucket = $1 AND refusals > 0
			RETURNING not_before
		)
		UPDATE batches b
		SET wake_at = clock_timestamp()
		FROM opened o
		WHERE b.state = 'parked'
		AND b.park_bucket = $1
		AND b.wake_at > clock_timestamp()
		AND o.not_before <= clock_timestamp()`
	const giveBack = `UPDATE gates
		SET probe = NULL, probe_until = '-infinity'
		WHERE bucket = $1 AND probe = $2`
	var err error
	if answered {
		_, err = s.db.Exec(ctx, forget, bucket)
	} else {
		_, err = s.db.Exec(ctx, giveBack, bucket, pg.NullID(call))
	}
	if err != nil {
		return fmt.Errorf("end the probe of %s: %w", bucket, err)
	}
	return nil
}
