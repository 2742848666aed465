package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/finance"
	"syncer/report"
)

func (p *Program) consentsShowCommand() *cobra.Command {
	var connection string
	c := &cobra.Command{
		Use: "show ID", Short: "Show a consent and what has happened to it", Args: usageArgs(cobra.ExactArgs(1)),
		Example: "  syncer consents show 4711\n  syncer consents show 5b1f0c7e-... --connection ng-prod",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.look(cmd.Context(), func(inst *app.Installation) error {
				c, err := findConsent(cmd.Context(), inst, connection, args[0])
				if err != nil {
					return err
				}
				return p.showConsent(cmd.Context(), inst, c)
			})
		},
	}
	c.Flags().StringVar(&connection, "connection", "", "ID is the provider's, over this connection")
	_ = c.RegisterFlagCompletionFunc("connection", p.connectionNames)
	return c
}

func (p *Program) showConsent(ctx context.Context, inst *app.Installation, c finance.Consent) error {
	history, err := inst.Store.Read.ConsentHistory(ctx, c.ID)
	if err != nil {
		return fmt.Errorf("history of consent %d: %w", c.ID, err)
	}
	suspicion, err := inst.Suspicion(ctx, c)
	if err != nil {
		return err
	}
	renewals, err := inst.Store.Read.Renewals(ctx, c.ID)
	if err != nil {
		return err
	}
	details := report.ConsentDetails{Consent: c, Suspicion: suspicion, Renewals: renewals, History: history}
	if p.json {
		return p.document(details.JSON())
	}
	details.Write(p.out)
	return nil
}
