package cli

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/config"
	"syncer/finance"
	"syncer/persist/consents"
	"syncer/report"
	"syncer/report/text"
)

// consentStatuses are the states a consent may be in.
var consentStatuses = []finance.ConsentStatus{finance.ConsentActive, finance.ConsentSuspected, finance.ConsentRevoked, finance.ConsentExpired,
	finance.ConsentConsumed, finance.ConsentConsumedUnknown, finance.ConsentReauthRequired}

func (p *Program) consentsListCommand() *cobra.Command {
	var f consents.Filter
	var status, expiring string
	var renewals bool
	c := &cobra.Command{
		Use: "list", Short: "List consents, by their number, or those that end soon", Args: usageArgs(cobra.NoArgs),
		Long: "Lists consents by their number. With --expiring it lists the active ones that end within so long, the\n" +
			"first to end first, and when each was last read completely. With --renewals it lists new consents that\n" +
			"may be renewals: of the same person, over the same connection, as one that has ended or ends soon.",
		Example: "  syncer consents list --connection ng-prod --status revoked\n  syncer consents list --after 4711 --limit 1000 --json\n" +
			"  syncer consents list --expiring 14d",
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.Status = finance.ConsentStatus(status)
			if status != "" && !slices.Contains(consentStatuses, f.Status) {
				return usagef("--status %q: write one of %s", status, text.List(consentStatuses))
			}
			if f.Limit < 1 {
				return usagef("--limit %d: list at least one", f.Limit)
			}
			if renewals {
				return p.lookOver(cmd.Context(), f.Connection, func(inst *app.Installation) error {
					return p.listRenewals(cmd.Context(), inst, f)
				})
			}
			if expiring != "" {
				return p.expiringCommand(cmd.Context(), f, expiring)
			}
			return p.lookOver(cmd.Context(), f.Connection, func(inst *app.Installation) error {
				return p.listConsents(cmd.Context(), inst, f)
			})
		},
	}
	c.Flags().StringVar(&expiring, "expiring", "", "only active consents that end within so long, such as 14d, 7d or 1d")
	c.Flags().BoolVar(&renewals, "renewals", false, "only new consents that may be renewals, and of which consents")
	c.Flags().StringVar(&f.Connection, "connection", "", "only consents over this connection")
	c.Flags().StringVar(&status, "status", "", "only consents in this state: "+text.List(consentStatuses))
	c.Flags().Int64Var(&f.After, "after", 0, "only consents with a larger number: the next page")
	c.Flags().IntVar(&f.Limit, "limit", 100, "at most so many")
	_ = c.RegisterFlagCompletionFunc("connection", p.connectionNames)
	return c
}

func (p *Program) listConsents(ctx context.Context, inst *app.Installation, f consents.Filter) error {
	list, err := inst.Store.Consents.List(ctx, f)
	if err != nil {
		return err
	}
	zones := zonesOf{inst: inst, known: map[string]*time.Location{}}
	t := text.NewTable(">id", "~connection", "~~external id", "status", "until")
	for _, c := range list {
		if p.json {
			if err := p.line(report.ConsentOf(c)); err != nil {
				return err
			}
			continue
		}
		until := "open-ended"
		if !c.ValidUntil.IsZero() {
			until = report.LastDay(c.ValidUntil, zones.of(c.Connection))
		}
		t.Add(c.ID, c.Connection, c.ExternalID, c.Status, until)
	}
	t.Write(p.out)
	switch {
	case len(list) == 0:
		p.hint("There is no such consent. `syncer consents import` brings some.")
	case len(list) == f.Limit:
		p.hint("More: --after %d", list[len(list)-1].ID)
	}
	return nil
}

// zonesOf are the time zones of connections.
type zonesOf struct {
	inst  *app.Installation
	known map[string]*time.Location
}

// of is the zone of a connection; UTC where the configuration does not have it any more.
func (z zonesOf) of(connection string) *time.Location {
	if z.known[connection] == nil {
		z.known[connection] = time.UTC
		if zone, err := z.inst.Zone(connection); err == nil {
			z.known[connection] = zone
		}
	}
	return z.known[connection]
}

// expiringCommand checks what --expiring goes with, and lists.
func (p *Program) expiringCommand(ctx context.Context, f consents.Filter, within string) error {
	d, err := config.ParseDuration(within)
	switch {
	case err != nil, d <= 0:
		return usagef("--expiring %q: write how soon, such as 14d, 7d, 1d or 12h", within)
	case f.Status != "" && f.Status != finance.ConsentActive:
		return usagef("--expiring lists active consents: leave --status %s out", f.Status)
	case f.After != 0:
		return usagef("--expiring lists by the end and not by the number: raise --limit instead of --after")
	}
	return p.lookOver(ctx, f.Connection, func(inst *app.Installation) error { return p.listExpiring(ctx, inst, f, d) })
}

func (p *Program) listExpiring(ctx context.Context, inst *app.Installation, f consents.Filter, within time.Duration) error {
	list, err := inst.Store.Read.Expiring(ctx, f.Connection, within, f.Limit)
	if err != nil {
		return err
	}
	t := text.NewTable(">id", "~connection", "~~external id", "ends", "last read")
	for _, c := range list {
		if p.json {
			if err := p.line(report.ExpiringConsentOf(c)); err != nil {
				return err
			}
			continue
		}
		read := "never"
		if !c.LastRead.IsZero() {
			read = text.Clock(c.LastRead)
		}
		t.Add(c.ID, c.Connection, c.ExternalID, text.Clock(c.ValidUntil), read)
	}
	t.Write(p.out)
	switch {
	case len(list) == 0:
		p.hint("No active consent ends within %s.", config.Duration(within))
	case len(list) == f.Limit:
		p.hint("There may be more: --limit %d", 10*f.Limit)
	}
	return nil
}
