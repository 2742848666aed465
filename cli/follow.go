package cli

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"syncer/app"
	"syncer/jobs"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/report"
	"syncer/report/text"
)

// follower is a command that follows runs which an engine of its own works, or other processes.
type follower struct {
	*app.Foreground
	program *Program
	inst    *app.Installation
	log     zerolog.Logger
}

// begin starts an engine for a job. Without work it only plans, and leaves the batches to other processes.
func (p *Program) begin(ctx context.Context, inst *app.Installation, job string, work bool) (*follower, error) {
	return p.beginAll(ctx, inst, app.EngineSpec{Jobs: []string{job}, Work: work})
}

// beginAll starts an engine, as soon as the database is to be had.
func (p *Program) beginAll(ctx context.Context, inst *app.Installation, spec app.EngineSpec) (*follower, error) {
	var work *app.Foreground
	err := inst.Stay(ctx, func() (err error) {
		work, err = inst.Start(ctx, spec)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &follower{Foreground: work, program: p, inst: inst, log: p.quieter(inst.Config)}, nil
}

// finish follows a run to its verdict and prints the report. An interruption ends with the exit code
// that says so: the run is not lost.
func (f *follower) finish(ctx context.Context, run queue.Run) (read.Report, error) {
	report, err := f.Follow(ctx, run, &progress{program: f.program})
	if err != nil && ctx.Err() != nil {
		return report, f.interrupted(run)
	}
	if err != nil {
		return report, errors.Join(err, f.Stop())
	}
	return report, f.program.showReport(ctx, f.inst, report)
}

// interrupted leaves and says how the run goes on.
func (f *follower) interrupted(run queue.Run) error {
	f.program.hint("Leaving: the pages in hand are finished first (a second signal leaves at once).")
	if err := f.Stop(); err != nil {
		f.log.Warn().Err(err).Msg("not everything was given back in order; the leases will end by themselves")
	}
	f.program.hint("Run %d is not finished. %s goes on with it.", run.ID, report.GoesOn(run))
	return exitCode(ExitInterrupted)
}

// showReport prints a report on stdout.
func (p *Program) showReport(ctx context.Context, inst *app.Installation, r read.Report) error {
	r = inst.Judged(r)
	if p.json {
		j := report.ReportOf(r)
		p.tellHistory(ctx, inst, r, &j)
		return p.line(j)
	}
	report.WriteReport(p.out, painter(p.out, p.env), r)
	p.tellHistory(ctx, inst, r, nil)
	return nil
}

// finishAll follows the runs one after the other, while all of them are worked, and ends with the worst verdict.
func (f *follower) finishAll(ctx context.Context, runs []queue.Run) error {
	worst := queue.VerdictComplete
	for _, run := range runs {
		report, err := f.finish(ctx, run)
		if err != nil {
			return err
		}
		if !f.program.json {
			f.program.say("")
		}
		if v := report.Run.Verdict; worse(v, worst) {
			worst = v
		}
	}
	return verdictError(worst)
}

// pick gives the job's unfinished runs, and one planned for now of what these leave to it; fresh takes
// no account of them. Asked again with the same now, after an error, it makes no second run.
func (f *follower) pick(ctx context.Context, job string, now time.Time, fresh bool) ([]queue.Run, error) {
	set, err := f.Engine.Job(job)
	if err != nil {
		return nil, err
	}
	if err := f.tellElsewhere(ctx, set); err != nil {
		return nil, err
	}
	if fresh {
		run, err := f.Engine.FireOnce(ctx, set, now)
		return []queue.Run{run}, err
	}
	going, err := f.Engine.FireOrGoOn(ctx, set, now, time.Since(f.program.began))
	if err != nil {
		return nil, err
	}
	for _, o := range going.Open {
		if o.Verdict != "" {
			f.program.hint("Run %d has just been made by another `syncer run %s`; --new would plan another.", o.ID, job)
			continue
		}
		f.program.hint("Going on with run %d (%s, for %s), which is not finished; --new would plan another.",
			o.ID, o.Kind, text.Clock(o.ScheduledFor))
	}
	if !going.Created {
		return going.Open, nil
	}
	if len(going.Open) > 0 {
		f.program.hint("Run %d is planned beside it, with %s.", going.Run.ID, text.Count(going.Run.Expected, "item"))
	}
	return append(going.Open, going.Run), nil
}

// tellElsewhere tells of open runs over a connection that the job does not call any more. They are not gone on with.
func (f *follower) tellElsewhere(ctx context.Context, job jobs.Job) error {
	open, err := f.inst.Store.Queue.OpenRuns(ctx, job.Name)
	for _, run := range open {
		if run.Connection != job.Connection {
			f.program.hint("Left alone: %s.", jobs.Elsewhere(run))
		}
	}
	return err
}
