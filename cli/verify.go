package cli

import (
	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Check that the tables keep their promises", Args: usageArgs(cobra.NoArgs),
		Long:    "Reads the tables, changes nothing, and names every promise that is broken. The exit code is 1 if any is.",
		Example: "  syncer verify\n  syncer verify --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.look(cmd.Context(), func(inst *app.Installation) error {
				broken, err := inst.Store.Read.Verify(cmd.Context())
				if err != nil {
					return err
				}
				for _, v := range broken {
					if p.json {
						if err := p.line(report.ViolationOf(v)); err != nil {
							return err
						}
						continue
					}
					p.say("%s: %s", text.Printable(v.Rule), text.Count(v.Count, "row"))
					p.say("%s", text.Paragraph(p.out, "  ", v.What))
				}
				if len(broken) > 0 {
					return exitCode(ExitError)
				}
				p.did("Every promise of the tables is kept.")
				return nil
			})
		},
	}
}
