package cli

import (
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/persist/seal"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) keysCommand() *cobra.Command {
	return group("keys", "Show and rotate the key that seals what is secret in the database", p.keysListCommand(),
		p.keysRotateCommand(), p.keysAcceptCommand())
}

func (p *Program) keysListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the sealing keys and what each has sealed", Args: usageArgs(cobra.NoArgs),
		Long:    "Lists the keys of the key file by their ids, and how many values in the database each has sealed. It reads\nthe key id of every kept answer, which takes its time in a large database.",
		Example: "  syncer keys list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.look(cmd.Context(), func(inst *app.Installation) error {
				info, err := app.ReadKeyFile(inst.Config.Keys.File)
				if err != nil {
					return err
				}
				counts, err := inst.Store.Seal.CountSealed(cmd.Context())
				if err != nil {
					return err
				}
				return p.listKeys(info, counts)
			})
		},
	}
}

// listKeys shows every key of the file, and every key that a value names and the file has not.
func (p *Program) listKeys(info seal.KeyFile, counts []seal.SealedCount) error {
	t := text.NewTable("key", "state", "since", ">sealed", "~of")
	for _, k := range report.KeysOf(info, counts) {
		if p.json {
			if err := p.line(k); err != nil {
				return err
			}
			continue
		}
		since := ""
		sum := 0
		of := ""
		if k.Since != nil {
			since = text.Clock(*k.Since)
		}
		for _, table := range slices.Sorted(maps.Keys(k.Sealed)) {
			sum += k.Sealed[table]
			of += fmt.Sprintf("%s %s  ", text.Thousands(k.Sealed[table]), table)
		}
		t.Add(k.Key, k.State, since, text.Thousands(sum), of)
	}
	t.Write(p.out)
	return nil
}
