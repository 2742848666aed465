package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"syncer/persist/pg"
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

// FireOnce makes a run by hand of a job, whatever else of it is going, unless it was made by this process for this very time:
// whoever could not hear what became of it asks again.
func (e *Engine) FireOnce(ctx context.Context, job Job, at time.Time) (queue.Run, error) {
	made, err := e.Store.Queue.ManualRunOf(ctx, job.Name, at)
	if !errors.Is(err, pg.ErrNotFound) {
		return made, err
	}
	made, _, err = e.Fire(ctx, job, queue.Manual, at)
	return made, err
}

// sameNight is how old what an open run has read may be to be as good as read now: the command that
// goes on with a run after an interruption does not ask for it again, the next night does.
const sameNight = 6 * time.Hour

// FireOrGoOn makes a run by hand of a job, of what its runs that are going leave. These keep what they have not decided
// yet, and what they have read in this same night. asked is how long ago the run was asked for: of several who ask at
// once one makes the run, and the others go on with it, also where it is settled meanwhile.
func (e *Engine) FireOrGoOn(ctx context.Context, job Job, at time.Time, asked time.Duration) (g plan.Going, err error) {
	if err := e.refreshConsents(ctx, job.Connection); err != nil {
		return g, err
	}
	if _, err := e.Store.Consents.Expire(ctx); err != nil {
		return g, err
	}
	spec := plan.RunSpec{
		Job: job.Name, Connection: job.Connection, Kind: queue.Manual, ScheduledFor: at,
		Datasets: job.Datasets, BatchSize: job.BatchSize, Purposes: job.Purposes, Beside: at.Add(-sameNight),
	}
	g, err = e.Store.Plan.RunOrGoOn(ctx, spec, asked, e.waker.enqueue(job.Name, false))
	if err != nil {
		return g, notPlanned(spec, err)
	}
	if g.Created {
		err = e.planned(ctx, g.Run)
	}
	return g, err
}

func (e *Engine) plan(ctx context.Context, spec plan.RunSpec) (queue.Run, bool, error) {
	if _, err := e.Store.Consents.Expire(ctx); err != nil {
		return queue.Run{}, false, err
	}
	run, created, err := e.Store.Plan.Run(ctx, spec, e.waker.enqueue(spec.Job, false))
	if err != nil {
		return run, false, notPlanned(spec, err)
	}
	if created {
		err = e.planned(ctx, run)
	}
	return run, created, err
}

func notPlanned(spec plan.RunSpec, err error) error {
	return fmt.Errorf("plan a run of %s for %s: %w", spec.Job, spec.ScheduledFor.Format(time.RFC3339), err)
}

// planned tells of a run that was just made. One without consents has nothing to wait for, and is settled.
func (e *Engine) planned(ctx context.Context, run queue.Run) error {
	e.Step("run.planned")
	e.Log.Info().Int64("run", run.ID).Str("job", run.Job).Str("kind", string(run.Kind)).
		Time("scheduled_for", run.ScheduledFor).Int("items", run.Expected).Msg("run planned")
	if run.Overlapped > 0 {
		e.Log.Warn().Int64("run", run.ID).Str("job", run.Job).Int("items", run.Overlapped).
			Msg("items are left to an earlier run of the job, which has not decided them yet")
	}
	return e.settle(ctx, run.ID)
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
