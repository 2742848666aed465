package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) actsCommand() *cobra.Command {
	var last int
	c := &cobra.Command{
		Use: "acts", Short: "List who has changed what by a command, and why, the newest first",
		Args: usageArgs(cobra.NoArgs),
		Long: "Lists what was changed by commands: when, by whom (--as, or the system's user), what on\n" +
			"what, and why (--reason). An act that is not done was broken off, or is still at work.\n" +
			"--json tells more of each.",
		Example: "  syncer acts\n  syncer acts --last 500 --json | jq 'select(.act == \"consents revoke\")'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if last < 1 {
				return usagef("--last %d: list at least one", last)
			}
			return p.look(cmd.Context(), func(inst *app.Installation) error { return p.listActs(cmd.Context(), inst, last) })
		},
	}
	c.Flags().IntVar(&last, "last", 20, "at most so many")
	return c
}

func (p *Program) listActs(ctx context.Context, inst *app.Installation, last int) error {
	list, err := inst.Store.Acts(ctx, last)
	if err != nil {
		return err
	}
	t := text.NewTable("at", "~who", "act", "on", "~~why")
	for _, act := range list {
		if p.json {
			err := p.line(report.ActOf(act))
			if err != nil {
				return err
			}
			continue
		}
		name := act.Name
		if act.DoneAt.IsZero() {
			name += " (not done)"
		}
		t.Add(text.Clock(act.At), act.Who, name, strings.TrimSpace(act.Kind+" "+act.Object), act.Why)
	}
	t.Write(p.out)
	switch {
	case len(list) == 0:
		p.hint("Nothing has been changed by a command yet.")
	case len(list) == last:
		p.hint("There may be more: --last %d", 10*last)
	}
	return nil
}
