package persist

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

const runColumns = `r.id, r.job, r.connection, r.kind, r.scheduled_for, coalesce(r.of_run, 0), r.datasets, r.window_from,
	r.window_to, r.expected, r.skipped, r.overlapped,
	coalesce(r.verdict, ''), r.created_at, r.settled_at`

func scanRun(row pgx.CollectableRow) (Run, error) {
	var r Run
	var datasets []string
	var from, to, settled *time.Time
	err := row.Scan(&r.ID, &r.Job, &r.Connection, &r.Kind, &r.ScheduledFor, &r.OfRun, &datasets, &from, &to, &r.Expected,
		&r.Skipped, &r.Overlapped, &r.Verdict, &r.CreatedAt, &settled)
	r.Datasets, r.WindowFrom, r.WindowTo = toDatasets(datasets), toDate(from), toDate(to)
	if settled != nil {
		r.SettledAt = *settled
	}
	return r, err
}

func (s *Store) runBy(ctx context.Context, where string, args ...any) (Run, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+runColumns+` FROM runs r WHERE `+where, args...)
	if err != nil {
		return Run{}, fmt.Errorf("load a run: %w", err)
	}
	run, err := pgx.CollectExactlyOneRow(rows, scanRun)
	if errors.Is(err, pgx.ErrNoRows) {
		return run, ErrNotFound
	}
	if err != nil {
		return run, fmt.Errorf("load a run: %w", err)
	}
	return run, nil
}

// RunByID is the run of that id, or ErrNotFound.
func (s *Store) RunByID(ctx context.Context, id int64) (Run, error) {
	run, err := s.runBy(ctx, `r.id = $1`, id)
	if err != nil {
		return run, fmt.Errorf("run %d: %w", id, err)
	}
	return run, nil
}

// UnfinishedRun is the newest manual or scheduled run of a job that is not settled.
func (s *Store) UnfinishedRun(ctx context.Context, job string) (Run, bool, error) {
	run, err := s.runBy(ctx, `r.job = $1 AND r.verdict IS NULL AND r.kind IN ('manual', 'scheduled')
		ORDER BY r.id DESC LIMIT 1`, job)
	if errors.Is(err, ErrNotFound) {
		return run, false, nil
	}
	return run, err == nil, err
}

// UnfinishedBackfill is a job's newest backfill of this window that has no verdict yet, if there is one.
func (s *Store) UnfinishedBackfill(ctx context.Context, job string, from, to finance.Date) (Run, bool, error) {
	run, err := s.runBy(ctx, `r.job = $1 AND r.verdict IS NULL AND r.kind = 'backfill' AND r.window_from = $2 AND r.window_to = $3
		ORDER BY r.id DESC LIMIT 1`, job, from.Time(), to.Time())
	if errors.Is(err, ErrNotFound) {
		return run, false, nil
	}
	return run, err == nil, err
}

// Runs lists runs, the newest first.
func (s *Store) Runs(ctx context.Context, f RunFilter) ([]Run, error) {
	if f.Limit == 0 {
		f.Limit = 100
	}
	rows, err := s.pool.Query(ctx, `SELECT `+runColumns+` FROM runs r WHERE ($1 = '' OR r.job = $1) AND ($2 = '' OR r.kind = $2)
		AND ($3 = '' OR r.verdict = $3) AND (NOT $4 OR r.verdict IS NULL) AND ($5 = 0 OR r.id < $5)
		ORDER BY r.id DESC LIMIT $6`, f.Job, f.Kind, f.Verdict, f.Open, f.Before, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	runs, err := pgx.CollectRows(rows, scanRun)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return runs, nil
}

// Unsettled are the runs that wait for nothing but their verdict: every batch is done.
func (s *Store) Unsettled(ctx context.Context) ([]int64, error) {
	rows, err := s.pool.Query(ctx, `SELECT id FROM runs r WHERE verdict IS NULL
		AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.run_id = r.id AND b.state <> 'done') ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("look for unsettled runs: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("look for unsettled runs: %w", err)
	}
	return ids, nil
}

// verdictOf computes the verdict of run $1 from the effective outcomes of a root run's items, or from a run's own.
//
// partial, whatever else: fewer items are there than planning wrote, or there are none at all. Nothing was read then, and
// "complete" would let somebody think that it was.
// failed: there were items and every one that is not excused failed.
// complete: each is rows, empty or excused with a reason that holds, and planning left none to an earlier run. That the reads
// of the day were spent, or that an item's turn never came, is no such reason: the data is there and was not read.
// partial: everything between.
const verdictOf = `SELECT CASE
	WHEN count(*) < (SELECT expected FROM runs WHERE id = $1) THEN 'partial'
	WHEN count(*) = 0 THEN 'partial'
	WHEN count(*) FILTER (WHERE outcome = 'failed') > 0
		AND count(*) FILTER (WHERE outcome = 'failed') = count(*) FILTER (WHERE outcome IS DISTINCT FROM 'excused') THEN 'failed'
	WHEN count(*) FILTER (WHERE outcome IS NULL OR outcome IN ('failed', 'partial')) = 0
		AND count(*) FILTER (WHERE outcome = 'excused' AND class IN ('spent', 'unasked')) = 0
		AND (SELECT overlapped FROM runs WHERE id = $1) = 0 THEN 'complete'
	ELSE 'partial' END FROM `

const ownItems = `(SELECT i.outcome, i.class FROM batches b JOIN items i ON i.batch_id = b.id WHERE b.run_id = $1) x`

// setVerdict settles run $1 by its own items, setRootVerdict a settled root run by the latest outcome of each item.
const (
	setVerdict = `UPDATE runs SET verdict = (` + verdictOf + ownItems + `), settled_at = coalesce(settled_at, clock_timestamp())
		WHERE id = $1 RETURNING verdict`
	setRootVerdict = `UPDATE runs SET verdict = (` + verdictOf + `effective_items WHERE root_run = $1)
		WHERE id = $1 AND verdict IS NOT NULL`
)

// Settle computes the verdict of a run whose batches are all done, and writes it last. A rerun settles its root run
// anew, over the latest outcome of each item. settled is false while a batch is open; a settled run keeps its verdict.
func (s *Store) Settle(ctx context.Context, run int64) (verdict Verdict, settled bool, err error) {
	err = s.inTx(ctx, fmt.Sprintf("settle run %d", run), func(tx pgx.Tx) error {
		var root *int64
		err := tx.QueryRow(ctx, `SELECT coalesce(verdict, ''), of_run FROM runs WHERE id = $1 FOR NO KEY UPDATE`, run).Scan(&verdict, &root)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil || verdict != "" {
			return err
		}
		var open bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM batches WHERE run_id = $1 AND state <> 'done')`, run).Scan(&open); err != nil || open {
			return err
		}
		if root != nil {
			if _, err := tx.Exec(ctx, setRootVerdict, *root); err != nil {
				return err
			}
		}
		settled = true
		return tx.QueryRow(ctx, setVerdict, run).Scan(&verdict)
	})
	return verdict, settled, err
}

// RunReport is what is known of a run; see Report.
func (s *Store) RunReport(ctx context.Context, run int64) (Report, error) {
	return s.report(ctx, run, reportConnection, reportCounts, reportCalls, reportItems, reportBatches, reportGuards)
}

// RunProgress is RunReport without the lists of items: for those who look at a run again and again while it works.
func (s *Store) RunProgress(ctx context.Context, run int64) (Report, error) {
	return s.report(ctx, run, reportConnection, reportCounts, reportCalls, reportBatches, reportGuards)
}

func (s *Store) report(ctx context.Context, run int64, parts ...func(context.Context, pgx.Tx, *Report) error) (Report, error) {
	var r Report
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) (err error) {
		rows, err := tx.Query(ctx, `SELECT `+runColumns+` FROM runs r WHERE r.id = $1`, run)
		if err != nil {
			return err
		}
		r.Run, err = pgx.CollectExactlyOneRow(rows, scanRun)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		}
		for _, part := range parts {
			if err == nil {
				err = part(ctx, tx, &r)
			}
		}
		return err
	})
	if err != nil {
		return r, fmt.Errorf("report on run %d: %w", run, err)
	}
	return r, nil
}

// standing are the items a report speaks of: those of a root run as they stand after its reruns, those of a rerun as
// they are.
const standing = `(SELECT root_run, run_id, batch_id, consent_id, dataset, outcome, class, reason, correlation_id, call_id, pages,
	records, inserted, updated, removed, quarantined, started_at, finished_at FROM effective_items WHERE root_run = $1 AND NOT $2
	UNION ALL SELECT b.run_id, b.run_id, i.batch_id, i.consent_id, i.dataset, i.outcome, i.class, i.reason, i.correlation_id, i.call_id,
	i.pages, i.records, i.inserted, i.updated, i.removed, i.quarantined, i.started_at, i.finished_at
	FROM batches b JOIN items i ON i.batch_id = b.id WHERE b.run_id = $1 AND $2) x`

func reportConnection(ctx context.Context, tx pgx.Tx, r *Report) error {
	rows, err := tx.Query(ctx, `SELECT `+connectionColumns+` FROM connections WHERE name = $1`, r.Run.Connection)
	if err != nil {
		return err
	}
	r.Over, err = pgx.CollectExactlyOneRow(rows, scanConnection)
	return err
}

func reportCounts(ctx context.Context, tx pgx.Tx, r *Report) error {
	rows, err := tx.Query(ctx, `SELECT dataset, count(*), count(*) FILTER (WHERE outcome = 'rows'), count(*) FILTER (WHERE outcome = 'empty'),
		count(*) FILTER (WHERE outcome = 'partial'), count(*) FILTER (WHERE outcome = 'excused'),
		count(*) FILTER (WHERE outcome = 'failed'), count(*) FILTER (WHERE outcome IS NULL),
		coalesce(sum(records), 0), coalesce(sum(inserted), 0), coalesce(sum(updated), 0), coalesce(sum(removed), 0), coalesce(sum(quarantined), 0)
		FROM `+standing+` GROUP BY dataset ORDER BY array_position(ARRAY['accounts', 'transactions', 'debt'], dataset)`,
		r.Run.ID, r.Run.Kind == Rerun)
	if err != nil {
		return err
	}
	if r.Counts, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Counts]); err != nil {
		return err
	}
	rows, err = tx.Query(ctx, `SELECT id FROM runs WHERE of_run = $1 ORDER BY id`, r.Run.ID)
	if err != nil {
		return err
	}
	r.Reruns, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	return err
}

func reportCalls(ctx context.Context, tx pgx.Tx, r *Report) error {
	rows, err := tx.Query(ctx, `SELECT class, count(*) FROM calls WHERE run_id = $1 GROUP BY class ORDER BY 2 DESC, 1`, r.Run.ID)
	if err != nil {
		return err
	}
	if r.ByClass, err = pgx.CollectRows(rows, pgx.RowToStructByPos[ClassCount]); err != nil {
		return err
	}
	for _, c := range r.ByClass {
		r.Calls += c.Calls
	}
	var paused float64
	var failed string
	err = tx.QueryRow(ctx, runPauses, r.Run.ID, finance.PauseByBreaker).
		Scan(&r.Pauses, &paused, &r.LeftAlone, &failed)
	r.Paused = time.Duration(paused * float64(time.Second))
	r.FailedWith = strings.TrimPrefix(failed, finance.PauseByBreaker+": ")
	return err
}

// runPauses tells what the provider has announced to run $1 from what it was spared because it failed, $2.
const runPauses = `
	SELECT count(*) FILTER (WHERE NOT spared),
		coalesce(sum(extract(epoch FROM until - announced_at)) FILTER (WHERE NOT spared), 0),
		count(*) FILTER (WHERE spared),
		coalesce((array_agg(reason ORDER BY id DESC) FILTER (WHERE spared))[1], '')
	FROM (
		SELECT id, reason, announced_at, starts_with(reason, $2) AS spared,
			least(not_before, ended_at, announced_at + interval '10 years') AS until
		FROM pauses WHERE run_id = $1
	) AS told`

func reportItems(ctx context.Context, tx pgx.Tx, r *Report) error {
	rows, err := tx.Query(ctx, `SELECT batch_id, consent_id, dataset, finished_at - started_at, pages FROM `+standing+`
		WHERE finished_at IS NOT NULL AND started_at IS NOT NULL ORDER BY 4 DESC, 2 LIMIT 10`, r.Run.ID, r.Run.Kind == Rerun)
	if err != nil {
		return err
	}
	if r.Slowest, err = pgx.CollectRows(rows, pgx.RowToStructByPos[SlowItem]); err != nil {
		return err
	}
	rows, err = tx.Query(ctx, notComplete+` LIMIT $3`, r.Run.ID, r.Run.Kind == Rerun, reportedItems)
	if err != nil {
		return err
	}
	if r.NotComplete, err = pgx.CollectRows(rows, scanOpenItem); err != nil {
		return err
	}
	rows, err = tx.Query(ctx, withheldItems+` LIMIT $3`, r.Run.ID, r.Run.Kind == Rerun, reportedItems)
	if err != nil {
		return err
	}
	r.Withheld, err = pgx.CollectRows(rows, scanOpenItem)
	return err
}

// reportedItems bounds Report.NotComplete and Report.Withheld: people read them.
const reportedItems = 1000

const openItem = `SELECT run_id, batch_id, consent_id, dataset, coalesce(outcome, ''), coalesce(class, ''), coalesce(reason, ''),
	coalesce(correlation_id, ''), call_id FROM ` + standing

const (
	notComplete = openItem + ` WHERE coalesce(outcome, '') NOT IN ('rows', 'empty')
		ORDER BY array_position(ARRAY['failed', 'partial', 'excused'], outcome), consent_id, dataset`
	withheldItems = openItem + ` WHERE outcome IN ('rows', 'empty') AND class = 'withheld' ORDER BY consent_id, dataset`
)

func scanOpenItem(row pgx.CollectableRow) (i OpenItem, err error) {
	var call *[16]byte
	err = row.Scan(&i.Run, &i.Batch, &i.Consent, &i.Dataset, &i.Outcome, &i.Class, &i.Reason, &i.Correlation, &call)
	if call != nil {
		i.Call = finance.CallID(*call)
	}
	return i, err
}

// NotComplete is Report.NotComplete of a run without its bound.
func (s *Store) NotComplete(ctx context.Context, run Run) ([]OpenItem, error) {
	rows, err := s.pool.Query(ctx, notComplete, run.ID, run.Kind == Rerun)
	if err != nil {
		return nil, fmt.Errorf("list what is not complete of run %d: %w", run.ID, err)
	}
	items, err := pgx.CollectRows(rows, scanOpenItem)
	if err != nil {
		return nil, fmt.Errorf("list what is not complete of run %d: %w", run.ID, err)
	}
	return items, nil
}

func reportBatches(ctx context.Context, tx pgx.Tx, r *Report) error {
	var parked *time.Time
	err := tx.QueryRow(ctx, `SELECT count(*) FILTER (WHERE state = 'pending'), count(*) FILTER (WHERE state = 'working'),
		count(*) FILTER (WHERE state = 'parked'), count(*) FILTER (WHERE state = 'done'), min(wake_at) FILTER (WHERE asleep),
		coalesce((array_agg(park_reason ORDER BY wake_at) FILTER (WHERE asleep))[1], '')
		FROM (SELECT *, state = 'parked' AND wake_at > clock_timestamp() AS asleep FROM batches WHERE run_id = $1) AS b`, r.Run.ID).
		Scan(&r.Batches.Pending, &r.Batches.Working, &r.Batches.Parked, &r.Batches.Done, &parked, &r.ParkReason)
	if err != nil {
		return err
	}
	if parked != nil {
		r.ParkedUntil = *parked
	}
	if r.Running = r.Run.Verdict == ""; r.Running {
		rows, err := tx.Query(ctx, closedGates, r.Run.Connection)
		if r.Gates, err = allRows(rows, err, scanClosedGate, "list the closed gates"); err != nil {
			return err
		}
	}
	r.Wall = r.Run.SettledAt.Sub(r.Run.CreatedAt)
	if r.Running {
		return tx.QueryRow(ctx, `SELECT clock_timestamp() - $1`, r.Run.CreatedAt).Scan(&r.Wall)
	}
	return nil
}
