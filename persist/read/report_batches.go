package read

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/admit"
	"syncer/persist/pg"
	"syncer/persist/queue"
)

// batchStates are the batches of a run by their states, and for how long and why those wait that wait.
//
// A run of which a batch is being worked does not wait because another batch of it stands in line. Of two runs whose batches
// stand behind each other's, which take turns, the older one does not wait: each would say that it waits for the other.
const batchStates = `WITH mine AS (
	SELECT b.*,
		b.state = 'parked' AND b.wake_at > clock_timestamp() AS asleep,
		b.behind_run IS NOT NULL AND (
			EXISTS (SELECT FROM batches o WHERE o.run_id = @run AND o.state = 'working')
			OR b.behind_run > @run AND EXISTS (SELECT FROM batches o WHERE o.run_id = b.behind_run AND o.behind_run = @run)
		) AS passing
	FROM batches b
	WHERE b.run_id = @run
)
SELECT count(*) FILTER (WHERE state = 'pending'),
	count(*) FILTER (WHERE state = 'working'),
	count(*) FILTER (WHERE state = 'parked'),
	count(*) FILTER (WHERE state = 'done'),
	min(wake_at) FILTER (WHERE asleep AND NOT passing),
	coalesce((array_agg(park_reason ORDER BY wake_at) FILTER (WHERE asleep AND NOT passing))[1], '')
FROM mine`

func reportBatches(ctx context.Context, tx pgx.Tx, r *Report) error {
	var parked *time.Time
	err := tx.QueryRow(ctx, batchStates, pgx.NamedArgs{"run": r.Run.ID}).
		Scan(&r.Batches.Pending, &r.Batches.Working, &r.Batches.Parked, &r.Batches.Done, &parked, &r.ParkReason)
	if err != nil {
		return err
	}
	r.ParkedUntil = pg.OrZero(parked)
	if r.Running = r.Run.Verdict == ""; r.Running {
		rows, err := tx.Query(ctx, admit.ClosedGates, r.Run.Connection)
		if r.Gates, err = pg.AllRows(rows, err, admit.ScanClosedGate, "list the closed gates"); err != nil {
			return err
		}
	}
	r.Wall = r.Run.SettledAt.Sub(r.Run.CreatedAt)
	if r.Running {
		return tx.QueryRow(ctx, `SELECT clock_timestamp() - $1`, r.Run.CreatedAt).Scan(&r.Wall)
	}
	return nil
}

// nobodyWorks says whether no living process works a job, nor holds a batch of its run. Processes that work the windows of a
// backfill alone name no jobs.
const nobodyWorks = `SELECT NOT EXISTS (
	SELECT FROM workers w
	WHERE w.expires_at > clock_timestamp()
	AND (
		@job = ANY (w.jobs)
		OR @window AND w.jobs = '{}'
		OR EXISTS (SELECT FROM batches b WHERE b.run_id = @run AND b.holder = w.id)
	)
)`

// unworkedRuns are open runs that nobody works, the oldest first. Whoever plans one is given a minute to work it.
const unworkedRuns = `SELECT ` + queue.RunColumns + `
	FROM runs r
	WHERE r.verdict IS NULL
	AND r.created_at < clock_timestamp() - interval '1 minute'
	AND NOT EXISTS (
		SELECT FROM workers w
		WHERE w.expires_at > clock_timestamp()
		AND (
			r.job = ANY (w.jobs)
			OR r.window_from IS NOT NULL AND w.jobs = '{}'
			OR EXISTS (SELECT FROM batches b WHERE b.run_id = r.id AND b.holder = w.id)
		)
	)
	ORDER BY r.id
	LIMIT $1`

// Unworked are open runs that no living process works, at most so many.
func (s *Store) Unworked(ctx context.Context, most int) ([]queue.Run, error) {
	rows, err := s.db.Query(ctx, unworkedRuns, most)
	return pg.AllRows(rows, err, queue.ScanRun, "look for runs that nobody works")
}

// reportUnworked says whether nobody works an open run.
func reportUnworked(ctx context.Context, tx pgx.Tx, r *Report) error {
	if !r.Running {
		return nil
	}
	return tx.QueryRow(ctx, nobodyWorks, pgx.NamedArgs{
		"job": r.Run.Job, "run": r.Run.ID, "window": !r.Run.WindowFrom.IsZero(),
	}).Scan(&r.Unworked)
}
