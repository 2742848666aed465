package cli

import (
	"context"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/jobs"
	"syncer/persist"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) consentsSyncCommand() *cobra.Command {
	return p.accountable(&cobra.Command{
		Use: "sync JOB|CONNECTION", Short: "Read the provider's feed of what happened to consents", Args: usageArgs(cobra.ExactArgs(1)),
		Long: "Reads the feed from where it was last read and applies it. After a gap in the feed, the status of every\n" +
			"consent that has not ended is asked for.",
		Example: "  syncer consents sync ng-prod\n  syncer consents sync nightly-debt", ValidArgsFunction: p.connectionNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.migrateAndChange(cmd.Context(), func(inst *app.Installation) error { return p.syncConsents(cmd.Context(), inst, args[0]) })
		},
	}, "")
}

func (p *Program) syncConsents(ctx context.Context, inst *app.Installation, name string) error {
	if job, ok := inst.Config.Jobs[name]; ok {
		name = job.Connection
	}
	engine, err := inst.Engine(ctx, app.EngineSpec{Connections: []string{name}})
	if err != nil {
		return err
	}
	if err := engine.Start(ctx); err != nil {
		return err
	}
	var r jobs.FeedResult
	err = inst.Store.ActingInSteps(ctx, p.act("connection", name), func(act *persist.Act) (err error) {
		r, err = engine.SyncConsents(ctx, name)
		act.Vain = !r.Read
		act.Details = map[string]any{"events": r.Events, "changed": r.Changed, "asked": r.Asked}
		return err
	})
	if err != nil {
		return err
	}
	switch {
	case p.json:
		return p.document(report.FeedResultOf(name, r))
	case !r.Read:
		p.say("The provider of %s has no feed; its consents' states come with its answers.", name)
	case r.Gap:
		p.say("%s read over %s, and events were lost: %s asked one by one, %s changed.",
			text.Count(r.Events, "event"), name, text.Count(r.Asked, "consent"), text.Thousands(r.Changed))
	default:
		p.say("%s read over %s, %s changed.", text.Count(r.Events, "event"), name, text.Count(r.Changed, "consent"))
	}
	return nil
}
