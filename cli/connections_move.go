package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/persist"
	"syncer/persist/connections"
	"syncer/persist/pg"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) moveCommand() *cobra.Command {
	var keep, end bool
	c := &cobra.Command{
		Use: "move NAME --keep|--end --reason TEXT", Short: "Let a connection lead where the configuration says now",
		Args: usageArgs(cobra.ExactArgs(1)),
		Long: "A connection remembers its provider, environment and address. When the configuration names others, nothing is\n" +
			"called until this command says what becomes of its consents:\n\n" +
			"  --keep  the same data at another address: consents, rows and positions go on\n" +
			"  --end   another environment, such as production after a sandbox: its consents end, rows stay\n\n" +
			"It holds at once. A process that still has the old configuration sends nothing more for the connection.",
		Example:           "  syncer connections move ng --end --reason 'the sandbox was for the trial'",
		ValidArgsFunction: p.connectionNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if keep == end {
				return usagef("say --keep or --end: what becomes of the consents?")
			}
			if !p.reasoned() {
				return usagef("--reason is missing: it is kept beside each consent that ends")
			}
			return p.change(cmd.Context(), func(inst *app.Installation) error {
				return p.moveConnection(cmd.Context(), inst, args[0], end)
			})
		},
	}
	c.Flags().BoolVar(&keep, "keep", false, "the consents and their positions go on")
	c.Flags().BoolVar(&end, "end", false, "the consents end")
	return p.accountable(c, "why it leads elsewhere")
}

func (p *Program) moveConnection(ctx context.Context, inst *app.Installation, name string, end bool) error {
	if _, err := inst.Provider(name); err != nil {
		return err
	}
	to := inst.Endpoint(name)
	var m connections.Moved
	err := inst.Store.Acting(ctx, p.act("connection", name),
		func(s *persist.Store, act *persist.Act) (err error) {
			m, err = s.Connections.Move(ctx, name, to, end, "by an operator: "+act.Why)
			act.Details = map[string]any{"from": m.From.String(), "to": to.String(),
				"ended": m.Ended, "kept": m.Kept}
			return err
		})
	switch {
	case errors.Is(err, pg.ErrNotFound):
		return fmt.Errorf("no connection %q has been used yet, so there is nothing to move", name)
	case errors.Is(err, connections.ErrNoEnvironment):
		return fmt.Errorf("connection %s has no environment in the configuration, and it has led to %s: write which one it leads "+
			"to now (environment: NAME), then give this command again. Nothing was changed", name, m.From)
	case errors.Is(err, connections.ErrNotMoved):
		return fmt.Errorf("connection %s leads to %s as it did: nothing was changed. Where it leads stands in the "+
			"configuration; `syncer consents revoke` ends consents", name, to)
	}
	if err != nil {
		return err
	}
	if p.json {
		return p.document(report.MovedConnection{
			Connection: name, From: m.From.String(), To: to.String(), Ended: m.Ended, Kept: m.Kept, Batches: m.Batches,
		})
	}
	p.say("Connection %s leads to %s; it led to %s.", name, to, m.From)
	if end {
		p.say("%s ended; their rows stay.", text.Count(m.Ended, "consent"))
	} else {
		p.say("%s going on, with rows and positions.", text.Count(m.Kept, "active consent"))
	}
	if m.Batches > 0 {
		p.say("Batches that were taken from the processes at work on them: %s.", text.Thousands(m.Batches))
	}
	return nil
}

func (p *Program) renameCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "rename OLD NEW --reason TEXT", Short: "Give a connection the name that the configuration has for it now",
		Args: usageArgs(cobra.ExactArgs(2)),
		Long: "Consents, rows, positions, runs and pauses of the connection go on under the new name. Rename it in the\n" +
			"configuration first. Read under the new name before, all its consents and rows would be there twice; a list that\n" +
			"was only imported again under it is joined.",
		Example: "  syncer connections rename ng ng-prod --reason 'there is a second one now'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !p.reasoned() {
				return usagef("--reason is missing: whoever looks for the old name must know why")
			}
			return p.change(cmd.Context(), func(inst *app.Installation) error {
				return p.renameConnection(cmd.Context(), inst, args[0], args[1])
			})
		},
	}
	return p.accountable(c, "why it has another name")
}

func (p *Program) renameConnection(ctx context.Context, inst *app.Installation, from, to string) error {
	if _, configured := inst.Config.Connections[from]; configured {
		return fmt.Errorf("connection %s is still in the configuration: rename it there first, or the next command makes it anew", from)
	}
	if _, err := inst.Provider(to); err != nil {
		return err
	}
	known, err := inst.Store.Connections.ByName(ctx, from)
	if errors.Is(err, pg.ErrNotFound) {
		return fmt.Errorf("no connection %q has been used: `syncer connections list` shows what there is", from)
	}
	if err != nil {
		return err
	}
	err = inst.Store.Connections.CheckEndpoint(ctx, from, inst.Endpoint(to))
	if moved, elsewhere := errors.AsType[*connections.MovedError](err); elsewhere {
		return fmt.Errorf("consents and rows of %[1]s are of %[3]s, and %[2]s in the configuration leads to %[4]s, so nothing was "+
			"changed. If it is another one: it keeps its own name, and %[1]s stands beside it in the configuration. If it is the "+
			"same one: call it %[1]s there once more, say with `syncer connections move %[1]s` what happens to its consents, and "+
			"then rename it", from, to, moved.Known, moved.Configured)
	}
	if err != nil {
		return err
	}
	var joined connections.Renamed
	err = inst.Store.Acting(ctx, p.act("connection", from), func(s *persist.Store, act *persist.Act) (err error) {
		joined, err = s.Connections.Rename(ctx, from, to)
		act.Details = map[string]any{"to": to, "doubles": joined.Doubles, "joined": joined.Joined}
		return err
	})
	if errors.Is(err, connections.ErrNameTaken) {
		return fmt.Errorf("connection %[1]s has consents of its own that were read already, so %[2]s can't have its name, and "+
			"nothing was changed. Give it a third name in the configuration and here (syncer connections rename %[2]s THIRD); then "+
			"end those of %[1]s (syncer consents list --connection %[1]s; syncer consents revoke --file IDS --connection %[1]s)", to, from)
	}
	if err != nil {
		return err
	}
	if p.json {
		return p.document(report.RenamedConnection{
			From: from, To: to, Provider: known.Provider, Doubles: joined.Doubles, Joined: joined.Joined,
		})
	}
	p.say("Connection %s is %s now, with its consents, rows, positions and runs.", from, to)
	if joined.Doubles+joined.Joined > 0 {
		was := "were"
		if joined.Doubles+joined.Joined == 1 {
			was = "was"
		}
		p.say("%s %s imported under the new name already and not read yet: %s the same, %s new.",
			text.Count(joined.Doubles+joined.Joined, "consent"), was, text.AreSo(joined.Doubles), text.AreSo(joined.Joined))
		p.say("What the list has changed since comes with its next import.")
	}
	return nil
}
