package admit

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// ClosedGate is a gate that lets nobody through just now: it is closed by a pause, or the slots of its rate are given out
// until far ahead.
type ClosedGate struct {
	Name       string // the bucket's, or that of one alone
	Connection string
	Alone      bool           // it holds up one consent or account, and nobody else
	Until      time.Time      // never in the past
	Left       time.Duration  // until then
	Reason     string         // of a pause
	Rate       bool           // it waits for its rate, and no pause has closed it
	Pace       time.Duration  // between two calls by that rate; zero: it is that of another process
	Call       finance.CallID // that was told; zero: not known
}

// Stops says that the gate holds up everybody who works over the connection: its own bucket is closed, or that of its
// tokens, and not only a part of it.
func (g ClosedGate) Stops() bool {
	bucket, _, _ := strings.Cut(g.Name, "@")
	whole := bucket == g.Connection || bucket == g.Connection+"/token"
	return whole && !g.Alone
}

// ClosedGates are the gates that are closed now, of connection $1 or of all, those that are closed longest first. A gate waits
// for its rate where the next slot is more than a minute ahead, and that for one slow rate, or so far ahead that it can't be the
// ordinary queue of a night.
const ClosedGates = `
	SELECT g.name, g.connection, g.alone, least(g.not_before, clock_timestamp() + interval '100 years'),
		micros_until(g.not_before, clock_timestamp()), g.reason, g.rate, g.pace_us, g.announced_by
	FROM (
		SELECT bucket AS name, connection, false AS alone, not_before, reason, false AS rate, 0 AS pace_us, announced_by
		FROM gates
		UNION ALL
		SELECT bucket, connection, false, next_slot, '', true, slot_us, NULL
		FROM gates
		WHERE next_slot > greatest(not_before, clock_timestamp() + interval '1 minute')
		AND (slot_us >= 30000000 OR next_slot > clock_timestamp() + interval '10 minutes')
		UNION ALL
		SELECT key, connection, strpos(key, '#') > 0, not_before, reason, false, 0, announced_by
		FROM lone_gates
	) AS g
	WHERE g.not_before > clock_timestamp()
	AND ($1 = '' OR g.connection = $1)
	ORDER BY g.alone, g.not_before DESC, g.name`

// ScanClosedGate reads a row of closedGates.
func ScanClosedGate(row pgx.CollectableRow) (g ClosedGate, err error) {
	var left, pace int64
	var call *[16]byte
	err = row.Scan(&g.Name, &g.Connection, &g.Alone, &g.Until, &left, &g.Reason, &g.Rate, &pace, &call)
	if call != nil {
		g.Call = finance.CallID(*call)
	}
	g.Left = pg.FromMicros(left)
	g.Pace = pg.FromMicros(pace)
	return g, err
}

// ClosedGates are the gates that are closed now, of one connection, or of all where the name is empty.
func (s *Store) ClosedGates(ctx context.Context, connection string) ([]ClosedGate, error) {
	rows, err := s.db.Query(ctx, ClosedGates, connection)
	return pg.AllRows(rows, err, ScanClosedGate, "list the closed gates")
}

// LongPause is from when on a pause may be ended by an operator. A shorter one is waited for: it is the provider's word,
// and over soon.
const LongPause = 24 * time.Hour

// A gate is closed for long if that is so from now on, or was when it was told.
const endPauses = `
	WITH told AS MATERIALIZED (
		SELECT bucket, max(not_before) AS not_before FROM pauses
		WHERE not_before > clock_timestamp()
		AND not_before >= announced_at + $2 * interval '1 microsecond'
		AND ended_at IS NULL
		GROUP BY bucket
	), buckets AS MATERIALIZED (
		SELECT g.bucket AS name, g.connection, false AS alone, g.not_before, g.reason, g.announced_by
		FROM gates g LEFT JOIN told t USING (bucket)
		WHERE g.connection = $1
		AND g.not_before > clock_timestamp()
		AND (g.not_before > clock_timestamp() + $2 * interval '1 microsecond' OR g.not_before <= t.not_before)
		ORDER BY g.bucket FOR UPDATE OF g
	), lone AS (
		DELETE FROM lone_gates g
		WHERE g.connection = $1
		AND g.not_before > clock_timestamp()
		AND (g.not_before > clock_timestamp() + $2 * interval '1 microsecond' OR EXISTS (
			SELECT FROM told t WHERE t.bucket = g.key AND g.not_before <= t.not_before))
		RETURNING g.key, g.connection, strpos(g.key, '#') > 0, g.not_before, g.reason, g.announced_by
	), long AS MATERIALIZED (
		SELECT * FROM buckets UNION ALL SELECT * FROM lone
	), opened AS (
		UPDATE gates g SET
			not_before = clock_timestamp(),
			next_slot = clock_timestamp(),
			probing = true,
			probe = NULL,
			probe_until = '-infinity',
			refusals = greatest(g.refusals, 1)
		FROM buckets l WHERE g.bucket = l.name
	), ended AS (
		UPDATE pauses p SET ended_at = clock_timestamp(), ended_reason = $3
		FROM long l WHERE p.bucket = l.name AND p.not_before > clock_timestamp()
	), woken AS (
		UPDATE batches b SET wake_at = clock_timestamp()
		FROM runs r WHERE r.id = b.run_id
		AND r.connection = $1
		AND b.state = 'parked'
		AND b.wake_at > clock_timestamp()
		AND EXISTS (SELECT FROM long)
	)
	SELECT name, connection, alone, least(not_before, clock_timestamp() + interval '100 years'),
		micros_until(not_before, clock_timestamp()), reason, false, 0, announced_by
	FROM long ORDER BY name`

// EndPauses opens the gates of a connection that are closed for longer than LongPause, although their provider has not
// said that they may be. It gives them as they were. One call asks, and the others wait for what it hears. Why it was done
// stands beside the pauses, and the batches that are parked are woken.
func (s *Store) EndPauses(ctx context.Context, connection, reason string) ([]ClosedGate, error) {
	rows, err := s.db.Query(ctx, endPauses, connection, pg.Micros(LongPause), pg.Clean(reason))
	return pg.AllRows(rows, err, ScanClosedGate, fmt.Sprintf("end the pauses of connection %s", connection))
}
