package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/persist"
	"syncer/persist/pg"
	"syncer/report/text"
)

func (p *Program) consentsAcceptEndsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "accept-ends CONNECTION --reason TEXT",
		Short: "Believe the ends of consents that came in too great a number",
		Args:  usageArgs(cobra.ExactArgs(1)),
		Long: "Ends the consents of a connection whose ends are held: so many were told at once that they\n" +
			"were not believed. `syncer status` counts them, and `syncer consents list --status suspected`\n" +
			"lists them with those that are suspected for another reason, which stay so. Ask the provider\n" +
			"first.",
		Example:           "  syncer consents accept-ends ng-prod --reason 'their register was merged, they say'",
		ValidArgsFunction: p.connectionNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !p.reasoned() {
				return usagef("--reason is missing: the history of each consent must tell why its end was believed")
			}
			return p.change(cmd.Context(), func(inst *app.Installation) error {
				return p.acceptEnds(cmd.Context(), inst, args[0])
			})
		},
	}
	return p.accountable(c, "why, for the consents' history")
}

func (p *Program) acceptEnds(ctx context.Context, inst *app.Installation, connection string) error {
	ended := 0
	err := inst.Store.Acting(ctx, p.act("connection", connection), func(s *persist.Store, act *persist.Act) (err error) {
		ended, err = s.Refusals.AcceptEnds(ctx, connection, act.Why)
		act.Vain = ended == 0
		act.Details = map[string]any{"ended": ended}
		return err
	})
	if errors.Is(err, pg.ErrNotFound) {
		return fmt.Errorf("there is no connection %q: `syncer connections list` shows what there is", connection)
	}
	if err != nil {
		return err
	}
	if ended == 0 {
		return p.told(map[string]any{"connection": connection, "ended": 0},
			"No end of a consent over %s is held.", text.Printable(connection))
	}
	return p.told(map[string]any{"connection": connection, "ended": ended},
		"%s over %s ended as the provider has told.", text.Count(ended, "consent"), text.Printable(connection))
}
