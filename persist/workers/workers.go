package workers

import (
	"context"
	"fmt"
	"time"

	"syncer/finance"
	"syncer/persist/pg"
)

// Leave says that this process holds nothing any more, so that what it could not give back is free at once.
func (s *Store) Leave(ctx context.Context) error {
	if _, err := s.db.Exec(ctx, `DELETE FROM workers WHERE id = $1`, s.db.Worker.ID); err != nil {
		return fmt.Errorf("withdraw the process from the workers: %w", err)
	}
	return nil
}

// forgetAfter is how long the row of a silent process is kept for people to see.
const forgetAfter = time.Hour

// ForgetWorkers removes the rows of processes that have been silent for an hour after their lease.
func (s *Store) ForgetWorkers(ctx context.Context) (int, error) {
	tag, err := s.db.Exec(ctx, `DELETE FROM workers WHERE expires_at < clock_timestamp() - $1 * interval '1 microsecond'`, pg.Micros(forgetAfter))
	if err != nil {
		return 0, fmt.Errorf("forget silent workers: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// ApplicationName is what the connections of a worker's process must be called in Postgres, so that they can be found
// when the process is silent.
func ApplicationName(worker [16]byte) string { return "syncer/" + finance.CallID(worker).String() }

// Working counts the living processes that work a job.
func (s *Store) Working(ctx context.Context, job string) (n int, err error) {
	err = s.db.QueryRow(ctx, `SELECT count(*)
		FROM workers
		WHERE expires_at > clock_timestamp()
		AND $1 = ANY (jobs)`, job).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("look who works %s: %w", job, err)
	}
	return n, nil
}

// Alive says whether this process' own heartbeat is fresh by the database's clock: no other may take its batches.
func (s *Store) Alive(ctx context.Context) (bool, error) {
	var alive bool
	err := s.db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM workers WHERE id = $1 AND expires_at > now())`, s.db.Worker.ID).Scan(&alive)
	if err != nil {
		return false, fmt.Errorf("look at the own heartbeat: %w", err)
	}
	return alive, nil
}
