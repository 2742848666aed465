package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/fetch/redact"
	"syncer/finance"
	"syncer/persist"
	"syncer/persist/pg"
	"syncer/persist/read"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) callCommand() *cobra.Command {
	return &cobra.Command{
		Use: "call ID", Short: "Show what is known of one call", Args: usageArgs(cobra.ExactArgs(1)),
		Long:    "Finds a call by our request id, or by the provider's correlation id, which may name several calls.",
		Example: "  syncer call 01936f3e-7c1a-7b2e-9a51-6f0f3a2b1c4d\n  syncer call 4bf92f3577b34da6 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.look(cmd.Context(), func(inst *app.Installation) error { return p.showCalls(cmd.Context(), inst, args[0]) })
		},
	}
}

func (p *Program) showCalls(ctx context.Context, inst *app.Installation, id string) error {
	calls, err := findCalls(ctx, inst.Store, id)
	if err != nil {
		return err
	}
	if len(calls) == 0 {
		return fmt.Errorf("no call has the id %q, neither ours nor the provider's: `syncer runs show RUN` lists some", text.Printable(id))
	}
	for i, c := range calls {
		if p.json {
			if err := p.line(report.CallOf(c)); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			p.say("")
		}
		report.WriteCall(p.out, c)
	}
	return nil
}

// findCalls takes the id for ours if it can be, and for the provider's otherwise.
func findCalls(ctx context.Context, store *persist.Store, id string) ([]read.CallRecord, error) {
	if ours, err := uuid.Parse(id); err == nil {
		call, err := store.Read.CallByID(ctx, finance.CallID(ours))
		if err == nil || !errors.Is(err, pg.ErrNotFound) {
			return []read.CallRecord{call}, err
		}
	}
	calls, err := store.Read.CallsByCorrelation(ctx, redact.Correlation(id))
	if err != nil {
		return calls, err
	}
	if len(calls) > 0 {
		return calls, nil
	}
	return store.Read.CallsByCorrelation(ctx, id) // as releases before this one stored it
}
