package cli

import (
	"github.com/spf13/cobra"

	"syncer/report"
)

func (p *Program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this binary", Args: usageArgs(cobra.NoArgs), Example: "  syncer version --json",
		RunE: func(*cobra.Command, []string) error {
			b := report.ThisBuild()
			if p.json {
				return p.document(b)
			}
			p.say("syncer %s %s %s", b.Version, b.Go, b.Platform)
			if b.Revision != "" {
				p.say("built from %s", b.Revision)
			}
			return nil
		},
	}
}
