package jobs

import (
	"context"
	"fmt"
	"time"

	"syncer/persist/plan"
	"syncer/persist/queue"
)

// A consent that ends before its job fires again has been read for the last time by the latest firing, which may be
// most of a day before its end. So a job with a schedule gets final runs besides: of the consents that end within
// finalLead, before a firing could reach them, and that were not read completely since then.
const (
	finalLead  = 6 * time.Hour
	finalReach = time.Hour   // how long after its nominal time a firing may take to come to a consent
	finalAgain = time.Hour   // a final pull that failed is made again after this, while the consent lasts
	finalEvery = time.Minute // how often it is looked for them
)

// FireFinal makes a final run of a job for the consents that are due for their last pull. created is false when there
// are none. Any number of processes may do so at once: the database sees to it that no consent is pulled twice for the
// same end.
func (e *Engine) FireFinal(ctx context.Context, job Job, now time.Time) (run queue.Run, created bool, err error) {
	spec := plan.FinalSpec{Job: job.Name, Connection: job.Connection, Datasets: job.Datasets, BatchSize: job.BatchSize,
		Purposes: job.Purposes, Before: job.Schedule.Next(now).Add(finalReach), Lead: finalLead, Again: finalAgain}
	due, err := e.Store.Plan.FinalDue(ctx, spec)
	if err != nil {
		return run, false, err
	}
	if !due {
		return run, false, nil
	}
	if err := e.refreshConsents(ctx, job.Connection); err != nil {
		return run, false, err
	}
	run, created, err = e.Store.Plan.Final(ctx, spec, e.waker.enqueue(job.Name, false))
	if err != nil {
		return run, false, fmt.Errorf("plan the last pull of consents of %s: %w", job.Name, err)
	}
	if created {
		e.Log.Info().Int64("run", run.ID).Str("job", run.Job).Int("items", run.Expected).Msg("final run planned: its consents end before the job fires again")
	}
	return run, created, nil
}

// finals looks for consents to pull for the last time until ctx ends. A parked connection is left alone: its runs would
// only fail.
func (e *Engine) finals(ctx context.Context, job Job) {
	every(ctx, finalEvery, func() {
		known, err := e.Store.Connections.ByName(ctx, job.Connection)
		if err == nil && !known.For(e.connections[job.Connection].credentials()).Parked {
			_, _, err = e.FireFinal(ctx, job, time.Now())
		}
		if err != nil && ctx.Err() == nil {
			e.Log.Error().Err(err).Str("job", job.Name).Msg("planning the last pull of consents failed; it is tried again")
		}
	})
}
