package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/persist"
	"syncer/persist/streams"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) streamsResetCommand() *cobra.Command {
	var f streamFlags
	var yes, feed, key bool
	c := &cobra.Command{
		Use: "reset --connection NAME", Args: usageArgs(cobra.NoArgs),
		Short: "Forget where streams stand, so that they are read from the beginning",
		Long: "Forgets where the chosen streams stand, and their remembered pages. The next run reads them from the\n" +
			"beginning, as far back as its job's history goes, with calls for all of that. Rows stay as they are. It is\n" +
			"for a position that no longer fits, because a description or a setting has changed, or a clock was wrong;\n" +
			"the item's reason says so and names this command.\n\n" +
			"With --key it takes the keys as they are configured now, for a whole dataset: the rows with the old keys\n" +
			"stay until a whole pass replaces them.\n\n" +
			"Without --yes it only says what it would do. Nothing is done while a run reads one of the streams.",
		Example: "  syncer streams reset --connection bank --consent 4711 --dataset transactions\n" +
			"  syncer streams reset --connection bank --yes\n" +
			"  syncer streams reset --connection bank --dataset transactions --key --yes\n" +
			"  syncer streams reset --connection ng-prod --feed --yes",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.read(cmd); err != nil {
				return err
			}
			ofOne := f.filter.Consent != 0 || f.filter.Account != ""
			narrowed := ofOne || f.filter.Dataset != ""
			wholeDataset := f.filter.Dataset != "" && !ofOne && !feed
			switch {
			case f.filter.Connection == "":
				return usagef("--connection is missing: name at least the connection whose streams are meant")
			case feed && narrowed:
				return usagef("--feed is the connection's feed of consent events: " +
					"leave --consent, --dataset and --account out")
			case key && !wholeDataset:
				return usagef("--key is for a whole dataset of a connection: " +
					"name it with --dataset, and leave --consent, --account and --feed out")
			}
			return p.change(cmd.Context(), func(inst *app.Installation) error {
				if feed {
					return p.resetFeed(cmd.Context(), inst, f.filter.Connection, yes)
				}
				if key {
					return p.resetKeys(cmd.Context(), inst, f.filter, yes)
				}
				return p.resetStreams(cmd.Context(), inst, f.filter, yes)
			})
		},
	}
	f.add(p, c)
	c.Flags().BoolVar(&feed, "feed", false, "the connection's feed of consent events, and no stream")
	c.Flags().BoolVar(&key, "key", false, "take the keys of the dataset's records as they are made now")
	c.Flags().BoolVar(&yes, "yes", false, "it is meant")
	return p.accountable(c, "")
}

// tellReset says what a reset costs, or has brought about.
func (p *Program) tellReset(event string, c streams.ResetCost) error {
	if p.json {
		return p.line(report.StreamResetOf(event, c))
	}
	will := "would be"
	if event == "reset" {
		will = "will be"
	}
	if c.Streams == 0 {
		p.say("There is no such stream, so there is nothing to reset.")
		return nil
	}
	p.say("%s of %s %s read from the beginning, as far back as the\njob's history goes, with at least %s.",
		text.Count(c.Streams, "stream"), text.Count(c.Consents, "consent"), will, text.Count(c.Calls, "call"))
	if c.Budgeted > 0 {
		p.say("%s a daily number of reads: the next run spends one, and more if it is\nbroken off on the way.",
			text.CountHave(c.Budgeted, "consent"))
	}
	if c.Ended > 0 {
		p.say("%s ended: nothing is read for them any more.", text.CountHave(c.Ended, "consent"))
	}
	if c.SingleUse > 0 {
		p.say("Of them %s for a single use: only a new consent brings data again.", text.CountWas(c.SingleUse))
	}
	return nil
}

func (p *Program) resetStreams(ctx context.Context, inst *app.Installation, f streams.Filter, yes bool) error {
	if err := inst.CheckUsed(ctx, f.Connection); err != nil {
		return err
	}
	cost, err := inst.Store.Streams.ResetCost(ctx, f)
	if err != nil {
		return err
	}
	if !yes {
		if err := p.tellReset("plan", cost); err != nil || cost.Streams == 0 {
			return err
		}
		return usagef("nothing has been done: say --yes if that is meant")
	}
	var did streams.ResetCost
	err = inst.Store.Acting(ctx, p.act("connection", f.Connection),
		func(s *persist.Store, act *persist.Act) (err error) {
			did, err = s.Streams.ResetStreams(ctx, f)
			act.Vain, act.Details = did.Streams == 0 && did.Pages == 0, resetDetails(f, did)
			return err
		})
	if busy, ok := errors.AsType[*streams.StreamsBusyError](err); ok {
		return busyReset(busy)
	}
	if err != nil {
		return err
	}
	return p.tellReset("reset", did)
}

// resetDetails is what an act tells of a reset. An account's id may be made of its customer's number, so
// it is left out.
func resetDetails(f streams.Filter, did streams.ResetCost) map[string]any {
	details := map[string]any{"streams": did.Streams, "consents": did.Consents}
	if f.Consent != 0 {
		details["consent"] = f.Consent
	}
	if f.Dataset != "" {
		details["dataset"] = f.Dataset
	}
	if f.Account != "" {
		details["one_account"] = true
	}
	return details
}

func (p *Program) resetFeed(ctx context.Context, inst *app.Installation, connection string, yes bool) error {
	if err := inst.CheckUsed(ctx, connection); err != nil {
		return err
	}
	const what = "read from the oldest event that the provider keeps,\n" +
		"and the status of every consent be asked for if there are older ones"
	if !yes {
		if !p.json {
			p.say("The consent events of %s would be %s.", connection, what)
		}
		return usagef("nothing has been done: say --yes if that is meant")
	}
	err := inst.Store.Acting(ctx, p.act("connection", connection),
		func(s *persist.Store, act *persist.Act) error {
			act.Details = map[string]any{"feed": true}
			return s.Consents.ResetFeed(ctx, connection)
		})
	if err != nil {
		return err
	}
	done := map[string]any{"event": "reset", "feed": connection}
	return p.told(done, "The consent events of %s will be %s.", connection, what)
}
