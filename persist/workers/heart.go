package workers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"syncer/calls"
	"syncer/persist/admit"
	"syncer/persist/pg"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// execer is a pool or a connection.
type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Heartbeats speaks for a process over a connection of its own, so that the process is not taken for dead while every
// connection of its pool is busy. It belongs to one goroutine.
type Heartbeats struct {
	store *Store
	conn  *pgx.Conn // nil: none yet, or it broke
}

// Heartbeats makes one. It connects at its first beat.
func (s *Store) Heartbeats() *Heartbeats { return &Heartbeats{store: s} }

// Beat is a [Store.Heartbeat] that takes a third of the lease at most, so that there is time for another. A connection
// that has not answered by then is closed, and the next beat makes a new one.
func (h *Heartbeats) Beat(ctx context.Context, lease time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, lease/3)
	defer cancel()
	if h.conn == nil || h.conn.IsClosed() {
		conn, err := pgx.ConnectConfig(ctx, h.store.db.Whole.Config().ConnConfig)
		if err != nil {
			// A server that has no connection left must not cost the batches.
			return h.store.Heartbeat(ctx, lease)
		}
		h.conn = conn
	}
	return h.store.heartbeat(ctx, h.conn, lease)
}

// Stop closes the connection.
func (h *Heartbeats) Stop(ctx context.Context) {
	if h.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = h.conn.Close(ctx) // nobody is left whom its error would help
}

// Heartbeat says that this process lives and keeps its batches for another lease, by the database's clock.
func (s *Store) Heartbeat(ctx context.Context, lease time.Duration) error {
	return s.heartbeat(ctx, s.db, lease)
}

// named is what this process' configuration names, for the heartbeats to tell.
type named struct {
	mu     sync.Mutex
	jobs   []string               // whose batches it works
	rates  map[string]int64       // microseconds between two slots by connection
	quotas map[string]calls.Quota // of calls a day by connection
}

func newNamed() *named { return &named{rates: map[string]int64{}, quotas: map[string]calls.Quota{}} }

// Works notes the jobs whose batches this process works, for its heartbeats to tell. It comes before
// the first.
func (s *Store) Works(jobs []string) {
	s.named.mu.Lock()
	defer s.named.mu.Unlock()
	s.named.jobs = jobs
}

// NameRate says what this process's configuration names as the rate of a connection; 0: none. From the next
// heartbeat on, and as long as the process lives, nobody calls the connection more often.
func (s *Store) NameRate(connection string, perSecond float64) {
	s.named.mu.Lock()
	defer s.named.mu.Unlock()
	s.named.rates[connection] = admit.SlotInterval(perSecond)
}

// NameQuota says what this process's configuration names as the calls of a day of each bucket of a connection.
// From the next heartbeat on, and as long as the process lives, nobody makes more.
func (s *Store) NameQuota(connection string, quota calls.Quota) {
	s.named.mu.Lock()
	defer s.named.mu.Unlock()
	s.named.quotas[connection] = quota
}

// columns are the parameters of keepAlive from the seventh on: the jobs, the connections that have a rate and the time
// between two of their slots, and the connections that have a quota, with its calls and its turns.
func (n *named) columns() []any {
	turnsOf := admit.TurnsAround(time.Now())
	n.mu.Lock()
	defer n.mu.Unlock()
	var paced, limited, turns []string
	var intervals, perDay []int64
	for connection, interval := range n.rates {
		if interval > 0 {
			paced = append(paced, connection)
			intervals = append(intervals, interval)
		}
	}
	for connection, quota := range n.quotas {
		if quota.PerDay > 0 {
			limited = append(limited, connection)
			perDay = append(perDay, int64(quota.PerDay))
			turns = append(turns, turnsOf(quota))
		}
	}
	return []any{pg.NotNull(n.jobs), paced, intervals, limited, perDay, turns}
}

// The rates and quotas go with the heartbeat because they hold for as long as the process lives, and come back with it
// when it had been taken for dead. Nothing is written where they stand already.
const keepAlive = `WITH alive AS (
		INSERT INTO workers (id, host, pid, version, expires_at, schema_version, jobs, seen_xid, sessions_named)
		VALUES ($1, $2, $3, $4, clock_timestamp() + $5 * interval '1 microsecond', nullif($6::bigint, 0), $7,
			pg_current_xact_id()::text::bigint, current_setting('application_name') = 'syncer/' || $1::uuid)
		ON CONFLICT (id) DO UPDATE SET
			expires_at = excluded.expires_at,
			seen_xid = greatest(workers.seen_xid, excluded.seen_xid),
			sessions_named = excluded.sessions_named,
			jobs = excluded.jobs
		RETURNING id
	), rates AS (
		INSERT INTO worker_rates (connection, worker_id, interval_us)
		SELECT n.connection, alive.id, n.interval_us
		FROM alive, unnest($8::text[], $9::bigint[]) AS n (connection, interval_us)
		WHERE NOT EXISTS (
			SELECT FROM worker_rates r
			WHERE r.connection = n.connection
			AND r.worker_id = $1
			AND r.interval_us = n.interval_us
		)
		ON CONFLICT (connection, worker_id) DO UPDATE SET interval_us = excluded.interval_us
	)
	INSERT INTO worker_quotas (connection, worker_id, per_day, turns)
	SELECT n.connection, alive.id, n.per_day, n.turns
	FROM alive, unnest($10::text[], $11::bigint[], $12::text[]) AS n (connection, per_day, turns)
	WHERE NOT EXISTS (
		SELECT FROM worker_quotas q
		WHERE q.connection = n.connection
		AND q.worker_id = $1
		AND q.per_day = n.per_day
		AND q.turns = n.turns
	)
	ON CONFLICT (connection, worker_id) DO UPDATE SET
		per_day = excluded.per_day,
		turns = excluded.turns`

func (s *Store) heartbeat(ctx context.Context, over execer, lease time.Duration) error {
	w := s.db.Worker
	args := []any{w.ID, w.Host, int32(w.PID), w.Version, pg.Micros(lease), w.Schema}
	if _, err := over.Exec(ctx, keepAlive, append(args, s.named.columns()...)...); err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	return nil
}
