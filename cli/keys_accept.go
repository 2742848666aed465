package cli

import (
	"context"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/persist"
	"syncer/report"
)

func (p *Program) keysAcceptCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "accept --reason TEXT", Short: "Say that the key file is the one that this database was written with",
		Args: usageArgs(cobra.NoArgs),
		Long: "A database knows which keys it was written with. One from before it did learns them from what is sealed in\n" +
			"it. Where nothing is sealed, and subjects are named by their HMACs, it can't tell a right key file from a\n" +
			"wrong one, and every command that changes something stops. With a wrong one each subject would be a stranger:\n" +
			"be sure that the file is the right one before you say so. A database that knows its keys is not changed.",
		Example: "  syncer keys accept --reason 'the file of the old server, from its backup'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !p.reasoned() {
				return usagef("--reason is missing: how is it known that this is the right key file?")
			}
			return p.acceptKeys(cmd.Context())
		},
	}
	return p.accountable(c, "how it is known that this is the right key file")
}

func (p *Program) acceptKeys(ctx context.Context) error {
	opt := p.options(p.logger("warn"))
	opt.AcceptKeys = true
	return p.inInstallation(ctx, opt, func(inst *app.Installation) error {
		info, err := app.ReadKeyFile(inst.Config.Keys.File)
		if err != nil {
			return err
		}
		key := report.KeyName(info.Primary)
		err = inst.Store.Acting(ctx, p.act("keys", key), func(*persist.Store, *persist.Act) error { return nil })
		if err != nil {
			return err
		}
		return p.told(map[string]any{"accepted": inst.Config.Keys.File, "key": key},
			"The database knows %s as its key file; key %s seals.", inst.Config.Keys.File, key)
	})
}
