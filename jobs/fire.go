package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"syncer/finance"
	"syncer/persist"
)

// Fire makes the run of a job for a nominal time, unless there is one already: then it gives that one and created is
// false. The database forbids doubles, so any number of processes may fire the same tick.
//
// A provider that publishes what happens to consents is asked first, so that none is called for in vain.
func (e *Engine) Fire(ctx context.Context, job Job, kind persist.RunKind, at time.Time) (run persist.Run, created bool, err error) {
	if err := e.refreshConsents(ctx, job.Connection); err != nil {
		return persist.Run{}, false, err
	}
	return e.plan(ctx, persist.RunSpec{
		Job: job.Name, Connection: job.Connection, Kind: kind, ScheduledFor: at,
		Datasets: job.Datasets, BatchSize: job.BatchSize, Purposes: job.Purposes,
	})
}

func (e *Engine) plan(ctx context.Context, spec persist.RunSpec) (persist.Run, bool, error) {
	if _, err := e.Store.ExpireConsents(ctx); err != nil {
		return persist.Run{}, false, err
	}
	run, created, err := e.Store.PlanRun(ctx, spec, e.bells.enqueue(spec.Job))
	if err != nil {
		return run, false, fmt.Errorf("plan a run of %s for %s: %w", spec.Job, spec.ScheduledFor.Format(time.RFC3339), err)
	}
	if created {
		e.Log.Info().Int64("run", run.ID).Str("job", run.Job).Str("kind", string(run.Kind)).
			Time("scheduled_for", run.ScheduledFor).Int("items", run.Expected).Msg("run planned")
		if run.Overlapped > 0 {
			e.Log.Warn().Int64("run", run.ID).Str("job", run.Job).Int("items", run.Overlapped).
				Msg("items are left to an earlier run of the job, which has not decided them yet")
		}
		// A run without consents has nothing to wait for.
		err = e.settle(ctx, run.ID)
	}
	return run, created, err
}

// Window is a range of days, both included.
type Window struct{ From, To finance.Date }

// Windows cuts a range into pieces of at most the given number of days, oldest first.
func Windows(from, to finance.Date, days int) []Window {
	var cut []Window
	for from <= to {
		end := min(from.AddDays(days-1), to)
		cut = append(cut, Window{from, end})
		from = end.AddDays(1)
	}
	return cut
}

// ErrNoDays is for a backfill of a job whose datasets are told as they stand today: no window of days would change what
// is asked for.
var ErrNoDays = errors.New("none of its datasets lies in days: a backfill is for transactions")

// Backfill plans one run of the job's transactions for each window, or goes on with the one that has no verdict yet.
// Their streams have cursors of their own, so a backfill neither moves nor waits for the nightly watermark.
func (e *Engine) Backfill(ctx context.Context, job Job, windows []Window) ([]persist.Run, error) {
	if !slices.Contains(job.Datasets, finance.Transactions) {
		return nil, fmt.Errorf("backfill %s: %w", job.Name, ErrNoDays)
	}
	var runs []persist.Run
	now := time.Now().Truncate(time.Second)
	for i, w := range windows {
		run, open, err := e.Store.UnfinishedBackfill(ctx, job.Name, w.From, w.To)
		if err != nil {
			return runs, err
		}
		if open {
			runs = append(runs, run)
			continue
		}
		run, _, err = e.plan(ctx, persist.RunSpec{
			Job: job.Name, Connection: job.Connection, Kind: persist.Backfill,
			ScheduledFor: now.Add(time.Duration(i) * time.Microsecond), // the windows' runs must not share a nominal time
			Datasets:     []finance.Dataset{finance.Transactions}, BatchSize: job.BatchSize, Purposes: job.Purposes,
			WindowFrom: w.From, WindowTo: w.To,
		})
		if err != nil {
			return runs, err
		}
		runs = append(runs, run)
	}
	return runs, nil
}

// Rerun plans a run for those items of a settled run that are not proven complete.
func (e *Engine) Rerun(ctx context.Context, run persist.Run, selection persist.Selection) (persist.Run, bool, error) {
	job, err := e.Job(run.Job)
	if err != nil {
		return persist.Run{}, false, err
	}
	again, created, err := e.Store.PlanRerun(ctx, persist.RerunSpec{OfRun: run.ID, BatchSize: job.BatchSize, Purposes: job.Purposes,
		Selection: selection}, e.bells.enqueue(run.Job))
	if err != nil {
		return again, false, fmt.Errorf("plan a rerun of run %d: %w", run.ID, err)
	}
	if created {
		e.Log.Info().Int64("run", again.ID).Int64("of_run", run.ID).Int("items", again.Expected).Msg("rerun planned")
	}
	return again, created, nil
}
