package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncer/config"
	"syncer/finance"
	"syncer/persist"
)

func (a *app) consentsCommand() *cobra.Command {
	return group("consents", "Import, authorize, list, show, revoke and sync consents",
		a.consentsImportCommand(), a.consentsAuthorizeCommand(), a.consentsListCommand(), a.consentsShowCommand(), a.consentsRevokeCommand(), a.consentsSyncCommand())
}

// consentStatuses are the states a consent may be in.
var consentStatuses = []finance.ConsentStatus{finance.ConsentActive, finance.ConsentRevoked, finance.ConsentExpired,
	finance.ConsentConsumed, finance.ConsentConsumedUnknown, finance.ConsentReauthRequired}

func (a *app) consentsListCommand() *cobra.Command {
	var f persist.ConsentFilter
	var status, expiring string
	c := &cobra.Command{
		Use: "list", Short: "List consents, by their number, or those that end soon", Args: usageArgs(cobra.NoArgs),
		Long: "Lists consents by their number. With --expiring it lists the active ones that end within so long, the\n" +
			"first to end first, and when each was last read completely.",
		Example: "  syncer consents list --connection ng-prod --status revoked\n  syncer consents list --after 4711 --limit 1000 --json\n" +
			"  syncer consents list --expiring 14d",
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.Status = finance.ConsentStatus(status)
			if status != "" && !slices.Contains(consentStatuses, f.Status) {
				return usagef("--status %q: write one of %s", status, listed(consentStatuses))
			}
			if f.Limit < 1 {
				return usagef("--limit %d: list at least one", f.Limit)
			}
			if expiring != "" {
				return a.expiringCommand(cmd.Context(), f, expiring)
			}
			return a.look(cmd.Context(), func(h *house) error { return a.listConsents(cmd.Context(), h, f) })
		},
	}
	c.Flags().StringVar(&expiring, "expiring", "", "only active consents that end within so long, such as 14d, 7d or 1d")
	c.Flags().StringVar(&f.Connection, "connection", "", "only consents over this connection")
	c.Flags().StringVar(&status, "status", "", "only consents in this state: "+listed(consentStatuses))
	c.Flags().Int64Var(&f.After, "after", 0, "only consents with a larger number: the next page")
	c.Flags().IntVar(&f.Limit, "limit", 100, "at most so many")
	_ = c.RegisterFlagCompletionFunc("connection", a.connectionNames)
	return c
}

func (a *app) listConsents(ctx context.Context, h *house, f persist.ConsentFilter) error {
	list, err := h.Store.Consents(ctx, f)
	if err != nil {
		return err
	}
	t := newTable(">id", "~connection", "~~external id", "status", "until")
	for _, c := range list {
		if a.json {
			if err := a.line(toConsentJSON(c)); err != nil {
				return err
			}
			continue
		}
		until := "open-ended"
		if !c.ValidUntil.IsZero() {
			until = c.ValidUntil.UTC().Format(time.DateOnly)
		}
		t.add(c.ID, c.Connection, c.ExternalID, c.Status, until)
	}
	t.write(a.out)
	switch {
	case len(list) == 0:
		a.hint("There is no such consent. `syncer consents import` brings some.")
	case len(list) == f.Limit:
		a.hint("More: --after %d", list[len(list)-1].ID)
	}
	return nil
}

// expiringCommand checks what --expiring goes with, and lists.
func (a *app) expiringCommand(ctx context.Context, f persist.ConsentFilter, within string) error {
	d, err := config.ParseDuration(within)
	switch {
	case err != nil || d <= 0:
		return usagef("--expiring %q: write how soon, such as 14d, 7d, 1d or 12h", within)
	case f.Status != "" && f.Status != finance.ConsentActive:
		return usagef("--expiring lists active consents: leave --status %s out", f.Status)
	case f.After != 0:
		return usagef("--expiring lists by the end and not by the number: raise --limit instead of --after")
	}
	return a.look(ctx, func(h *house) error { return a.listExpiring(ctx, h, f, d) })
}

func (a *app) listExpiring(ctx context.Context, h *house, f persist.ConsentFilter, within time.Duration) error {
	list, err := h.Store.Expiring(ctx, f.Connection, within, f.Limit)
	if err != nil {
		return err
	}
	t := newTable(">id", "~connection", "~~external id", "ends", "last read")
	for _, c := range list {
		if a.json {
			j := toConsentJSON(c.Consent)
			j.LastRead = instant(c.LastRead)
			if err := a.line(j); err != nil {
				return err
			}
			continue
		}
		read := "never"
		if !c.LastRead.IsZero() {
			read = clock(c.LastRead)
		}
		t.add(c.ID, c.Connection, c.ExternalID, clock(c.ValidUntil), read)
	}
	t.write(a.out)
	switch {
	case len(list) == 0:
		a.hint("No active consent ends within %s.", config.Duration(within))
	case len(list) == f.Limit:
		a.hint("There may be more: --limit %d", 10*f.Limit)
	}
	return nil
}

type consentJSON struct {
	ID           int64        `json:"id"`
	Connection   string       `json:"connection"`
	ExternalID   string       `json:"external_id"`
	Status       string       `json:"status"`
	Scopes       []string     `json:"scopes"`
	Purpose      string       `json:"purpose,omitempty"`
	ValidFrom    *time.Time   `json:"valid_from,omitempty"`
	ValidUntil   *time.Time   `json:"valid_until,omitempty"`
	SingleUse    bool         `json:"single_use"`
	ReadsPerDay  int          `json:"reads_per_day,omitempty"`
	SubjectKnown bool         `json:"subject_known"`
	LastRead     *time.Time   `json:"last_read,omitempty"` // with --expiring: when it was last read completely
	History      []changeJSON `json:"history,omitempty"`
}

type changeJSON struct {
	At     time.Time `json:"at"`
	Source string    `json:"source"`
	From   string    `json:"from,omitempty"`
	To     string    `json:"to"`
	Reason string    `json:"reason,omitempty"`
	Call   string    `json:"call,omitempty"`
}

func toConsentJSON(c finance.Consent) consentJSON {
	return consentJSON{
		ID: c.ID, Connection: c.Connection, ExternalID: c.ExternalID, Status: string(c.Status), Scopes: append([]string{}, c.Scopes...),
		Purpose: c.Purpose, ValidFrom: instant(c.ValidFrom), ValidUntil: instant(c.ValidUntil), SingleUse: c.SingleUse,
		ReadsPerDay: c.ReadsPerDay, SubjectKnown: c.Subject.Known(),
	}
}

// consent finds a consent as commands name it: by our number, or by the provider's id and the connection.
func (h *house) consent(ctx context.Context, connection, text string) (finance.Consent, error) {
	var c finance.Consent
	var err error
	if connection != "" {
		c, err = h.Store.ConsentByExternal(ctx, connection, text)
	} else {
		id, bad := strconv.ParseInt(text, 10, 64)
		if bad != nil || id < 1 || checkNationalID(text) == nil {
			return c, usagef("a consent is named by its number, or by the provider's id with --connection; `syncer consents list` shows both")
		}
		c, err = h.Store.Consent(ctx, id)
	}
	if errors.Is(err, persist.ErrNotFound) {
		return c, errors.New("there is no such consent: `syncer consents list` shows what there is")
	}
	return c, err
}

func (a *app) consentsShowCommand() *cobra.Command {
	var connection string
	c := &cobra.Command{
		Use: "show ID", Short: "Show a consent and what has happened to it", Args: usageArgs(cobra.ExactArgs(1)),
		Example: "  syncer consents show 4711\n  syncer consents show 5b1f0c7e-... --connection ng-prod",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd.Context(), func(h *house) error {
				c, err := h.consent(cmd.Context(), connection, args[0])
				if err != nil {
					return err
				}
				return a.showConsent(cmd.Context(), h, c)
			})
		},
	}
	c.Flags().StringVar(&connection, "connection", "", "ID is the provider's, over this connection")
	_ = c.RegisterFlagCompletionFunc("connection", a.connectionNames)
	return c
}

func (a *app) showConsent(ctx context.Context, h *house, c finance.Consent) error {
	history, err := h.Store.ConsentHistory(ctx, c.ID)
	if err != nil {
		return fmt.Errorf("history of consent %d: %w", c.ID, err)
	}
	if a.json {
		j := toConsentJSON(c)
		for _, e := range history {
			change := changeJSON{At: e.At, Source: string(e.Source), From: string(e.From), To: string(e.To), Reason: e.Reason}
			if !e.Call.IsZero() {
				change.Call = e.Call.String()
			}
			j.History = append(j.History, change)
		}
		return a.document(j)
	}
	subject, reads, use, until := "not known", "no bound", "many", "open-ended"
	if !c.ValidUntil.IsZero() {
		until = clock(c.ValidUntil)
	}
	if c.Subject.Known() {
		subject = "known (keyed hash)"
	}
	if c.ReadsPerDay > 0 {
		reads = strconv.Itoa(c.ReadsPerDay)
	}
	if c.SingleUse {
		use = "one"
	}
	writeFields(a.out, [][2]string{
		{"consent", strconv.FormatInt(c.ID, 10)}, {"connection", c.Connection}, {"external id", c.ExternalID}, {"status", string(c.Status)},
		{"subject", subject}, {"scopes", strings.Join(c.Scopes, " ")}, {"purpose", c.Purpose}, {"valid from", clock(c.ValidFrom)},
		{"valid until", until}, {"uses", use}, {"reads a day", reads},
	})
	for i, e := range history {
		if i == 0 {
			a.say("")
		}
		a.say("%s", strings.Join(wrapped("  ", changeText(e)), "\n"))
	}
	return nil
}

// changeText is one line of a consent's history.
func changeText(e persist.ConsentChange) string {
	text := clock(e.At) + " " + string(e.To)
	if e.From != "" {
		text = clock(e.At) + " " + string(e.From) + " → " + string(e.To)
	}
	text += " (" + string(e.Source) + ")"
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	if !e.Call.IsZero() {
		text += "; call " + e.Call.String()
	}
	return text
}

func (a *app) consentsRevokeCommand() *cobra.Command {
	var connection, reason string
	c := &cobra.Command{
		Use: "revoke ID", Short: "End a consent: no further call is made for it", Args: usageArgs(cobra.ExactArgs(1)),
		Long:    "Ends a consent on our side, at once and in every process. Its rows stay. The provider is not told.",
		Example: "  syncer consents revoke 4711 --reason \"customer has called\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd.Context(), func(h *house) error {
				c, err := h.consent(cmd.Context(), connection, args[0])
				if err != nil {
					return err
				}
				return a.revoke(cmd.Context(), h, c, reason)
			})
		},
	}
	c.Flags().StringVar(&connection, "connection", "", "ID is the provider's, over this connection")
	c.Flags().StringVar(&reason, "reason", "by the operator", "why, for the consent's history")
	_ = c.RegisterFlagCompletionFunc("connection", a.connectionNames)
	return c
}

func (a *app) revoke(ctx context.Context, h *house, c finance.Consent, reason string) error {
	changed, err := h.Store.EndConsent(ctx, c.ID, finance.ConsentRevoked, reason, persist.FromOperator, finance.CallID{})
	if err != nil {
		return fmt.Errorf("revoke consent %d: %w", c.ID, err)
	}
	if !changed {
		return a.told(map[string]any{"consent": c.ID, "changed": false, "status": c.Status}, "Consent %d has ended already: %s.", c.ID, c.Status)
	}
	return a.told(map[string]any{"consent": c.ID, "changed": true, "status": finance.ConsentRevoked}, "Consent %d is revoked.", c.ID)
}

func (a *app) consentsSyncCommand() *cobra.Command {
	return &cobra.Command{
		Use: "sync JOB|CONNECTION", Short: "Read the provider's feed of what happened to consents", Args: usageArgs(cobra.ExactArgs(1)),
		Long: "Reads the feed from where it was last read and applies it. After a gap in the feed, the status of every\n" +
			"active consent is asked for.",
		Example: "  syncer consents sync ng-prod\n  syncer consents sync nightly-debt", ValidArgsFunction: a.connectionNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd.Context(), func(h *house) error { return a.syncConsents(cmd.Context(), h, args[0]) })
		},
	}
}

type syncJSON struct {
	Connection string `json:"connection"`
	HasFeed    bool   `json:"has_feed"`
	Events     int    `json:"events"`
	Changed    int    `json:"changed"`
	Gap        bool   `json:"gap"`
	Asked      int    `json:"asked"`
}

func (a *app) syncConsents(ctx context.Context, h *house, name string) error {
	if job, ok := h.Config.Jobs[name]; ok {
		name = job.Connection
	}
	engine, err := h.Engine(ctx, engineSpec{Connections: []string{name}})
	if err != nil {
		return err
	}
	if err := engine.Start(ctx); err != nil {
		return err
	}
	r, err := engine.SyncConsents(ctx, name)
	if err != nil {
		return err
	}
	switch {
	case a.json:
		return a.document(syncJSON{name, r.Read, r.Events, r.Changed, r.Gap, r.Asked})
	case !r.Read:
		a.say("The provider of %s has no feed; its consents' states come with its answers.", name)
	case r.Gap:
		a.say("%s read over %s, and events were lost: %s asked one by one, %s changed.",
			count(r.Events, "event"), name, count(r.Asked, "consent"), thousands(r.Changed))
	default:
		a.say("%s read over %s, %s changed.", count(r.Events, "event"), name, count(r.Changed, "consent"))
	}
	return nil
}
