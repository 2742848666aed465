package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/finance"
	"syncer/persist"
	"syncer/persist/consents"
)

// renewalOrder is what the command line says of a renewal.
type renewalOrder struct {
	connection  string
	old, id     string
	from, until string
	scopes      string
	purpose     string
	reads       string
}

// columns are what the command line may tell of the terms, by the columns of a list.
func (o *renewalOrder) columns() map[string]*string {
	return map[string]*string{
		"valid_from": &o.from, "valid_until": &o.until, "scopes": &o.scopes, "purpose": &o.purpose,
		"reads_per_day": &o.reads,
	}
}

func (p *Program) consentsRenewCommand() *cobra.Command {
	var o renewalOrder
	c := &cobra.Command{
		Use:   "renew OLD NEW",
		Short: "Let a consent go on under another id of its provider",
		Long: "A consent that is given again has another id at its provider. Imported as a new one it would load\n" +
			"everything once more; renewed, it keeps its number, its rows and its positions. NEW is the provider's\n" +
			"id; OLD is our number, or with --connection an id that the provider gave it before.\n\n" +
			"Has the consent ended, the new id is called at once. Is it good still, the old id is called until the\n" +
			"new one has been answered, and goes on if that is refused. What is not said of the new one is as it\n" +
			"was; only its end is not: without --valid-until it has none.",
		Example: "  syncer consents renew 4711 5b1f0c7e-... --valid-until 2027-03-31\n" +
			"  syncer consents renew 77aa0c11-... 5b1f0c7e-... --connection bank-prod --reason 'given again'",
		Args: usageArgs(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.old = args[0]
			o.id = args[1]
			return p.changeOrMake(cmd.Context(), func(inst *app.Installation) error { return p.renew(cmd.Context(), inst, o) })
		},
	}
	c.Flags().StringVar(&o.connection, "connection", "", "OLD is the provider's id, over this connection")
	c.Flags().StringVar(&o.from, "valid-from", "", "a day or RFC 3339; now, if it is not said")
	c.Flags().StringVar(&o.until, "valid-until", "", "a day, which is its last, or RFC 3339")
	c.Flags().StringVar(&o.scopes, "scopes", "", "separated by spaces")
	c.Flags().StringVar(&o.purpose, "purpose", "", "what it was given for")
	c.Flags().StringVar(&o.reads, "reads-per-day", "", "how often it may be read in 24 hours")
	_ = c.RegisterFlagCompletionFunc("connection", p.connectionNames)
	return p.accountable(c, "why")
}

func (p *Program) renew(ctx context.Context, inst *app.Installation, o renewalOrder) error {
	c, err := findConsent(ctx, inst, o.connection, o.old)
	if err != nil {
		return err
	}
	line, keep, err := o.line(inst, c)
	if err != nil {
		return err
	}
	var r consents.ImportResult
	err = inst.Store.Acting(ctx, p.act("consent", c.ID), func(s *persist.Store, act *persist.Act) (err error) {
		r, err = s.Consents.Import(ctx, c.Connection, []consents.Import{line}, consents.Keep(keep...),
			consents.Again())
		act.Vain = r.Renewed+r.Renewing == 0
		act.Details = map[string]any{"external_id": line.ExternalID, "at_once": r.Renewed > 0}
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("renew consent %d: %w", c.ID, err)
	case len(r.Refused) > 0:
		return fmt.Errorf("renew consent %d: %s", c.ID, r.Refused[0].Reason)
	case r.Over > 0:
		return fmt.Errorf("renew consent %d: the validity of the new one is over", c.ID)
	}
	now, err := inst.Store.Consents.ByID(ctx, c.ID)
	if err != nil {
		return err
	}
	return p.told(map[string]any{"consent": c.ID, "changed": r.Renewed+r.Renewing > 0, "status": now.Status,
		"external_id": now.ExternalID}, "%s", renewedText(c.ID, line.ExternalID, r))
}

func renewedText(id int64, external string, r consents.ImportResult) string {
	switch {
	case r.Renewed > 0:
		return fmt.Sprintf("Consent %d had ended, and is active again under %s.", id, external)
	case r.Renewing > 0:
		return fmt.Sprintf("Consent %d goes on under %s as soon as that is valid and was answered.", id, external)
	}
	return fmt.Sprintf("Consent %d goes by %s already.", id, external)
}

// line is the renewal as a list would have it, and the columns of which nothing is said.
func (o *renewalOrder) line(inst *app.Installation, c finance.Consent) (line consents.Import, keep []string, err error) {
	zone, err := inst.Zone(c.Connection)
	if err != nil {
		return line, nil, err
	}
	line = consents.Import{Renews: c.ExternalID, UseUnknown: true}
	if err := setField(&line, "external_id", o.id, zone); err != nil {
		return line, nil, usagef("NEW: %s", err)
	}
	if line.ExternalID == "" {
		return line, nil, usagef("NEW is empty: write the provider's id of the renewed consent")
	}
	if line.ExternalID == c.ExternalID {
		return line, nil, errors.New("the consent goes by this id already: a renewal brings another one")
	}
	keep = []string{"single_use"}
	for column, value := range o.columns() {
		if err := setField(&line, column, *value, zone); err != nil {
			return line, nil, usagef("--%s", err)
		}
		if *value == "" && column != "valid_until" {
			keep = append(keep, column)
		}
	}
	if !line.ValidUntil.IsZero() && !line.ValidUntil.After(line.ValidFrom) {
		return line, nil, usagef("--valid-until does not lie after --valid-from")
	}
	return line, keep, nil
}
