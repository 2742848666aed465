package cli

import (
	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/report"
)

func (p *Program) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show on one screen what runs, what is parked and why, and who works",
		Args: usageArgs(cobra.NoArgs), Example: "  syncer status\n  syncer status --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.look(cmd.Context(), func(inst *app.Installation) error {
				o, err := inst.Overview(cmd.Context())
				if err != nil {
					return err
				}
				if p.json {
					return p.document(report.StatusOf(o))
				}
				o.Write(p.out, painter(p.out, p.env))
				return nil
			})
		},
	}
}
