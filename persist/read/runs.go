package read

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
	"syncer/persist/queue"
)

// RunFilter chooses runs; zero fields choose all.
type RunFilter struct {
	Job     string
	Kind    queue.RunKind
	Verdict queue.Verdict
	Open    bool  // only runs that are not settled
	Before  int64 // only runs with a smaller id: the next page of a list that shows the newest first
	Limit   int   // 0: 100
}

// lastOfJobs looks each job up by the key of its nominal times, which takes as many steps as there are jobs, however many
// runs they have.
const lastOfJobs = `WITH RECURSIVE jobs AS (
	(SELECT min(job) AS job FROM runs)
	UNION ALL
	SELECT (SELECT min(r.job) FROM runs r WHERE r.job > jobs.job) FROM jobs WHERE jobs.job IS NOT NULL
)
SELECT ` + queue.RunColumns + `
FROM jobs
JOIN LATERAL (
	SELECT * FROM runs l
	WHERE l.job = jobs.job
	AND l.verdict IS NOT NULL
	AND l.of_run IS NULL
	AND l.window_from IS NULL
	ORDER BY l.scheduled_for DESC
	LIMIT 1
) r ON true
ORDER BY r.id DESC
LIMIT 100`

// LastOfJobs is the newest run with a verdict of every job, backfills and reruns left out; a rerun settles its run anew. The
// job that was run last comes first.
func (s *Store) LastOfJobs(ctx context.Context) ([]queue.Run, error) {
	rows, err := s.db.Query(ctx, lastOfJobs)
	return pg.AllRows(rows, err, queue.ScanRun, "look for the last run of every job")
}

// Runs lists runs, the newest first.
func (s *Store) Runs(ctx context.Context, f RunFilter) ([]queue.Run, error) {
	if f.Limit == 0 {
		f.Limit = 100
	}
	rows, err := s.db.Query(ctx, `SELECT `+queue.RunColumns+` FROM runs r WHERE ($1 = '' OR r.job = $1) AND ($2 = '' OR r.kind = $2)
		AND ($3 = '' OR r.verdict = $3) AND (NOT $4 OR r.verdict IS NULL) AND ($5 = 0 OR r.id < $5)
		ORDER BY r.id DESC LIMIT $6`, f.Job, f.Kind, f.Verdict, f.Open, f.Before, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	runs, err := pgx.CollectRows(rows, queue.ScanRun)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return runs, nil
}
