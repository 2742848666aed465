package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/finance"
	"syncer/persist/read"
	"syncer/persist/streams"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) streamsCommand() *cobra.Command {
	return group("streams", "List where streams stand, or let them be read from the beginning",
		p.streamsListCommand(), p.streamsResetCommand())
}

// streamFlags are the flags that choose streams.
type streamFlags struct {
	filter  streams.Filter
	consent string
	dataset string
}

func (f *streamFlags) add(p *Program, c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.filter.Connection, "connection", "", "only streams over this connection")
	flags.StringVar(&f.consent, "consent", "", "only streams of the consent with this number")
	flags.StringVar(&f.dataset, "dataset", "", "only streams of this dataset: accounts, transactions or debt")
	flags.StringVar(&f.filter.Account, "account", "", "only streams of this account, by the provider's id")
	_ = c.RegisterFlagCompletionFunc("connection", p.connectionNames)
}

// consentNumber reads our number of a consent. What is none is not repeated: it may be a person's.
func consentNumber(flag, said string) (int64, error) {
	n, err := strconv.ParseInt(said, 10, 32)
	if err != nil || n < 1 {
		return 0, usagef("%s: here a consent is named by its number; `syncer consents list` shows them", flag)
	}
	return n, nil
}

func (f *streamFlags) read(cmd *cobra.Command) (err error) {
	if cmd.Flags().Changed("consent") {
		f.filter.Consent, err = consentNumber("--consent", f.consent)
		if err != nil {
			return err
		}
	}
	if f.dataset == "" {
		return nil
	}
	if f.filter.Dataset, err = finance.ParseDataset(f.dataset); err != nil {
		return usagef("--dataset: %w", err)
	}
	return nil
}

func (p *Program) streamsListCommand() *cobra.Command {
	var f streamFlags
	c := &cobra.Command{
		Use: "list", Short: "List where streams stand, by consent", Args: usageArgs(cobra.NoArgs),
		Long: "Lists the streams that have been read: which day they have been read up to, or that they stand in the\n" +
			"middle of a pass; the run that moved them last; and what that pass is missing. A window is that of a backfill.",
		Example: "  syncer streams list --connection bank --consent 4711\n" +
			"  syncer streams list --after 4711 --limit 1000 --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.read(cmd); err != nil {
				return err
			}
			if f.filter.Limit < 1 {
				return usagef("--limit %d: list at least one", f.filter.Limit)
			}
			return p.lookOver(cmd.Context(), f.filter.Connection, func(inst *app.Installation) error {
				return p.listStreams(cmd.Context(), inst, f.filter)
			})
		},
	}
	f.add(p, c)
	c.Flags().Int64Var(&f.filter.After, "after", 0, "only streams of consents with a larger number: the next page")
	c.Flags().IntVar(&f.filter.Limit, "limit", 100, "at most so many")
	return c
}

func (p *Program) listStreams(ctx context.Context, inst *app.Installation, f streams.Filter) error {
	list, err := inst.Store.Read.Streams(ctx, f)
	if err != nil {
		return err
	}
	t := text.NewTable(">consent", "~connection", "dataset", "~~account", "~window", "position", ">run", "~missing")
	for _, s := range list {
		j := report.StreamOf(s)
		if p.json {
			if err := p.line(j); err != nil {
				return err
			}
			continue
		}
		t.Add(j.Consent, j.Connection, j.Dataset, j.Account, j.Window, j.Position(), j.Run, j.Missing)
	}
	t.Write(p.out)
	switch n := len(list); {
	case n == 0:
		p.hint("There is no such stream: none has been read yet.")
	case n < f.Limit:
	case list[0].Consent == list[n-1].Consent:
		p.hint("There may be more of this consent: --limit %d", 10*f.Limit)
	default: // of the last consent there may be more
		p.hint("More: --after %d", lastWhole(list))
	}
	return nil
}

// lastWhole is the last consent whose streams are certainly all in a list that was cut.
func lastWhole(list []read.StreamState) int64 {
	last := list[len(list)-1].Consent
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Consent != last {
			return list[i].Consent
		}
	}
	return 0
}
