package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) runsCommand() *cobra.Command {
	list := p.runsListCommand("list")
	show := &cobra.Command{
		Use:   "show RUN",
		Short: "Show the report of a run",
		Long: "Shows what RUN has got, what is missing and why. Of a run that was rerun, the numbers are those of the\n" +
			"latest decision of each item over the run and its reruns.\n\n" +
			"Items that miss the same are counted, with the first and the newest of them. --json gives one line for the\n" +
			"report, then one line for each item that is not complete (event \"item\"), or of which the provider withholds\n" +
			"accounts (event \"withheld\").",
		Example: "  syncer runs show 12\n  syncer runs show 12 --json | jq -r 'select(.event == \"item\") | .reason'",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := runID(args[0])
			if err != nil {
				return err
			}
			return p.look(cmd.Context(), func(inst *app.Installation) error { return p.showRun(cmd.Context(), inst, id) })
		},
	}
	c := p.runsListCommand("runs")
	c.Args = knownCommand
	c.AddCommand(list, show, p.runsCloseCommand())
	return c
}

func (p *Program) runsListCommand(use string) *cobra.Command {
	var f read.RunFilter
	var verdict string
	c := &cobra.Command{
		Use: use, Short: "List the runs, the newest first", Args: usageArgs(cobra.NoArgs),
		Example: "  syncer runs --job nightly-debt\n  syncer runs list --verdict partial --limit 5\n  syncer runs list --before 120",
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch f.Verdict = queue.Verdict(verdict); f.Verdict {
			case "", queue.VerdictComplete, queue.VerdictPartial, queue.VerdictFailed:
			default:
				return usagef("--verdict %q: write complete, partial or failed", verdict)
			}
			if f.Limit < 1 {
				return usagef("--limit %d: list at least one", f.Limit)
			}
			return p.look(cmd.Context(), func(inst *app.Installation) error { return p.listRuns(cmd.Context(), inst, f) })
		},
	}
	c.Flags().StringVar(&f.Job, "job", "", "only runs of this job")
	c.Flags().StringVar(&verdict, "verdict", "", "only runs with this verdict: complete, partial or failed")
	c.Flags().BoolVar(&f.Open, "open", false, "only runs without a verdict")
	c.Flags().Int64Var(&f.Before, "before", 0, "only runs older than this one: the next page")
	c.Flags().IntVar(&f.Limit, "limit", 20, "at most so many")
	_ = c.RegisterFlagCompletionFunc("job", p.jobNames)
	return c
}

func (p *Program) listRuns(ctx context.Context, inst *app.Installation, f read.RunFilter) error {
	runs, err := inst.Store.Read.Runs(ctx, f)
	if err != nil {
		return err
	}
	t := text.NewTable(">run", "~job", "kind", "for", ">items", "verdict", "of")
	for _, r := range runs {
		if p.json {
			if err := p.line(report.RunOf(r)); err != nil {
				return err
			}
			continue
		}
		of := ""
		if r.OfRun != 0 {
			of = strconv.FormatInt(r.OfRun, 10)
		}
		verdict := string(r.Verdict)
		if verdict == "" {
			verdict = "open"
		}
		t.Add(r.ID, r.Job, r.Kind, text.Clock(r.ScheduledFor), text.Thousands(r.Expected), verdict, of)
	}
	t.Write(p.out)
	if _, known := inst.Config.Jobs[f.Job]; len(runs) == 0 && f.Job != "" && !known {
		return fmt.Errorf("no run of a job %q, and no such job in the config; there are: %s",
			text.Printable(f.Job), text.List(slices.Sorted(maps.Keys(inst.Config.Jobs))))
	}
	switch {
	case len(runs) > 0:
	case f.Before > 0:
		p.hint("There is no older run.")
	default:
		p.hint("There is no such run. `syncer run JOB` makes one.")
	}
	if len(runs) == f.Limit {
		p.hint("Older ones: --before %d", runs[len(runs)-1].ID)
	}
	return nil
}

func (p *Program) showRun(ctx context.Context, inst *app.Installation, id int64) error {
	if _, err := inst.FindRun(ctx, id); err != nil {
		return err
	}
	report, err := inst.Store.Read.Report(ctx, id)
	if err != nil {
		return fmt.Errorf("report of run %d: %w", id, err)
	}
	if err := p.showReport(ctx, inst, report); err != nil || !p.json {
		return err
	}
	return p.itemLines(ctx, inst, report.Run)
}

// itemLines writes a line for each item that is not complete, then for each of which accounts are withheld. They go from
// the database to the reader one by one, since there may be a hundred thousand.
func (p *Program) itemLines(ctx context.Context, inst *app.Installation, run queue.Run) error {
	lines := func(event string) func(read.OpenItem) error {
		return func(i read.OpenItem) error { return p.line(report.ItemOf(event, i)) }
	}
	if err := inst.Store.Read.EachNotComplete(ctx, run, lines("item")); err != nil {
		return err
	}
	return inst.Store.Read.EachWithheld(ctx, run, lines("withheld"))
}
