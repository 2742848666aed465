package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/finance"
	"syncer/persist"
	"syncer/persist/pg"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) connectionsCommand() *cobra.Command {
	park := &cobra.Command{
		Use: "park NAME --reason TEXT", Short: "Stop every call over a connection, in all processes", Args: usageArgs(cobra.ExactArgs(1)),
		Long: "Parks a connection: no further call is made over it, by any process, until `syncer connections open`.\n" +
			"A call that is on its way is not cut short. Items that would need it fail, and a rerun takes them.",
		Example:           "  syncer connections park ng-prod --reason 'the provider asked us to stop'",
		ValidArgsFunction: p.connectionNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !p.reasoned() {
				return usagef("--reason is missing: whoever meets the parked connection must know why")
			}
			return p.change(cmd.Context(), func(inst *app.Installation) error {
				return p.parkConnection(cmd.Context(), inst, args[0])
			})
		},
	}
	p.accountable(park, "why, for whoever meets it")
	resume := p.resumeCommand()
	c := group("connections", "List, park, open, move and rename connections, and end pauses of days",
		park, resume, p.moveCommand(), p.renameCommand(),
		&cobra.Command{
			Use: "list", Short: "List the configured connections and whether they may be used", Args: usageArgs(cobra.NoArgs),
			Example: "  syncer connections list",
			RunE: func(cmd *cobra.Command, _ []string) error {
				return p.look(cmd.Context(), func(inst *app.Installation) error { return p.listConnections(cmd.Context(), inst) })
			},
		},
		p.accountable(&cobra.Command{
			Use: "open NAME", Short: "Use a parked connection again", Args: usageArgs(cobra.ExactArgs(1)),
			Long: "Opens a connection that was parked because its token, its credentials or its server was refused.\n" +
				"Mend the cause first: `syncer check` tells whether it is. New credentials need no opening: they are\n" +
				"used as soon as they are in their file or in the configuration.",
			Example: "  syncer check && syncer connections open ng-prod", ValidArgsFunction: p.connectionNames,
			RunE: func(cmd *cobra.Command, args []string) error {
				return p.change(cmd.Context(), func(inst *app.Installation) error { return p.openConnection(cmd.Context(), inst, args[0]) })
			},
		}, ""))
	c.RunE = func(cmd *cobra.Command, _ []string) error { // as `syncer runs` lists the runs
		return p.look(cmd.Context(), func(inst *app.Installation) error { return p.listConnections(cmd.Context(), inst) })
	}
	return c
}

// listConnections shows what is configured and what the database knows of it. One that is only in the database is
// shown too: its consents and rows are still there.
func (p *Program) listConnections(ctx context.Context, inst *app.Installation) error {
	known, err := inst.Store.Connections.List(ctx)
	if err != nil {
		return err
	}
	rows := map[string]report.Connection{}
	for name, set := range inst.Config.Connections {
		rows[name] = report.Connection{Name: name, Provider: set.Provider, State: "unused"}
	}
	for _, c := range known {
		rows[c.Name] = report.ConnectionOf(inst.AsConfigured(c))
	}
	t := text.NewTable("~name", "provider", "state", "since", "~reason")
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		c := rows[name]
		if p.json {
			if err := p.line(c); err != nil {
				return err
			}
			continue
		}
		since := ""
		if c.ParkedAt != nil {
			since = text.Clock(*c.ParkedAt)
		}
		t.Add(c.Name, c.Provider, c.State, since, c.ParkedReason)
	}
	t.Write(p.out)
	return nil
}

func (p *Program) parkConnection(ctx context.Context, inst *app.Installation, name string) error {
	if _, err := inst.Provider(name); err != nil {
		return err
	}
	if err := inst.Store.Connections.Use(ctx, name, inst.Endpoint(name)); err != nil {
		return err
	}
	first := false
	err := inst.Store.Acting(ctx, p.act("connection", name),
		func(s *persist.Store, act *persist.Act) (err error) {
			first, err = s.Connections.Park(ctx, name, finance.Refused, "by an operator: "+act.Why)
			act.Vain = !first
			return err
		})
	if err != nil {
		return err
	}
	c, err := inst.Store.Connections.ByName(ctx, name)
	switch {
	case err != nil:
		return err
	case p.json:
		return p.document(report.ConnectionOf(c))
	case first:
		p.say("Connection %s is parked. `syncer connections open %s` uses it again.", name, name)
	default:
		p.say("Connection %s was parked already, since %s: %s", name, text.Clock(c.ParkedAt), text.Printable(c.ParkedReason))
	}
	return nil
}

func (p *Program) openConnection(ctx context.Context, inst *app.Installation, name string) error {
	c, err := inst.Store.Connections.ByName(ctx, name)
	if errors.Is(err, pg.ErrNotFound) {
		return fmt.Errorf("no connection %q has been used yet: `syncer connections list` shows what there is", name)
	}
	if err != nil {
		return err
	}
	err = inst.Store.Acting(ctx, p.act("connection", name), func(s *persist.Store, act *persist.Act) error {
		act.Vain = !c.Parked && len(c.Refused) == 0
		act.Details = map[string]any{"whole": c.Parked, "credentials": len(c.Refused)}
		return s.Connections.Open(ctx, name)
	})
	if err != nil {
		return fmt.Errorf("open connection %s: %w", name, err)
	}
	c = inst.AsConfigured(c)
	if !c.Parked && len(c.Refused) > 0 { // it is opened for other credentials than the configured ones
		c = c.For(c.Refused[0].Credentials)
	}
	was := c.Parked
	c.Parked = false
	switch {
	case p.json:
		return p.document(report.ConnectionOf(c))
	case was:
		p.say("Connection %s is open; it was parked since %s: %s", name, text.Clock(c.ParkedAt), text.Printable(c.ParkedReason))
	default:
		p.say("Connection %s was open already.", name)
	}
	return nil
}
