package jobs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"syncer/persist"
)

// maxCaughtUp bounds the runs that the policy "all" makes after a long absence.
const maxCaughtUp = 1000

// Tick fires the schedules of all jobs until ctx ends; a run whose planning is then in hand is not made. An engine that
// works batches makes final runs too. Every replica ticks; which of them makes the run is decided by the database, and the others find it made.
//
// Cron is the clock alone. What has fired and what was missed stands in the schedules table, so a tick that nobody
// was there to fire, or at which the process died, is found at the next start and treated by the job's policy.
func (e *Engine) Tick(ctx context.Context) {
	clock := cron.New(cron.WithLogger(cronLog{e}), cron.WithChain(
		// The order matters: Recover inside Skip lets the next tick run after a panic, the other way round does not.
		cron.SkipIfStillRunning(cronLog{e}), cron.Recover(cronLog{e})))
	for _, job := range e.jobs {
		if job.Schedule != nil {
			clock.Schedule(job.Schedule, cron.FuncJob(func() { e.tick(ctx, job) }))
		}
	}
	// The clock runs before the past is looked at: catching up may take minutes, and a tick that falls into them must
	// not wait for the next one to be found.
	clock.Start()
	var past sync.WaitGroup
	for _, job := range e.jobs {
		if job.Schedule != nil {
			past.Go(func() { e.tick(ctx, job) })
			if len(e.Serve) > 0 {
				past.Go(func() { e.finals(ctx, job) })
			}
		}
	}
	<-ctx.Done()
	past.Wait()
	<-clock.Stop().Done()
}

// tick fires what has become due. A failure is told and retried after tickRetry, until the next tick of the job takes
// it over: the ledger still shows the tick as not considered.
func (e *Engine) tick(ctx context.Context, job Job) {
	for {
		err := e.catchUp(ctx, job, time.Now())
		if err == nil || ctx.Err() != nil {
			return
		}
		e.Log.Error().Err(err).Str("job", job.Name).Msg("firing failed; it is tried again")
		select {
		case <-ctx.Done():
			return
		case <-time.After(tickRetry):
		}
	}
}

const tickRetry = 5 * time.Second

// catchUp fires the nominal times of a job that have passed since the ledger was last advanced, as the policy says,
// and advances it. The newest one that is less than a minute old is simply on time and fires under every policy.
func (e *Engine) catchUp(ctx context.Context, job Job, now time.Time) error {
	considered, known, err := e.Store.Considered(ctx, job.Name)
	if err != nil {
		return err
	}
	if !known {
		// A job that was never seen begins now: what lies before its birth was not missed. The tick of this very
		// second is its first.
		considered = now.Add(-time.Second)
		if err := e.Store.AdvanceSchedule(ctx, job.Name, considered); err != nil {
			return err
		}
	}
	due, all := job.Schedule.Between(considered, now, maxCaughtUp)
	fire := choose(job.CatchUp, due, now)
	if skipped := all - len(fire); skipped > 0 {
		e.Log.Warn().Str("job", job.Name).Int("skipped", skipped).Str("catch_up", string(job.CatchUp)).
			Time("since", considered).Msg("ticks were missed and are skipped by policy")
	}
	for _, at := range fire {
		if _, _, err := e.Fire(ctx, job, persist.Scheduled, at); err != nil {
			return fmt.Errorf("fire %s: %w", job.Name, err)
		}
		e.Step("tick.fired")
	}
	if len(due) == 0 {
		return nil
	}
	return e.Store.AdvanceSchedule(ctx, job.Name, due[len(due)-1])
}

// onTime is how late a tick may be fired and still count as fired by its clock rather than caught up.
const onTime = time.Minute

// choose picks from the due nominal times those that the policy fires.
func choose(policy CatchUp, due []time.Time, now time.Time) []time.Time {
	switch {
	case len(due) == 0 || policy == CatchUpAll:
		return due
	case policy == CatchUpNone && now.Sub(due[len(due)-1]) > onTime:
		return nil
	}
	return due[len(due)-1:]
}

// cronLog hands cron's own messages to our log.
type cronLog struct{ e *Engine }

// Info is cron's running commentary, which says nothing that our own lines don't.
func (l cronLog) Info(string, ...any) {}

// Error is a panic in a tick, or the like.
func (l cronLog) Error(err error, msg string, _ ...any) { l.e.Log.Error().Err(err).Msg(msg) }
