package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/finance"
	"syncer/jobs"
	"syncer/persist"
	"syncer/persist/plan"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) backfillCommand() *cobra.Command {
	var from, to string
	var size int
	var order backfillOrder
	c := &cobra.Command{
		Use:   "backfill JOB --from DAY --to DAY",
		Short: "Load a range of days again, cut into windows",
		Long: "Plans one run of the job's transactions for each window of the range and works them in the\n" +
			"foreground, oldest first. The nightly watermarks neither move nor wait. Each window is read from\n" +
			"its first day on.\n\n" +
			"The same command goes on with what is not finished, and asks only for what is not complete: consents\n" +
			"that have failed, or that came later. --again reads all of it once more. With --consent no other open\n" +
			"run of the job is worked.\n\n" +
			"Of consents with a number of reads a day, it takes only what the jobs of the connection leave: each\n" +
			"takes one read for each of its datasets, each time that it fires, or once a day without a schedule.\n" +
			"Windows for which no read is left are not planned; the same command reads them when the reads are\n" +
			"back.\n\n" +
			"The exit code is that of the worst verdict, as for syncer run, and 3 when windows are left for later.",
		Example: "  syncer backfill nightly-accounts --from 2025-01-01 --to 2025-12-31\n" +
			"  syncer backfill nightly-accounts --from 2025-01-01 --to 2025-12-31 --days 30 --consent 4711",
		Args:              usageArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: p.jobNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			windows, err := parseWindows(from, to, size, latestDay(time.Now()))
			if err != nil {
				return err
			}
			order.job = args[0]
			order.windows = windows
			return p.backfill(cmd.Context(), order)
		},
	}
	c.Flags().StringVar(&from, "from", "", "first day, YYYY-MM-DD")
	c.Flags().StringVar(&to, "to", "", "last day, included")
	c.Flags().IntVar(&size, "days", plan.BackfillWindow, "days in a window")
	c.Flags().BoolVar(&order.again, "again", false, "read also what is complete already")
	c.Flags().StringArrayVar(&order.consents, "consent", nil,
		"only this consent, by its number or the provider's id (may be repeated)")
	return p.accountable(c, "")
}

// backfillOrder is what the command line asks for.
type backfillOrder struct {
	job      string
	windows  []jobs.Window
	consents []string
	again    bool
}

// latestDay is the day where it begins first.
func latestDay(now time.Time) finance.Date { return finance.DateOf(now.UTC().Add(14 * time.Hour)) }

// maxWindows is where a range is more likely a slip of the finger than a wish.
const maxWindows = 1000

func parseWindows(from, to string, size int, today finance.Date) ([]jobs.Window, error) {
	first, err := finance.ParseDate(from)
	if err != nil || first.IsZero() {
		return nil, usagef("--from %q: write the first day as YYYY-MM-DD", from)
	}
	last, err := finance.ParseDate(to)
	if err != nil || last.IsZero() {
		return nil, usagef("--to %q: write the last day as YYYY-MM-DD", to)
	}
	switch {
	case size < 1:
		return nil, usagef("--days %d: a window has at least one day", size)
	case last > today:
		return nil, usagef("--to %s lies after today", last)
	case last < first:
		return nil, usagef("--to %s lies before --from %s", last, first)
	case int(last-first)/size >= maxWindows:
		return nil, usagef("%d days in windows of %d are more than %d runs: make --days larger", int(last-first)+1, size, maxWindows)
	}
	return jobs.Windows(first, last, size), nil
}

func (p *Program) backfill(ctx context.Context, order backfillOrder) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	inst, err := p.open(ctx, cfg, p.quieter(cfg))
	if err != nil {
		return err
	}
	defer inst.Close()
	// Of single consents the other open windows of the job are left alone: they may be a night's work.
	alone := len(order.consents) > 0
	f, err := p.beginAll(ctx, inst, app.EngineSpec{Jobs: []string{order.job}, Work: true, Only: alone})
	if err != nil {
		return err
	}
	defer f.Stop()
	set, err := f.Engine.Job(order.job)
	if err != nil {
		return err
	}
	spec, err := backfillSpec(ctx, inst, set, order)
	if err != nil {
		return err
	}
	var plan jobs.BackfillPlan
	err = inst.Store.ActingInSteps(ctx, p.act("job", order.job), func(act *persist.Act) error {
		err := inst.Stay(ctx, func() (err error) { // windows that are planned already are found again
			plan, err = f.Engine.Backfill(ctx, set, spec)
			return err
		})
		act.Vain = plan.Planned == 0
		act.Details = map[string]any{
			"from": spec.Windows[0].From, "to": spec.Windows[len(spec.Windows)-1].To, "windows": plan.Planned,
		}
		return err
	})
	switch {
	case errors.Is(err, jobs.ErrNoDays), errors.Is(err, jobs.ErrReadsWhole):
		return err
	case err != nil:
		return fmt.Errorf("%d of %d windows are planned and will be worked: %w",
			plan.Planned, len(order.windows), err)
	}
	if alone {
		f.Engine.WorkRuns(plan.Runs)
	}
	p.hint("%s of %s: %s planned, %s complete already.", text.Count(len(order.windows), "window"), order.job,
		text.AreSo(plan.Planned), text.AreSo(plan.Ready))
	ended := f.finishAll(ctx, plan.Runs)
	code, told := errors.AsType[exitCode](ended)
	if ended != nil && !told || code == ExitInterrupted {
		return ended
	}
	if len(plan.Later) > 0 { // the runs have spent reads
		if plan.Reads, err = f.Engine.BackfillReads(ctx, set, spec); err != nil {
			return err
		}
	}
	return p.tellBackfill(order, spec, plan, ended)
}

// backfillSpec is what the engine needs to know of an order: whose consents are meant, and what other
// runs need.
func backfillSpec(ctx context.Context, inst *app.Installation, job jobs.Job, order backfillOrder) (spec jobs.BackfillSpec, err error) {
	spec.Windows = order.windows
	spec.Again = order.again
	for _, text := range order.consents {
		c, err := consentToBackfill(ctx, inst, job.Connection, text)
		if err != nil {
			return spec, err
		}
		spec.Consents = append(spec.Consents, c.ID)
	}
	var all []jobs.Job
	for _, name := range slices.Sorted(maps.Keys(inst.Config.Jobs)) {
		if inst.Config.Jobs[name].Connection != job.Connection {
			continue
		}
		other, err := inst.Job(name)
		if err != nil {
			return spec, err
		}
		all = append(all, other)
	}
	spec.LeavesReads = jobs.ReadsADay(all, time.Now())
	return spec, nil
}

// consentToBackfill finds an active consent of a connection, by our number or by the provider's id.
func consentToBackfill(ctx context.Context, inst *app.Installation, connection, name string) (finance.Consent, error) {
	c, err := inst.ConsentNamed(ctx, connection, name)
	switch {
	case err != nil:
		return c, fmt.Errorf("--consent %s: %w", text.Printable(name), err)
	case c.Connection != connection:
		return c, fmt.Errorf("--consent %d: it is a consent of %s, and the job calls over %s",
			c.ID, c.Connection, connection)
	case c.Status != finance.ConsentActive:
		return c, fmt.Errorf("--consent %d: no call may be made for it, it is %s", c.ID, c.Status)
	}
	return c, nil
}

// tellBackfill says what of the windows was not planned, and why. ended is how the runs have ended.
func (p *Program) tellBackfill(order backfillOrder, spec jobs.BackfillSpec, plan jobs.BackfillPlan, ended error) error {
	if len(plan.Later) > 0 && ended == nil {
		ended = exitCode(ExitPartial)
	}
	if p.json {
		return errors.Join(p.line(report.BackfillOf(order.job, len(order.windows), plan)), ended)
	}
	switch {
	case len(plan.Later) > 0:
		p.say("%s", text.Paragraph(p.out, "", report.LaterText(spec, plan)))
	case len(plan.Runs) == 0:
		p.say("Nothing to do: every window is complete. --again reads them once more.")
	}
	return ended
}
