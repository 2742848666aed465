package read

import (
	"context"
	"fmt"

	"syncer/persist/plan"
	"syncer/persist/queue"
)

// RerunNews is what an operator should know before a run is run again.
type RerunNews struct {
	Open      bool  // the run has no verdict yet: it still works, and can't be run again
	Undecided int   // of an open run: items that it has still to decide
	Rerun     int64 // a rerun of it that is going on; 0: none
	Newer     int64 // the newest later run that has proven items which the rerun would take; 0: none has
	Items     int   // how many these are, over all later runs
}

// newerHave are later runs of the same job and window, other than reruns of the root run, that have proven
// what it lacks.
const newerHave = `WITH chosen AS (
	SELECT * FROM unproven_items(@root, @failed, @partial, @classes, @consents)
)
SELECT max(r.id), count(DISTINCT (ch.consent_id, ch.dataset))
FROM chosen ch
JOIN runs root ON root.id = @root
JOIN runs r ON r.job = root.job
	AND r.connection = root.connection
	AND r.id > root.id
	AND r.of_run IS DISTINCT FROM root.id
	AND r.window_from IS NOT DISTINCT FROM root.window_from
	AND r.window_to IS NOT DISTINCT FROM root.window_to
JOIN batches b ON b.run_id = r.id
JOIN items i ON i.batch_id = b.id
	AND i.consent_id = ch.consent_id
	AND i.dataset = ch.dataset
	AND i.outcome IN ('rows', 'empty')`

// RerunNews looks at what has become of a run, and of what it lacks, since.
func (s *Store) RerunNews(ctx context.Context, run int64, sel plan.Selection) (n RerunNews, err error) {
	root, err := queue.LoadRun(ctx, s.db, run)
	if err != nil {
		return n, err
	}
	if root.OfRun != 0 {
		if root, err = queue.LoadRun(ctx, s.db, root.OfRun); err != nil {
			return n, err
		}
	}
	n.Open = root.Verdict == ""
	err = s.db.QueryRow(ctx, `SELECT
		(SELECT count(*) FROM batches b JOIN items i ON i.batch_id = b.id WHERE b.run_id = $1 AND i.outcome IS NULL),
		coalesce((SELECT id FROM runs WHERE of_run = $1 AND verdict IS NULL LIMIT 1), 0)`, root.ID).
		Scan(&n.Undecided, &n.Rerun)
	if err != nil {
		return n, fmt.Errorf("look what has become of run %d: %w", run, err)
	}
	var newer *int64
	if err := s.db.QueryRow(ctx, newerHave, sel.Args(root.ID)).Scan(&newer, &n.Items); err != nil {
		return n, fmt.Errorf("look what later runs have of run %d: %w", run, err)
	}
	if newer != nil {
		n.Newer = *newer
	}
	return n, nil
}
