package plan

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// A record of ticks that was kept for another schedule begins anew. One from before expressions were kept holds for any.
const considerSchedule = `WITH old AS (SELECT * FROM schedules WHERE job = $1)
INSERT INTO schedules AS s (job, considered, expression) VALUES ($1, $3, $2)
ON CONFLICT (job) DO UPDATE SET expression = excluded.expression,
	considered = CASE WHEN s.expression <> excluded.expression THEN greatest(s.considered, excluded.considered) ELSE s.considered END
RETURNING considered, coalesce((SELECT nullif(expression, $2) FROM old), '')`

// Considered is how far the ticks of a job have been fired or skipped under a schedule, which is told apart from
// others by its expression. A job that was never seen, or that had another schedule, begins at the given time: what its
// new schedule would have fired before was not missed. was is the schedule that it had instead.
func (s *Store) Considered(ctx context.Context, job, expression string, begin time.Time) (at time.Time, was string, err error) {
	err = s.db.QueryRow(ctx, considerSchedule, job, expression, begin).Scan(&at, &was)
	if err != nil {
		return at, was, fmt.Errorf("load the schedule of %s: %w", job, err)
	}
	return at, was, nil
}

// Unschedule forgets how far the ticks of a job were considered, because it has no schedule. If it gets one again, the
// time between was not missed.
func (s *Store) Unschedule(ctx context.Context, job string) error {
	if _, err := s.db.Exec(ctx, `DELETE FROM schedules WHERE job = $1`, job); err != nil {
		return fmt.Errorf("forget the schedule of %s: %w", job, err)
	}
	return nil
}

// ForgetSchedules forgets how far the ticks of all jobs but these were considered, because there are no
// such jobs any more, and gives the names of those that it has forgotten. One that is given back begins
// then.
func (s *Store) ForgetSchedules(ctx context.Context, but []string) ([]string, error) {
	rows, err := s.db.Query(ctx, `DELETE FROM schedules WHERE job <> ALL ($1) RETURNING job`, pg.NotNull(but))
	return pg.AllRows(rows, err, pgx.RowTo[string], "forget the schedules of jobs that are not configured any more")
}

// ScheduleExpression is the schedule that the ticks of a job were last considered under; empty: they
// never were.
func (s *Store) ScheduleExpression(ctx context.Context, job string) (expression string, err error) {
	err = s.db.QueryRow(ctx, `SELECT coalesce(max(expression), '') FROM schedules WHERE job = $1`, job).
		Scan(&expression)
	if err != nil {
		return "", fmt.Errorf("load the schedule of %s: %w", job, err)
	}
	return expression, nil
}

// AdvanceSchedule says that the ticks of a job up to a time have been fired or skipped. It never goes back.
func (s *Store) AdvanceSchedule(ctx context.Context, job string, to time.Time) error {
	_, err := s.db.Exec(ctx, `UPDATE schedules SET considered = $2 WHERE job = $1 AND considered < $2`, job, to)
	if err != nil {
		return fmt.Errorf("advance the schedule of %s: %w", job, err)
	}
	return nil
}
