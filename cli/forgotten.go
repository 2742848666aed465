package cli

import (
	"context"

	"syncer/app"
	"syncer/report"
)

// hintForgotten tells a person of connections and open runs that the configuration does not name.
func (p *Program) hintForgotten(ctx context.Context, inst *app.Installation) error {
	list, err := inst.Forgotten(ctx)
	if err != nil {
		return err
	}
	for _, c := range list {
		p.hint("%s", report.ForgottenText(c))
	}
	orphans, err := inst.Orphans(ctx)
	if err != nil {
		return err
	}
	for _, r := range orphans {
		p.hint("%s", report.OrphanText(r))
	}
	return nil
}
