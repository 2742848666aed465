package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"syncer/persist"
)

func (a *app) runsCommand() *cobra.Command {
	list := a.runsListCommand("list")
	show := &cobra.Command{
		Use:   "show RUN",
		Short: "Show the report of a run",
		Long: "Shows what RUN has got, what it lacks and why. Of a run that was rerun, the numbers are those of the\n" +
			"latest decision of each item over the run and its reruns.",
		Example: "  syncer runs show 12\n  syncer runs show 12 --json | jq '.not_complete[].reason'",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := runID(args[0])
			if err != nil {
				return err
			}
			return a.look(cmd.Context(), func(h *house) error { return a.showRun(cmd.Context(), h, id) })
		},
	}
	c := a.runsListCommand("runs")
	c.Args = knownCommand
	c.AddCommand(list, show)
	return c
}

func (a *app) runsListCommand(use string) *cobra.Command {
	var f persist.RunFilter
	var verdict string
	c := &cobra.Command{
		Use: use, Short: "List the runs, the newest first", Args: usageArgs(cobra.NoArgs),
		Example: "  syncer runs --job nightly-debt\n  syncer runs list --verdict partial --limit 5\n  syncer runs list --before 120",
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch f.Verdict = persist.Verdict(verdict); f.Verdict {
			case "", persist.VerdictComplete, persist.VerdictPartial, persist.VerdictFailed:
			default:
				return usagef("--verdict %q: write complete, partial or failed", verdict)
			}
			if f.Limit < 1 {
				return usagef("--limit %d: list at least one", f.Limit)
			}
			return a.look(cmd.Context(), func(h *house) error { return a.listRuns(cmd.Context(), h, f) })
		},
	}
	c.Flags().StringVar(&f.Job, "job", "", "only runs of this job")
	c.Flags().StringVar(&verdict, "verdict", "", "only runs with this verdict: complete, partial or failed")
	c.Flags().BoolVar(&f.Open, "open", false, "only runs without a verdict")
	c.Flags().Int64Var(&f.Before, "before", 0, "only runs older than this one: the next page")
	c.Flags().IntVar(&f.Limit, "limit", 20, "at most so many")
	_ = c.RegisterFlagCompletionFunc("job", a.jobNames)
	return c
}

func (a *app) listRuns(ctx context.Context, h *house, f persist.RunFilter) error {
	runs, err := h.Store.Runs(ctx, f)
	if err != nil {
		return err
	}
	t := newTable(">run", "~job", "kind", "for", ">items", "verdict", "of")
	for _, r := range runs {
		if a.json {
			if err := a.line(toRunJSON(r)); err != nil {
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
		t.add(r.ID, r.Job, r.Kind, clock(r.ScheduledFor), thousands(r.Expected), verdict, of)
	}
	t.write(a.out)
	if len(runs) == 0 {
		a.hint("There is no such run. `syncer run JOB` makes one.")
	}
	if len(runs) == f.Limit {
		a.hint("Older ones: --before %d", runs[len(runs)-1].ID)
	}
	return nil
}

func (a *app) showRun(ctx context.Context, h *house, id int64) error {
	if _, err := h.run(ctx, id); err != nil {
		return err
	}
	report, err := h.Store.RunReport(ctx, id)
	if err != nil {
		return fmt.Errorf("report of run %d: %w", id, err)
	}
	return a.showReport(ctx, h, report)
}
