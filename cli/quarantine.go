package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/finance"
	"syncer/persist"
	"syncer/persist/pg"
	"syncer/persist/read"
	"syncer/persist/streams"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) quarantineCommand() *cobra.Command {
	return group("quarantine", "List records that could not be read or stored, and read or give up one of them",
		p.quarantineListCommand(), p.quarantineShowCommand(), p.quarantineRetryCommand(), p.quarantineAcceptCommand())
}

func (p *Program) quarantineListCommand() *cobra.Command {
	var f read.QuarantineFilter
	var dataset, consent string
	c := &cobra.Command{
		Use: "list", Short: "List records in quarantine, the oldest first", Args: usageArgs(cobra.NoArgs),
		Long: "Lists the records that could not be read or stored, each once, with the reason and the number of\n" +
			"runs that have met it. While one is open the item it belongs to is partial. It is resolved when it is\n" +
			"read well, when it has gone, when its key comes with other bytes, or when it is accepted.",
		Example: "  syncer quarantine list --connection bank\n  syncer quarantine list --all --after 400 --json",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cmd.Flags().Changed("consent") {
				if f.Consent, err = consentNumber("--consent", consent); err != nil {
					return err
				}
			}
			if f.Limit < 1 {
				return usagef("--limit %d: list at least one", f.Limit)
			}
			if dataset != "" {
				if f.Dataset, err = finance.ParseDataset(dataset); err != nil {
					return usagef("--dataset: %w", err)
				}
			}
			return p.lookOver(cmd.Context(), f.Connection, func(inst *app.Installation) error {
				return p.listQuarantine(cmd.Context(), inst, f)
			})
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.Connection, "connection", "", "only records of this connection")
	flags.StringVar(&consent, "consent", "", "only records of the consent with this number")
	flags.StringVar(&dataset, "dataset", "", "only records of this dataset: accounts, transactions or debt")
	flags.BoolVar(&f.Resolved, "all", false, "those that are resolved too")
	flags.Int64Var(&f.After, "after", 0, "only records with a larger id: the next page")
	flags.IntVar(&f.Limit, "limit", 100, "at most so many")
	_ = c.RegisterFlagCompletionFunc("connection", p.connectionNames)
	return c
}

func (p *Program) quarantineAcceptCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "accept ID --reason TEXT", Short: "Do without a record: no item is partial for it any more",
		Args: usageArgs(cobra.ExactArgs(1)),
		Long: "Resolves the record with that id, which `syncer quarantine list` shows. As long as it comes with the\n" +
			"same bytes nothing is said of it any more; with other bytes it is another record. The items of runs\n" +
			"that are over stay partial until a rerun.",
		Example: "  syncer quarantine accept 17 --reason 'the bank will not mend it: case 4711'",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := quarantineID(args[0])
			if err != nil {
				return err
			}
			if !p.reasoned() {
				return usagef("--reason is missing: whoever misses the record must know why")
			}
			return p.change(cmd.Context(), func(inst *app.Installation) error {
				return p.acceptQuarantined(cmd.Context(), inst, id)
			})
		},
	}
	return p.accountable(c, "why, for whoever misses the record")
}

func (p *Program) listQuarantine(ctx context.Context, inst *app.Installation, f read.QuarantineFilter) error {
	list, err := inst.Store.Read.Quarantine(ctx, f)
	if err != nil {
		return err
	}
	t := text.NewTable(">id", ">consent", "~connection", "dataset", ">times", "state", "~~reason")
	for _, r := range list {
		j := report.QuarantinedOf(r)
		if p.json {
			if err := p.line(j); err != nil {
				return err
			}
			continue
		}
		t.Add(j.ID, j.Consent, j.Connection, j.Dataset, j.Times, j.State(), j.Reason)
	}
	t.Write(p.out)
	switch {
	case len(list) == 0:
		p.hint("Nothing is in quarantine.")
	case len(list) == f.Limit:
		p.hint("There may be more: --after %d", list[len(list)-1].ID)
	}
	return nil
}

func (p *Program) acceptQuarantined(ctx context.Context, inst *app.Installation, id int64) error {
	err := inst.Store.Acting(ctx, p.act("record", id), func(s *persist.Store, act *persist.Act) error {
		return s.Streams.AcceptQuarantined(ctx, id, act.Why)
	})
	switch {
	case errors.Is(err, pg.ErrNotFound):
		return notInQuarantine(id)
	case errors.Is(err, streams.ErrResolved):
		return fmt.Errorf("record %d is resolved already: `syncer quarantine list --all` says how", id)
	case err != nil:
		return err
	}
	if p.json {
		return p.line(report.AcceptedRecord{Event: "accepted", ID: id})
	}
	p.say("Accepted record %d: no item is partial for it any more.", id)
	p.hint("Items of runs that are over stay partial until a rerun.")
	return nil
}
