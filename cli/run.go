package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/persist/queue"
	"syncer/persist/workers"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) runCommand() *cobra.Command {
	var fresh bool
	c := &cobra.Command{
		Use:   "run JOB",
		Short: "Run a job now and follow it to its verdict",
		Long: "Plans a run of JOB for now and works it in the foreground. A run of JOB that is not finished is\n" +
			"gone on with: it keeps what it has not read yet and what it has read within 6 hours, and the new\n" +
			"run takes the rest, such as what a night that was killed has read, and consents that came since.\n" +
			"Without a rest there is no new run. Other processes (syncer work, syncer serve) may help; a second\n" +
			"syncer run of JOB waits for the first. A signal finishes the pages in hand and leaves; the same\n" +
			"command goes on from there.\n\n" +
			"Exit codes: 0 complete, 3 partial, 4 failed, 130 interrupted, 1 anything else, 2 wrong command\n" +
			"line; of several runs that of the worst.",
		Example:           "  syncer run nightly-debt\n  syncer run nightly-debt --new --json | jq -c '.state'",
		Args:              usageArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: p.jobNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.runJob(cmd.Context(), args[0], fresh)
		},
	}
	c.Flags().BoolVar(&fresh, "new", false, "plan a new run even if one of the job is not finished")
	return c
}

func (p *Program) runJob(ctx context.Context, job string, fresh bool) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	inst, err := p.open(ctx, cfg, p.quieter(cfg))
	if err != nil {
		return err
	}
	defer inst.Close()
	var lock workers.JobLock
	err = inst.Stay(ctx, func() (err error) {
		lock, err = inst.Store.Workers.LockJob(ctx, job)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { lock.GiveBack() }()
	f, runs, err := p.beginAndPick(ctx, inst, job, fresh, lock.Mine)
	if err != nil {
		return err
	}
	defer func() { f.Stop() }()
	if !lock.Mine {
		if lock, err = f.waitForOther(ctx, job, runs); err != nil {
			return err
		}
	}
	if lock.Mine && len(f.Engine.Serve) == 0 { // the one that was at work has gone
		if err := f.Stop(); err != nil {
			return err
		}
		if f, err = p.begin(ctx, inst, job, true); err != nil {
			return err
		}
	}
	worst, err := f.finishRuns(ctx, runs)
	if err != nil {
		return err
	}
	if err := p.hintForgotten(ctx, inst); err != nil {
		return err
	}
	return verdictError(worst)
}

// beginAndPick starts an engine for a job and says which runs are to be followed. A database that is lost meanwhile is waited
// for: what was planned and not heard of is found again.
func (p *Program) beginAndPick(ctx context.Context, inst *app.Installation, job string, fresh, work bool) (f *follower,
	runs []queue.Run, err error) {
	if f, err = p.begin(ctx, inst, job, work); err != nil {
		return nil, nil, err
	}
	now := time.Now()
	err = inst.Stay(ctx, func() (err error) {
		runs, err = f.pick(ctx, job, now, fresh)
		return err
	})
	if err != nil {
		return nil, nil, errors.Join(err, f.Stop())
	}
	return f, runs, nil
}

// finishRuns follows the open runs and then the new one, and ends with the worst of them. What the new
// one has left to the others is theirs to tell.
func (f *follower) finishRuns(ctx context.Context, runs []queue.Run) (worst queue.Verdict, err error) {
	worst = queue.VerdictComplete
	for i, run := range runs {
		if i > 0 && !f.program.json {
			f.program.say("")
		}
		r, err := f.finish(ctx, run)
		if err != nil {
			return worst, err
		}
		if report.Expected(r) == 0 && len(runs) == 1 {
			idle, err := f.inst.Store.Read.IdleConsents(ctx, run.ID)
			if err != nil {
				return worst, err
			}
			f.program.hint("\n%s", text.Paragraph(f.program.live, "", report.NobodyText(run.Connection, idle)))
		}
		verdict := r.Run.Verdict
		if len(runs) > 1 && r.Run.Overlapped > 0 && report.Proven(r) {
			verdict = queue.VerdictComplete
		}
		if worse(verdict, worst) {
			worst = verdict
		}
	}
	return worst, nil
}

// waitForOther waits while another process works the job, until the runs have their verdicts or this
// process may work them. It needs one connection to the database.
func (f *follower) waitForOther(ctx context.Context, job string, runs []queue.Run) (workers.JobLock, error) {
	f.program.hint("Another `syncer run %s` is at work: this one waits for the verdict, and takes over if that "+
		"one ends.", job)
	f.inst.Pool.Reset() // planning may have taken more connections than waiting needs
	var ids []int64
	for _, run := range runs {
		ids = append(ids, run.ID)
	}
	ticker := time.NewTicker(2 * time.Second)
	defer ticker.Stop()
	for {
		lock, err := f.inst.Store.Workers.LockJob(ctx, job, ids...)
		if err == nil && (lock.Mine || lock.Settled) {
			return lock, nil
		}
		if err != nil && ctx.Err() == nil {
			f.log.Warn().Err(err).Msg("can't see who works the job; trying again")
		}
		select {
		case <-ctx.Done():
			return lock, f.interrupted(runs[len(runs)-1])
		case <-ticker.C:
		}
	}
}
