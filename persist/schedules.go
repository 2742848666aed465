package persist

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Considered is how far the ticks of a job have been fired or skipped. ok is false for a job that was never seen.
func (s *Store) Considered(ctx context.Context, job string) (at time.Time, ok bool, err error) {
	err = s.pool.QueryRow(ctx, `SELECT considered FROM schedules WHERE job = $1`, job).Scan(&at)
	if errors.Is(err, pgx.ErrNoRows) {
		return at, false, nil
	}
	if err != nil {
		return at, false, fmt.Errorf("load the schedule of %s: %w", job, err)
	}
	return at, true, nil
}

// AdvanceSchedule says that the ticks of a job up to a time have been fired or skipped. It never goes back.
func (s *Store) AdvanceSchedule(ctx context.Context, job string, to time.Time) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO schedules AS s (job, considered) VALUES ($1, $2)
		ON CONFLICT (job) DO UPDATE SET considered = excluded.considered WHERE s.considered < excluded.considered`, job, to)
	if err != nil {
		return fmt.Errorf("advance the schedule of %s: %w", job, err)
	}
	return nil
}
