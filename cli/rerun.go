package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/config"
	"syncer/finance"
	"syncer/jobs"
	"syncer/persist"
	"syncer/persist/pg"
	"syncer/persist/plan"
	"syncer/persist/queue"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) rerunCommand() *cobra.Command {
	var only []string
	var planOnly, wait bool
	c := &cobra.Command{
		Use:   "rerun RUN",
		Short: "Run again what a run has not proven complete",
		Long: "Takes the items of RUN that are failed, partial, excused or undecided, says first what they will cost,\n" +
			"and works them in the foreground. The verdict of RUN is settled anew by the outcome.\n\n" +
			"--only narrows it, and may be repeated: failed, partial, class=CLASS, consent=ID.",
		Example: "  syncer rerun 12 --plan\n  syncer rerun 12 --only failed\n  syncer rerun 12 --only class=transient --only consent=4711",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := runID(args[0])
			if err != nil {
				return err
			}
			selection, err := parseSelection(only)
			if err != nil {
				return err
			}
			return p.rerun(cmd.Context(), run, selection, planOnly, !wait)
		},
	}
	c.Flags().StringArrayVar(&only, "only", nil, "failed, partial, class=CLASS or consent=ID (may be repeated)")
	c.Flags().BoolVar(&planOnly, "plan", false, "only print what it would take and cost")
	c.Flags().BoolVar(&wait, "wait", false, "leave the work to other processes and only wait for the verdict")
	return p.accountable(c, "")
}

func runID(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, usagef("%q is not the number of a run: `syncer runs` lists them", text)
	}
	return id, nil
}

// parseSelection reads the values of --only.
func parseSelection(only []string) (plan.Selection, error) {
	var s plan.Selection
	for _, chosen := range only {
		key, value, _ := strings.Cut(chosen, "=")
		switch {
		case chosen == "failed":
			s.Failed = true
		case chosen == "partial":
			s.Partial = true
		case key == "class" && slices.Contains(finance.Classes(), finance.Class(value)):
			s.Classes = append(s.Classes, value)
		case key == "class":
			return s, usagef("--only %q: there is no such class; there are %s", chosen, strings.Trim(fmt.Sprint(finance.Classes()), "[]"))
		case key == "consent" && value != "":
			id, err := consentNumber("--only consent", value)
			if err != nil {
				return s, err
			}
			s.Consents = append(s.Consents, id)
		default:
			return s, usagef("--only %q: write failed, partial, class=CLASS or consent=ID", chosen)
		}
	}
	return s, nil
}

func (p *Program) rerun(ctx context.Context, id int64, selection plan.Selection, planOnly, work bool) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	opt := p.options(p.quieter(cfg))
	opt.Look, opt.Migrate, opt.Stay = planOnly, !planOnly, !planOnly
	inst, err := app.Open(ctx, cfg, opt)
	if err != nil {
		return err
	}
	defer inst.Close()
	run, err := inst.FindRun(ctx, id)
	if err != nil {
		return err
	}
	if job, known := cfg.Jobs[run.Job]; known && run.Verdict == "" && job.Connection != run.Connection {
		return fmt.Errorf("rerun run %d: it is not settled yet: %s", id, jobs.Elsewhere(run))
	}
	if !planOnly {
		if run, err = p.excuseEnded(ctx, inst, run); err != nil {
			return err
		}
	}
	cost, err := inst.Store.Read.RerunCost(ctx, run.ID, selection)
	if err != nil {
		return fmt.Errorf("reckon what a rerun of run %d costs: %w", id, err)
	}
	news, err := inst.Store.Read.RerunNews(ctx, run.ID, selection)
	if err != nil {
		return err
	}
	told := report.Rerun{Of: run, Cost: cost, News: news, NotConfigured: inst.NotConfigured(run)}
	if planOnly {
		if err := p.planRerun(ctx, inst, &told, selection); err != nil {
			return err
		}
	}
	if err := p.showCost(told); err != nil {
		return err
	}
	switch {
	case planOnly && (cost.Items > 0 || run.Verdict == ""):
		return nil
	case cost.Items == 0:
		err := p.nothingToRerun(ctx, inst, run)
		if _, verdict := errors.AsType[exitCode](err); verdict && planOnly {
			return nil // to look is no failure
		}
		return err
	}
	spec, err := rerunSpec(cfg, run, work)
	if err != nil {
		return err
	}
	f, err := p.beginAll(ctx, inst, spec)
	if err != nil {
		return err
	}
	defer f.Stop()
	if !work {
		if err := p.tellWorkers(ctx, inst, run.Job); err != nil {
			return err
		}
	}
	return f.rerun(ctx, run, selection)
}

// rerunSpec is the engine that a rerun of a run needs.
func rerunSpec(cfg *config.Config, run queue.Run, work bool) (app.EngineSpec, error) {
	spec := app.EngineSpec{Jobs: []string{run.Job}, Connections: []string{run.Connection}, Work: work}
	if _, known := cfg.Connections[run.Connection]; !known {
		return spec, fmt.Errorf("rerun run %d: it called over %s, which the config does not have: %s", run.ID, run.Connection,
			"put the connection back, or let `syncer run "+run.Job+"` read anew over another")
	}
	if _, known := cfg.Jobs[run.Job]; known {
		return spec, nil
	}
	heir, err := heirOf(cfg, run)
	spec.Jobs = nil
	spec.Gone = []app.Gone{{Job: run.Job, Heir: heir}}
	return spec, err
}

// heirOf is the job whose settings hold for the rerun of a run whose job the configuration has no more, since it was
// renamed, say: one over the run's connection that has its datasets.
func heirOf(cfg *config.Config, run queue.Run) (string, error) {
	for _, name := range slices.Sorted(maps.Keys(cfg.Jobs)) {
		job := cfg.Jobs[name]
		has := func(d finance.Dataset) bool { return slices.Contains(job.Datasets, string(d)) }
		missing := func(d finance.Dataset) bool { return !has(d) }
		if job.Connection == run.Connection && !slices.ContainsFunc(run.Datasets, missing) {
			return name, nil
		}
	}
	return "", fmt.Errorf("rerun run %d: the config has no job %s, and no other over %s with %s: give it one",
		run.ID, run.Job, run.Connection, text.List(run.Datasets))
}

// excuseEnded settles a run without what is missing of consents that have ended since: nobody may ask for
// it any more.
func (p *Program) excuseEnded(ctx context.Context, inst *app.Installation, run queue.Run) (queue.Run, error) {
	var items int
	err := inst.Stay(ctx, func() (err error) {
		items, err = inst.Store.Plan.ExcuseEnded(ctx, run.ID)
		return err
	})
	if err != nil {
		return run, err
	}
	if items > 0 {
		p.did("%s of consents that have ended since: what is missing of them is excused.", text.CountIs(items, "item"))
	}
	return inst.Store.Queue.RunByID(ctx, run.ID)
}

// tellWorkers says who will do the work that this process does not.
func (p *Program) tellWorkers(ctx context.Context, inst *app.Installation, job string) error {
	n, err := inst.Store.Workers.Working(ctx, job)
	switch {
	case err != nil:
		return err
	case n == 0:
		p.hint("Nobody works %s just now, and this waits until somebody does: start `syncer work --job %s`, "+
			"or leave out --wait.", job, job)
	default:
		p.hint("Waiting for other processes to do it: %s there.", text.AreSo(n))
	}
	return nil
}

// rerun plans the rerun, follows it and tells what became of the run it is for.
func (f *follower) rerun(ctx context.Context, of queue.Run, selection plan.Selection) error {
	var again queue.Run
	created := false
	err := f.inst.Store.ActingInSteps(ctx, f.program.act("run", of.ID), func(act *persist.Act) error {
		err := f.inst.Stay(ctx, func() (err error) { // one that is planned already is gone on with
			again, created, err = f.Engine.Rerun(ctx, of, selection)
			return err
		})
		act.Vain = !created
		act.Details = map[string]any{"rerun": again.ID, "items": again.Expected}
		return err
	})
	switch {
	case errors.Is(err, plan.ErrNothingToRerun):
		return f.program.nothingToRerun(ctx, f.inst, of)
	case errors.Is(err, plan.ErrUnsettled):
		return fmt.Errorf("rerun run %d: it is not settled yet: %s goes on with it", of.ID, report.GoesOn(of))
	case err != nil:
		return err
	}
	if !created {
		f.program.hint("Run %d is being run again already, as run %d: this goes on with that, whatever --only says.", of.ID, again.ID)
	}
	report, err := f.finish(ctx, again)
	if err != nil {
		return err
	}
	root, err := f.inst.Store.Queue.RunByID(ctx, again.OfRun)
	if err != nil {
		return fmt.Errorf("look at run %d after its rerun: %w", again.OfRun, err)
	}
	f.program.did("\nRun %d, with this rerun: %s", root.ID, root.Verdict)
	return verdictError(report.Run.Verdict)
}

// nothingToRerun says how the run stands of which nothing was chosen. That nothing is left to do is not that all is well.
func (p *Program) nothingToRerun(ctx context.Context, inst *app.Installation, of queue.Run) (err error) {
	if of.OfRun != 0 {
		if of, err = inst.FindRun(ctx, of.OfRun); err != nil {
			return err
		}
	}
	switch {
	case of.Verdict == "":
		return fmt.Errorf("rerun run %d: it is not settled yet: %s goes on with it", of.ID, report.GoesOn(of))
	case p.json:
	case of.Verdict == queue.VerdictComplete:
		p.say("Nothing to do: run %d is complete.", of.ID)
	default:
		p.say("Nothing to do, and run %d stays %s: what is missing was not selected, or belongs to consents that have ended.\n"+
			"`syncer runs show %d` names it.", of.ID, of.Verdict, of.ID)
	}
	return verdictError(of.Verdict)
}

// showCost says what a rerun takes, before it takes it.
func (p *Program) showCost(r report.Rerun) error {
	if p.json {
		return p.line(report.RerunCostOf(r))
	}
	report.WriteRerunCost(p.out, painter(p.out, p.env), r)
	return nil
}

// planRerun adds what only a plan tells: why the items are not complete, and what is in the way of the calls.
func (p *Program) planRerun(ctx context.Context, inst *app.Installation, r *report.Rerun, selection plan.Selection) (err error) {
	if r.Causes, err = inst.Store.Read.RerunCauses(ctx, r.Of.ID, selection); err != nil {
		return err
	}
	if r.Gates, err = inst.Store.Admit.ClosedGates(ctx, r.Of.Connection); err != nil {
		return err
	}
	over, err := inst.Store.Connections.ByName(ctx, r.Of.Connection)
	if errors.Is(err, pg.ErrNotFound) {
		return nil
	}
	r.Over = inst.AsConfigured(over)
	return err
}
