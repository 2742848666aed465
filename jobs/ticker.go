package jobs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"syncer/persist/queue"
)

// maxCaughtUp bounds the runs that the policy "all" makes after a long absence: the newest ones.
// docs/operating.md tells.
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
	past.Go(func() { e.forgetJobs(ctx) })
	for _, job := range e.jobs {
		if job.Schedule == nil {
			past.Go(func() { e.unschedule(ctx, job) })
			continue
		}
		past.Go(func() { e.tick(ctx, job) })
		if len(e.Serve) > 0 {
			past.Go(func() { e.finals(ctx, job) })
		}
	}
	<-ctx.Done()
	past.Wait()
	<-clock.Stop().Done()
}

// tick fires what has become due. A failure is told and retried, more and more seldom; ticks of the job that come
// meanwhile are found by the retry, since the table still shows them as not considered.
func (e *Engine) tick(ctx context.Context, job Job) {
	came := time.Now()
	for wait := tickRetry; ; wait = min(2*wait, tickRetryMost) {
		waited, err := e.maintained(ctx, job)
		if waited {
			came = time.Now() // what passed meanwhile was missed, and is treated as the job's policy says
		}
		if err == nil {
			err = e.catchUp(ctx, job, came, time.Now())
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		e.Log.Error().Err(err).Str("job", job.Name).Stringer("wait", wait).Msg("firing failed; it is tried again")
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// unschedule forgets which ticks were considered of a job that has no schedule, so that it begins anew if it gets one again.
func (e *Engine) unschedule(ctx context.Context, job Job) {
	if err := e.Store.Plan.Unschedule(ctx, job.Name); err != nil && ctx.Err() == nil {
		e.Log.Warn().Err(err).Str("job", job.Name).Msg("given a schedule again, the job may catch up what was not missed")
	}
}

// forgetJobs forgets which ticks were considered of jobs that the configuration has no more. One that is given back
// after months begins then: what it would have fired was not missed.
func (e *Engine) forgetJobs(ctx context.Context) {
	known := append(slices.Collect(maps.Keys(e.jobs)), e.Known...)
	gone, err := e.Store.Plan.ForgetSchedules(ctx, known)
	if err != nil && ctx.Err() == nil {
		e.Log.Warn().Err(err).
			Msg("a job that is not configured any more may catch up what was not missed, if it is given back")
	}
	if len(gone) > 0 {
		e.Log.Warn().Strs("jobs", gone).
			Msg("these jobs are not configured any more: if they are given back, they begin then")
	}
}

// What keeps a tick from being fired may be a provider who is asked in vain each time, so the retries become seldom.
const tickRetry, tickRetryMost = 5 * time.Second, 5 * time.Minute

// catchUp fires the nominal times of a job that have passed since its ticks were last considered, as the policy says,
// and advances it. The newest one is simply on time, and fires under every policy, if it was less than a minute old when
// the tick came: one that could not be fired at once has not been missed.
func (e *Engine) catchUp(ctx context.Context, job Job, came, now time.Time) error {
	// A job that was never seen begins now: what lies before its birth was not missed. The tick of the very second in
	// which it was seen is its first.
	spelled, err := e.Store.Plan.ScheduleExpression(ctx, job.Name)
	if err != nil {
		return err
	}
	if !job.Schedule.Same(spelled) {
		spelled = job.Schedule.String()
	}
	considered, was, err := e.Store.Plan.Considered(ctx, job.Name, spelled, came.Add(-time.Second))
	if err != nil {
		return err
	}
	if was != "" {
		e.Log.Warn().Str("job", job.Name).Str("was", was).Str("schedule", job.Schedule.String()).Time("next", job.Schedule.Next(considered)).
			Msg("the schedule has changed: it begins now, and ticks that the old one missed are not caught up")
	}
	due, all := job.Schedule.Between(considered, now, maxCaughtUp)
	fire := choose(job.CatchUp, due, came)
	if skipped := all - len(fire); skipped > 0 {
		e.Log.Warn().Str("job", job.Name).Int("skipped", skipped).Str("catch_up", string(job.CatchUp)).
			Time("since", considered).Msg("ticks were missed and are skipped by policy")
	}
	for _, at := range fire {
		if _, _, err := e.Fire(ctx, job, queue.Scheduled, at); err != nil {
			return fmt.Errorf("fire %s: %w", job.Name, err)
		}
		e.Step("tick.fired")
	}
	if len(due) == 0 {
		return nil
	}
	return e.Store.Plan.AdvanceSchedule(ctx, job.Name, due[len(due)-1])
}

// onTime is how late a tick may be fired and still count as fired by its clock rather than caught up.
const onTime = time.Minute

// choose picks from the due nominal times those that the policy fires. came is when the clock told of them.
func choose(policy CatchUp, due []time.Time, came time.Time) []time.Time {
	if len(due) == 0 || policy == CatchUpAll {
		return due
	}
	newest := due[len(due)-1:]
	late := came.Sub(newest[0]) > onTime
	if late && policy == CatchUpNone {
		return nil
	}
	return newest
}

// cronLog hands cron's own messages to our log.
type cronLog struct{ e *Engine }

// Info is cron's running commentary, which says nothing that our own lines don't.
func (l cronLog) Info(string, ...any) {}

// Error is a panic in a tick, or the like.
func (l cronLog) Error(err error, msg string, _ ...any) { l.e.Log.Error().Err(err).Msg(msg) }
