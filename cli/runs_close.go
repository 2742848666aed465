package cli

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/persist"
	"syncer/persist/queue"
	"syncer/report/text"
)

func (p *Program) runsCloseCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "close RUN",
		Short: "End a run that nobody is going to work",
		Long: "Ends RUN, such as one over a connection that its job has no more. What it has not read is excused,\n" +
			"with the reason, and the run gets its verdict, which is not complete. Whoever is at work on it is\n" +
			"stopped, and the page in hand is not stored. A run that only waits for its provider needs no end: it goes on by itself.",
		Example: "  syncer runs close 41 --reason 'the job calls over another connection now'",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := runID(args[0])
			if err != nil {
				return err
			}
			return p.change(cmd.Context(), func(inst *app.Installation) error { return p.closeRun(cmd.Context(), inst, id) })
		},
	}
	return p.accountable(c, "why, kept with what was not read")
}

func (p *Program) closeRun(ctx context.Context, inst *app.Installation, id int64) error {
	before, err := inst.FindRun(ctx, id)
	if err != nil {
		return err
	}
	var run queue.Run
	var items int
	err = inst.Store.Acting(ctx, p.act("run", id), func(s *persist.Store, act *persist.Act) (err error) {
		why := cmp.Or(act.Why, "no reason given")
		run, items, err = s.Queue.CloseRun(ctx, id, "the run was closed by an operator: "+why)
		act.Vain = before.Verdict != ""
		act.Details = map[string]any{"items": items}
		return err
	})
	if err != nil {
		return err
	}
	did := map[string]any{"run": id, "closed": before.Verdict == "", "items": items, "verdict": run.Verdict}
	if before.Verdict != "" {
		return p.told(did, "Run %d had its verdict already: %s.", id, run.Verdict)
	}
	return p.told(did, "Run %d is closed: %s, %s not read.", id, run.Verdict, countWasItem(items))
}

// countWasItem is "1 item was" or "3 items were".
func countWasItem(n int) string {
	if n == 1 {
		return "1 item was"
	}
	return text.Count(n, "item") + " were"
}
