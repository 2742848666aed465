package jobs

import (
	"context"
	"fmt"
	"time"

	"syncer/persist/plan"
	"syncer/persist/queue"
)

// Fire makes the run of a job for a nominal time. A tick that has its run already gives that one, and
// created is false: the database forbids doubles, so any number of processes may fire the same tick. A
// run by hand is always made.
//
// A provider that publishes what happens to consents is asked first, so that none is called for in vain.
func (e *Engine) Fire(ctx context.Context, job Job, kind queue.RunKind, at time.Time) (run queue.Run, created bool, err error) {
	if err := e.refreshConsents(ctx, job.Connection); err != nil {
		return queue.Run{}, false, err
	}
	return e.plan(ctx, plan.RunSpec{
		Job: job.Name, Connection: job.Connection, Kind: kind, ScheduledFor: at,
		Datasets: job.Datasets, BatchSize: job.BatchSize, Purposes: job.Purposes,
	})
}

// sameNight is how old what an open run has read may be to be as good as read now: the command that
// goes on with a run after an interruption does not ask for it again, the next night does.
const sameNight = 6 * time.Hour

// FireBeside makes a run by hand of a job that has open runs. These keep what they have not decided
// yet, and what they have read in this same night. created is false where that is everything.
func (e *Engine) FireBeside(ctx context.Context, job Job, at time.Time) (run queue.Run, created bool, err error) {
	if err := e.refreshConsents(ctx, job.Connection); err != nil {
		return queue.Run{}, false, err
	}
	return e.plan(ctx, plan.RunSpec{
		Job: job.Name, Connection: job.Connection, Kind: queue.Manual, ScheduledFor: at,
		Datasets: job.Datasets, BatchSize: job.BatchSize, Purposes: job.Purposes, Beside: at.Add(-sameNight),
	})
}

func (e *Engine) plan(ctx context.Context, spec plan.RunSpec) (queue.Run, bool, error) {
	if _, err := e.Store.Consents.Expire(ctx); err != nil {
		return queue.Run{}, false, err
	}
	run, created, err := e.Store.Plan.Run(ctx, spec, e.waker.enqueue(spec.Job, false))
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

// Rerun plans a run for those items of a settled run that are not proven complete. What the provider tells of
// consents is read first, as for every run.
func (e *Engine) Rerun(ctx context.Context, run queue.Run, selection plan.Selection) (queue.Run, bool, error) {
	job, err := e.Job(run.Job)
	if err != nil {
		return queue.Run{}, false, err
	}
	if err := e.refreshConsents(ctx, run.Connection); err != nil {
		return queue.Run{}, false, err
	}
	again, created, err := e.Store.Plan.Rerun(ctx, plan.RerunSpec{OfRun: run.ID, BatchSize: job.BatchSize, Purposes: job.Purposes,
		Selection: selection}, e.waker.enqueue(run.Job, !run.WindowFrom.IsZero()))
	if err != nil {
		return again, false, fmt.Errorf("plan a rerun of run %d: %w", run.ID, err)
	}
	if created {
		e.Log.Info().Int64("run", again.ID).Int64("of_run", run.ID).Int("items", again.Expected).Msg("rerun planned")
	}
	return again, created, nil
}
