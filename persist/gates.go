package persist

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// longestPause is where the length of a pause ends, so that its end stays a timestamp and the way back a Duration.
const longestPause = 100 * 365 * 24 * time.Hour

// closeGate closes a gate and writes the pause down, both with one end: closing may wait for those who are being
// admitted, and an end that was reckoned anew after that would lie behind the gate's.
//
// Slots that were given out before the pause are not taken back: their owners ask for the gate before they send. The
// next slots begin where the pause ends, else all who wait would be sent at that instant.
const closeGate = `WITH t AS MATERIALIZED (SELECT clock_timestamp() + $3 * interval '1 microsecond' AS at), closed AS (
	INSERT INTO gates AS g (bucket, connection, not_before, reason, announced_by, next_slot)
	SELECT $1, $2, t.at, $4, $5, t.at FROM t
	ON CONFLICT (bucket) DO UPDATE SET
		reason = CASE WHEN excluded.not_before > g.not_before THEN excluded.reason ELSE g.reason END,
		announced_by = CASE WHEN excluded.not_before > g.not_before THEN excluded.announced_by ELSE g.announced_by END,
		not_before = greatest(g.not_before, excluded.not_before),
		next_slot = greatest(g.next_slot, excluded.not_before)
	RETURNING bucket
)
INSERT INTO pauses (bucket, call_id, run_id, reason, not_before) SELECT bucket, $5, $6, $4, t.at FROM t, closed`

// closeLone is closeGate for a gate of one alone.
const (
	closeLone = `WITH t AS MATERIALIZED (SELECT clock_timestamp() + $3 * interval '1 microsecond' AS at), closed AS (
		INSERT INTO lone_gates AS g (key, connection, not_before, reason, announced_by)
		SELECT $1, $2, t.at, $4, $5 FROM t
		ON CONFLICT (key) DO UPDATE SET
			reason = CASE WHEN excluded.not_before > g.not_before THEN excluded.reason ELSE g.reason END,
			announced_by = CASE WHEN excluded.not_before > g.not_before THEN excluded.announced_by ELSE g.announced_by END,
			not_before = greatest(g.not_before, excluded.not_before)
		RETURNING key
	)
	INSERT INTO pauses (bucket, call_id, run_id, reason, not_before) SELECT key, $5, $6, $4, t.at FROM t, closed`
	forgetLone = `DELETE FROM lone_gates WHERE not_before < clock_timestamp() - interval '1 hour'`
)

// Pause closes the gate for every process and records the call that was told, in one commit. A gate is only
// ever closed for longer, never for less long. A pause of more than a hundred years lasts a hundred years.
func (s *Store) Pause(ctx context.Context, p finance.Pause) error {
	us := micros(min(p.For, longestPause))
	reason, call := clean(p.Reason), nullID(p.Call.ID)
	b := &pgx.Batch{}
	closing, gate := closeGate, p.Bucket
	if p.Alone != "" {
		closing, gate = closeLone, p.Alone
		b.Queue(forgetLone)
	}
	b.Queue(closing, gate, p.Call.Connection, us, reason, call, nullInt(p.Call.Scope.Run))
	if !p.Call.ID.IsZero() && !p.Call.Durable {
		queueCall(b, p.Call, finance.CallID{})
	}
	return s.sendBatch(ctx, "close the gate of "+p.Bucket, b)
}
