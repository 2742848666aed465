package persist

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Heart speaks for a process over a connection of its own, so that the process is not taken for dead while every
// connection of its pool is busy. It belongs to one goroutine.
type Heart struct {
	store *Store
	conn  *pgx.Conn // nil: none yet, or it broke
}

// Heart makes one. It connects at its first beat.
func (s *Store) Heart() *Heart { return &Heart{store: s} }

// Beat is a [Store.Heartbeat] that takes a third of the lease at most, so that there is time for another. A connection
// that has not answered by then is closed, and the next beat makes a new one.
func (h *Heart) Beat(ctx context.Context, lease time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, lease/3)
	defer cancel()
	if h.conn == nil || h.conn.IsClosed() {
		conn, err := pgx.ConnectConfig(ctx, h.store.pool.Config().ConnConfig)
		if err != nil {
			// A server that has no connection left must not cost the batches.
			return h.store.Heartbeat(ctx, lease)
		}
		h.conn = conn
	}
	return h.store.heartbeat(ctx, h.conn, lease)
}

// Stop closes the connection.
func (h *Heart) Stop(ctx context.Context) {
	if h.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = h.conn.Close(ctx) // nobody is left whom its error would help
}

// Heartbeat says that this process lives and keeps its batches for another lease, by the database's clock.
func (s *Store) Heartbeat(ctx context.Context, lease time.Duration) error {
	return s.heartbeat(ctx, s.pool, lease)
}

func (s *Store) heartbeat(ctx context.Context, over execer, lease time.Duration) error {
	_, err := over.Exec(ctx, `INSERT INTO workers (id, host, pid, version, expires_at)
		VALUES ($1, $2, $3, $4, clock_timestamp() + $5 * interval '1 microsecond')
		ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at`,
		s.worker.ID, s.worker.Host, int32(s.worker.PID), s.worker.Version, micros(lease))
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	return nil
}
