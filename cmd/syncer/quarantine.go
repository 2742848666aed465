package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncer/finance"
	"syncer/persist"
)

func (a *app) quarantineCommand() *cobra.Command {
	return group("quarantine", "List records that could not be read or stored, and accept that one is not had",
		a.quarantineListCommand(), a.quarantineAcceptCommand())
}

func (a *app) quarantineListCommand() *cobra.Command {
	var f persist.QuarantineFilter
	var dataset string
	c := &cobra.Command{
		Use: "list", Short: "List records in quarantine, the oldest first", Args: usageArgs(cobra.NoArgs),
		Long: "Lists the records that could not be read or stored, each once, with the reason and the number of\n" +
			"runs that have met it. While one is open the item it belongs to is partial. It is resolved when it is\n" +
			"read well, when it has gone, when its key comes with other bytes, or when it is accepted.",
		Example: "  syncer quarantine list --connection bank\n  syncer quarantine list --all --after 400 --json",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if f.Limit < 1 {
				return usagef("--limit %d: list at least one", f.Limit)
			}
			if dataset != "" {
				if f.Dataset, err = finance.ParseDataset(dataset); err != nil {
					return usagef("--dataset: %w", err)
				}
			}
			return a.look(cmd.Context(), func(h *house) error { return a.listQuarantine(cmd.Context(), h, f) })
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.Connection, "connection", "", "only records of this connection")
	flags.Int64Var(&f.Consent, "consent", 0, "only records of the consent with this number")
	flags.StringVar(&dataset, "dataset", "", "only records of this dataset: accounts, transactions or debt")
	flags.BoolVar(&f.Resolved, "all", false, "those that are resolved too")
	flags.Int64Var(&f.After, "after", 0, "only records with a larger id: the next page")
	flags.IntVar(&f.Limit, "limit", 100, "at most so many")
	_ = c.RegisterFlagCompletionFunc("connection", a.connectionNames)
	return c
}

func (a *app) quarantineAcceptCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "accept ID --reason TEXT", Short: "Do without a record: no item is partial for it any more",
		Args: usageArgs(cobra.ExactArgs(1)),
		Long: "Resolves the record with that id, which `syncer quarantine list` shows. As long as it comes with the\n" +
			"same bytes nothing is said of it any more; with other bytes it is another record. The items of runs\n" +
			"that are over stay partial until a rerun.",
		Example: "  syncer quarantine accept 17 --reason 'the bank will not mend it: case 4711'",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || id < 1 {
				return usagef("%q is no record in quarantine: `syncer quarantine list` shows their ids", args[0])
			}
			if strings.TrimSpace(reason) == "" {
				return usagef("--reason is missing: whoever misses the record must know why")
			}
			return a.look(cmd.Context(), func(h *house) error {
				return a.acceptQuarantined(cmd.Context(), h, id, reason)
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for whoever misses the record")
	return c
}

type quarantineJSON struct {
	ID         int64      `json:"id"`
	Connection string     `json:"connection"`
	Consent    int64      `json:"consent"`
	Dataset    string     `json:"dataset"`
	Account    string     `json:"account,omitempty"`
	Key        string     `json:"key,omitempty"` // the provider's; left out: it could not be read
	Call       string     `json:"call"`          // whose answer has it
	Place      int32      `json:"place"`         // in that answer
	Reason     string     `json:"reason"`
	Times      int        `json:"times"` // runs that have met it
	Waits      bool       `json:"waits"` // the stream's position waits for it
	FirstAt    *time.Time `json:"first_at,omitempty"`
	LastAt     *time.Time `json:"last_at,omitempty"`
	ResolvedAt *time.Time `json:"resolved_at,omitempty"`
	ResolvedAs string     `json:"resolved_as,omitempty"` // read, gone, replaced or accepted
	Note       string     `json:"note,omitempty"`
}

func toQuarantineJSON(r persist.QuarantinedRecord) quarantineJSON {
	key := r.Key
	if finance.HoldsNationalID(key) {
		key = "(hidden: it looks like a person's number)"
	}
	return quarantineJSON{
		ID: r.ID, Connection: r.Connection, Consent: r.Consent,
		Dataset: string(r.Dataset), Account: shownAccount(r.Account),
		Key: key, Call: r.Call.String(), Place: r.Place, Reason: r.Reason, Times: r.Times, Waits: r.Held,
		FirstAt: instant(r.FirstAt), LastAt: instant(r.LastAt),
		ResolvedAt: instant(r.ResolvedAt), ResolvedAs: r.ResolvedAs, Note: r.Note,
	}
}

func (a *app) listQuarantine(ctx context.Context, h *house, f persist.QuarantineFilter) error {
	list, err := h.Store.Quarantine(ctx, f)
	if err != nil {
		return err
	}
	t := newTable(">id", ">consent", "~connection", "dataset", ">times", "state", "~~reason")
	for _, r := range list {
		j := toQuarantineJSON(r)
		if a.json {
			if err := a.line(j); err != nil {
				return err
			}
			continue
		}
		state := j.ResolvedAs
		if state == "" {
			state = "open"
		}
		t.add(j.ID, j.Consent, j.Connection, j.Dataset, j.Times, state, j.Reason)
	}
	t.write(a.out)
	switch {
	case len(list) == 0:
		a.hint("Nothing is in quarantine.")
	case len(list) == f.Limit:
		a.hint("There may be more: --after %d", list[len(list)-1].ID)
	}
	return nil
}

func (a *app) acceptQuarantined(ctx context.Context, h *house, id int64, reason string) error {
	err := h.Store.AcceptQuarantined(ctx, id, reason)
	switch {
	case errors.Is(err, persist.ErrNotFound):
		return fmt.Errorf("there is no record %d in quarantine: `syncer quarantine list` shows their ids", id)
	case errors.Is(err, persist.ErrResolved):
		return fmt.Errorf("record %d is resolved already: `syncer quarantine list --all` says how", id)
	case err != nil:
		return err
	}
	if a.json {
		return a.line(struct {
			Event string `json:"event"`
			ID    int64  `json:"id"`
		}{"accepted", id})
	}
	a.say("Accepted record %d: no item is partial for it any more.", id)
	a.hint("Items of runs that are over stay partial until a rerun.")
	return nil
}
