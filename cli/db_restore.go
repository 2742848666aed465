package cli

import (
	"context"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/persist"
	"syncer/report/text"
)

func (d *dbFlags) acceptRestoreCommand(p *Program) *cobra.Command {
	nothingLost := false
	c := p.accountable(&cobra.Command{
		Use: "accept-restore", Short: "Go on with a database that was restored from a dump", Args: usageArgs(cobra.NoArgs),
		Long: "A restored database knows nothing of the calls that were made after its dump. So no call is made for single-use\n" +
			"consents, nor for those with a number of reads a day, until this command has said what is to become of them. It\n" +
			"asks for the status of each single-use consent where the provider tells one, ends the others as consumed_unknown,\n" +
			"and takes the day's reads for spent. Stop everything that works on the database that was dumped, before.",
		Example: "  syncer db accept-restore --reason \"disk lost, dump of 02:00\"\n" +
			"  syncer db accept-restore --nothing-lost --reason \"moved to another server\"",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if d.dir != "" {
				return usagef("db accept-restore needs the connections of a configuration, and takes its database: leave --dir out")
			}
			return p.change(cmd.Context(), func(inst *app.Installation) error {
				return p.acceptRestore(cmd.Context(), inst, nothingLost)
			})
		},
	}, "")
	c.Flags().BoolVar(&nothingLost, "nothing-lost", false,
		"no process has worked since the dump was made, as when a database was moved: nothing is taken for spent")
	return c
}

func (p *Program) acceptRestore(ctx context.Context, inst *app.Installation, nothingLost bool) error {
	state, err := inst.Store.Restore.Look(ctx)
	if err != nil {
		return err
	}
	if !state.Restored {
		return p.told(map[string]any{"restored": false},
			"The database is the one that its processes have worked on: there is nothing to accept.")
	}
	var done app.Spent
	err = inst.Store.ActingInSteps(ctx, p.act("database", ""), func(act *persist.Act) (err error) {
		if !nothingLost {
			done, err = inst.SpendRestored(ctx, state.Since)
		}
		act.Details = done.Details()
		if err != nil {
			return err
		}
		return inst.Store.Restore.Accept(ctx)
	})
	if err != nil {
		return err
	}
	if nothingLost {
		return p.told(map[string]any{"restored": true, "nothing_lost": true},
			"The database is accepted as it is, and nothing was taken for spent.")
	}
	doc := done.Details()
	doc["restored"] = true
	return p.told(doc, "%s", text.Paragraph(p.out, "", done.Text()))
}
