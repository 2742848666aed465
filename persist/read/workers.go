package read

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// WorkerState is a process that has announced itself.
type WorkerState struct {
	ID        [16]byte
	Host      string
	PID       int
	Version   string
	StartedAt time.Time
	ExpiresAt time.Time // its batches are its own until then
	Alive     bool      // by the database's clock
	Batches   int       // that it holds
}

// Workers lists the processes whose row is still there, the newest first.
func (s *Store) Workers(ctx context.Context) ([]WorkerState, error) {
	rows, err := s.db.Query(ctx, `
		SELECT w.id, w.host, w.pid, w.version, w.started_at, w.expires_at, w.expires_at > now(),
		       (SELECT count(*) FROM batches b WHERE b.holder = w.id AND b.state = 'working')
		FROM workers w ORDER BY w.started_at DESC, w.id`)
	if err != nil {
		return nil, fmt.Errorf("list the workers: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[WorkerState])
	if err != nil {
		return nil, fmt.Errorf("list the workers: %w", err)
	}
	return list, nil
}
