package cli

import (
	"context"

	"syncer/app"
	"syncer/persist/consents"
	"syncer/report"
	"syncer/report/text"
)

// listRenewals lists the new consents that look like renewals which nobody has told. It changes nothing.
func (p *Program) listRenewals(ctx context.Context, inst *app.Installation, f consents.Filter) error {
	list, err := inst.Store.Read.LikelyRenewals(ctx, f.Connection, f.Limit)
	if err != nil {
		return err
	}
	t := text.NewTable("~connection", ">old", "status", "until", ">new", "~~its id")
	for _, l := range list {
		if p.json {
			if err := p.line(report.LikelyRenewalOf(l)); err != nil {
				return err
			}
			continue
		}
		until := "open-ended"
		if !l.OldUntil.IsZero() {
			until = text.Clock(l.OldUntil)
		}
		t.Add(l.Connection, l.Old, l.OldStatus, until, l.New, l.NewID)
	}
	t.Write(p.out)
	switch {
	case len(list) == 0:
		p.hint("No consent looks like a renewal that nobody has told.")
	case len(list) == f.Limit:
		p.hint("There may be more: --limit %d", 10*f.Limit)
	default:
		p.hint("A renewal goes on with the old rows: `syncer consents renew OLD ITS-ID`, before it is read.")
	}
	return nil
}

// hintRenewals points at likely renewals behind an import of new consents: read as they are, they load everything once more.
func (p *Program) hintRenewals(ctx context.Context, inst *app.Installation, connection string) error {
	const most = 1000
	list, err := inst.Store.Read.LikelyRenewals(ctx, connection, most)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return nil
	}
	number := text.Thousands(len(list))
	if len(list) == most {
		number += " or more"
	}
	p.hint("New consents that may be renewals of known ones: %s. `syncer consents list --renewals --connection %s` "+
		"names them, before they are read as new ones.", number, connection)
	return nil
}
