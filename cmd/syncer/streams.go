package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist"
)

func (a *app) streamsCommand() *cobra.Command {
	return group("streams", "List where streams stand, or let them be read from the beginning",
		a.streamsListCommand(), a.streamsResetCommand())
}

// streamFlags are the flags that choose streams.
type streamFlags struct {
	filter  persist.StreamFilter
	dataset string
}

func (f *streamFlags) add(a *app, c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.filter.Connection, "connection", "", "only streams over this connection")
	flags.Int64Var(&f.filter.Consent, "consent", 0, "only streams of the consent with this number")
	flags.StringVar(&f.dataset, "dataset", "", "only streams of this dataset: accounts, transactions or debt")
	flags.StringVar(&f.filter.Account, "account", "", "only streams of this account, by the provider's id")
	_ = c.RegisterFlagCompletionFunc("connection", a.connectionNames)
}

func (f *streamFlags) read(cmd *cobra.Command) (err error) {
	if cmd.Flags().Changed("consent") && f.filter.Consent < 1 {
		return usagef("--consent %d: a consent is named by its number; `syncer consents list` shows them", f.filter.Consent)
	}
	if f.dataset == "" {
		return nil
	}
	if f.filter.Dataset, err = finance.ParseDataset(f.dataset); err != nil {
		return usagef("--dataset: %w", err)
	}
	return nil
}

func (a *app) streamsListCommand() *cobra.Command {
	var f streamFlags
	c := &cobra.Command{
		Use: "list", Short: "List where streams stand, by consent", Args: usageArgs(cobra.NoArgs),
		Long: "Lists the streams that have been read: which day they have been read up to, or that they stand in the\n" +
			"middle of a pass; the run that moved them last; and what that pass lacks. A window is that of a backfill.",
		Example: "  syncer streams list --connection bank --consent 4711\n" +
			"  syncer streams list --after 4711 --limit 1000 --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.read(cmd); err != nil {
				return err
			}
			if f.filter.Limit < 1 {
				return usagef("--limit %d: list at least one", f.filter.Limit)
			}
			return a.look(cmd.Context(), func(h *house) error { return a.listStreams(cmd.Context(), h, f.filter) })
		},
	}
	f.add(a, c)
	c.Flags().Int64Var(&f.filter.After, "after", 0, "only streams of consents with a larger number: the next page")
	c.Flags().IntVar(&f.filter.Limit, "limit", 100, "at most so many")
	return c
}

type streamJSON struct {
	Connection string       `json:"connection"`
	Consent    int64        `json:"consent"`
	Dataset    string       `json:"dataset"`
	Account    string       `json:"account,omitempty"`
	Window     string       `json:"window,omitempty"`   // of a backfill
	Through    finance.Date `json:"through,omitzero"`   // the day up to which it has been read; left out: it counts no days
	MidPass    bool         `json:"mid_pass"`           // the last pass has not come to its end
	Run        int64        `json:"run,omitempty"`      // that moved it last
	PassRun    int64        `json:"pass_run,omitempty"` // that began the pass which is going on, or the last one
	Lacks      string       `json:"lacks,omitempty"`    // what that pass has not got
	MovedAt    *time.Time   `json:"moved_at,omitempty"`
}

func toStreamJSON(s persist.StreamState) streamJSON {
	return streamJSON{
		Connection: s.Connection, Consent: s.Consent, Dataset: string(s.Dataset), Account: shownAccount(s.Account),
		Window: s.Span, Through: fetch.ThroughDay(s.Position), MidPass: s.MidPass, Run: s.Run, PassRun: s.PassRun,
		Lacks: s.Lacks, MovedAt: instant(s.MovedAt),
	}
}

// shownAccount hides an account's id that a provider has made of its customer's number.
func shownAccount(id string) string {
	if finance.HoldsNationalID(id) {
		return "(hidden: it looks like a person's number)"
	}
	return id
}

// place is where a stream stands, in a word.
func (s *streamJSON) place() string {
	switch {
	case s.MidPass:
		return "mid-pass"
	case s.Through.IsZero():
		return "at its end"
	}
	return s.Through.String()
}

func (a *app) listStreams(ctx context.Context, h *house, f persist.StreamFilter) error {
	list, err := h.Store.Streams(ctx, f)
	if err != nil {
		return err
	}
	t := newTable(">consent", "~connection", "dataset", "~~account", "~window", "position", ">run", "~lacks")
	for _, s := range list {
		j := toStreamJSON(s)
		if a.json {
			if err := a.line(j); err != nil {
				return err
			}
			continue
		}
		t.add(j.Consent, j.Connection, j.Dataset, j.Account, j.Window, j.place(), j.Run, j.Lacks)
	}
	t.write(a.out)
	switch n := len(list); {
	case n == 0:
		a.hint("There is no such stream: none has been read yet.")
	case n < f.Limit:
	case list[0].Consent == list[n-1].Consent:
		a.hint("There may be more of this consent: --limit %d", 10*f.Limit)
	default: // of the last consent there may be more
		a.hint("More: --after %d", lastWhole(list))
	}
	return nil
}

// lastWhole is the last consent whose streams are certainly all in a list that was cut.
func lastWhole(list []persist.StreamState) int64 {
	last := list[len(list)-1].Consent
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Consent != last {
			return list[i].Consent
		}
	}
	return 0
}

func (a *app) streamsResetCommand() *cobra.Command {
	var f streamFlags
	var yes, feed bool
	c := &cobra.Command{
		Use: "reset --connection NAME", Args: usageArgs(cobra.NoArgs),
		Short: "Forget where streams stand, so that they are read from the beginning",
		Long: "Forgets where the chosen streams stand, and their remembered pages. The next run reads them from the\n" +
			"beginning, as far back as its job's history goes, with calls for all of that. Rows stay as they are. It is\n" +
			"for a position that fits no more, because a description or a setting has changed, or a clock was wrong;\n" +
			"the item's reason says so and names this command.\n\n" +
			"Without --yes it only says what it would do. Nothing is done while a run reads one of the streams.",
		Example: "  syncer streams reset --connection bank --consent 4711 --dataset transactions\n" +
			"  syncer streams reset --connection bank --yes\n  syncer streams reset --connection ng-prod --feed --yes",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.read(cmd); err != nil {
				return err
			}
			narrowed := f.filter.Consent != 0 || f.filter.Dataset != "" || f.filter.Account != ""
			switch {
			case f.filter.Connection == "":
				return usagef("--connection is missing: name at least the connection whose streams are meant")
			case feed && narrowed:
				return usagef("--feed is the connection's feed of consent events: " +
					"leave --consent, --dataset and --account out")
			}
			return a.look(cmd.Context(), func(h *house) error {
				if feed {
					return a.resetFeed(cmd.Context(), h, f.filter.Connection, yes)
				}
				return a.resetStreams(cmd.Context(), h, f.filter, yes)
			})
		},
	}
	f.add(a, c)
	c.Flags().BoolVar(&feed, "feed", false, "the connection's feed of consent events, and no stream")
	c.Flags().BoolVar(&yes, "yes", false, "it is meant")
	return c
}

type resetJSON struct {
	Event     string `json:"event"` // plan, or reset when it is done
	Streams   int    `json:"streams"`
	Consents  int    `json:"consents"`
	Calls     int    `json:"calls_at_least"`
	Budgeted  int    `json:"budgeted_consents"`
	Ended     int    `json:"ended_consents"`
	SingleUse int    `json:"spent_single_use_consents"`
}

// tellReset says what a reset costs, or has brought about.
func (a *app) tellReset(event string, c persist.ResetCost) error {
	if a.json {
		return a.line(resetJSON{event, c.Streams, c.Consents, c.Calls, c.Budgeted, c.Ended, c.SingleUse})
	}
	will := "would be"
	if event == "reset" {
		will = "will be"
	}
	if c.Streams == 0 {
		a.say("There is no such stream, so there is nothing to reset.")
		return nil
	}
	a.say("%s of %s %s read from the beginning, as far back as the\njob's history goes, with at least %s.",
		count(c.Streams, "stream"), count(c.Consents, "consent"), will, count(c.Calls, "call"))
	if c.Budgeted > 0 {
		a.say("%s a daily number of reads: the next run spends one, and more if it is\nbroken off on the way.",
			countHave(c.Budgeted, "consent"))
	}
	if c.Ended > 0 {
		a.say("%s ended: nothing is read for them any more.", countHave(c.Ended, "consent"))
	}
	if c.SingleUse > 0 {
		a.say("Of them %s for a single use: only a new consent brings data again.", countWas(c.SingleUse))
	}
	return nil
}

func countWas(n int) string {
	if n == 1 {
		return "1 was"
	}
	return thousands(n) + " were"
}

func (a *app) resetStreams(ctx context.Context, h *house, f persist.StreamFilter, yes bool) error {
	if err := h.used(ctx, f.Connection); err != nil {
		return err
	}
	cost, err := h.Store.ResetCost(ctx, f)
	if err != nil {
		return err
	}
	if !yes {
		if err := a.tellReset("plan", cost); err != nil || cost.Streams == 0 {
			return err
		}
		return usagef("nothing has been done: say --yes if that is meant")
	}
	did, err := h.Store.ResetStreams(ctx, f)
	if busy, ok := errors.AsType[*persist.StreamsBusyError](err); ok {
		return fmt.Errorf("%w, so nothing has been done: wait until `syncer runs show %d` has a verdict, "+
			"or stop who works it", busy, busy.Run)
	}
	if err != nil {
		return err
	}
	return a.tellReset("reset", did)
}

func (a *app) resetFeed(ctx context.Context, h *house, connection string, yes bool) error {
	if err := h.used(ctx, connection); err != nil {
		return err
	}
	const what = "read from the oldest event that the provider keeps,\n" +
		"and the status of every consent be asked for if there are older ones"
	if !yes {
		if !a.json {
			a.say("The consent events of %s would be %s.", connection, what)
		}
		return usagef("nothing has been done: say --yes if that is meant")
	}
	if err := h.Store.ResetFeed(ctx, connection); err != nil {
		return err
	}
	done := map[string]any{"event": "reset", "feed": connection}
	return a.told(done, "The consent events of %s will be %s.", connection, what)
}

// used says whether the database knows a connection.
func (h *house) used(ctx context.Context, connection string) error {
	_, err := h.Store.ConnectionByName(ctx, connection)
	if errors.Is(err, persist.ErrNotFound) {
		return fmt.Errorf("no connection %q has been used yet: `syncer connections list` shows what there is", connection)
	}
	return err
}
