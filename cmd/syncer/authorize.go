package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist"
)

// authorization is what the command line says of a consent that a person is to give.
type authorization struct {
	Connection string
	Subject    string // "-": read from stdin
	Purpose    string
	Wait       time.Duration
	Browser    bool // open the link
	Keep       bool // the national id
}

func (a *app) consentsAuthorizeCommand() *cobra.Command {
	var s authorization
	var stay bool
	c := &cobra.Command{
		Use:   "authorize CONNECTION",
		Short: "Ask a person for a consent, in the browser",
		Long: "Prints a link, opens it in the browser where there is one, and waits for the person's answer at the\n" +
			"connection's redirect address. If that is on this machine (http://127.0.0.1:PORT/...), the answer is\n" +
			"received there; else the address at which the browser has ended is read from stdin.\n\n" +
			"A consent that is known is made active again; so this is also how one that is reauth_required is\n" +
			"mended. See docs/authorization.md.",
		Example: "  syncer consents authorize ng-prod\n  pass customer/4711 | syncer consents authorize ng-prod --subject - --purpose loan",
		Args:    usageArgs(cobra.ExactArgs(1)), ValidArgsFunction: a.connectionNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			s.Connection, s.Browser = args[0], !stay && isTerminal(a.out)
			if s.Wait <= 0 {
				return usagef("--wait %s: wait for some time at least", s.Wait)
			}
			return a.look(cmd.Context(), func(h *house) error { return a.authorize(cmd.Context(), h, s) })
		},
	}
	c.Flags().StringVar(&s.Subject, "subject", "", "national id of the person who is to answer; - reads it from stdin, unseen by other processes")
	c.Flags().StringVar(&s.Purpose, "purpose", "", "what the consent is for, kept with it")
	c.Flags().DurationVar(&s.Wait, "wait", 10*time.Minute, "how long to wait for the answer")
	c.Flags().BoolVar(&stay, "no-browser", false, "only print the link")
	c.Flags().BoolVar(&s.Keep, "keep-national-id", false, "keep the national id too, sealed, although the provider's calls don't carry it")
	return c
}

// authorize asks one person for one consent and keeps it.
func (a *app) authorize(ctx context.Context, h *house, s authorization) error {
	in := bufio.NewReader(a.in)
	subject, err := a.readSubject(in, s.Subject)
	if err != nil {
		return err
	}
	client, err := h.client(ctx, s.Connection)
	if err != nil {
		return err
	}
	asking, err := client.Authorize(ctx, subject)
	if err != nil {
		return err
	}
	redirect, err := url.Parse(asking.Redirect())
	if err != nil {
		return fmt.Errorf("the redirect address of %s can't be read", s.Connection)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.Wait, errNobodyAnswered)
	defer cancel()
	keep := func(ctx context.Context, callback url.Values) (gift, error) {
		return h.finish(ctx, asking, callback, s)
	}
	var given gift
	if isLoopback(redirect) {
		given, err = a.byCallback(ctx, redirect, asking.Link(), s, keep)
	} else {
		given, err = a.byHand(ctx, in, redirect, asking.Link(), s, keep)
	}
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errNobodyAnswered) && errors.Is(err, context.DeadlineExceeded) {
			err = cause
		}
		return fmt.Errorf("no consent was given over %s: %w", s.Connection, err)
	}
	return a.showGift(given)
}

var errNobodyAnswered = errors.New("nobody has answered in time; the link is of no use any more, begin again")

// client opens a connection for one question.
func (h *house) client(ctx context.Context, name string) (*fetch.Client, error) {
	o, err := h.clientOptions(name)
	if err != nil {
		return nil, err
	}
	if err := h.Store.UpsertConnection(ctx, name, o.Connection.Provider); err != nil {
		return nil, err
	}
	client, err := fetch.NewClient(o)
	if err != nil {
		return nil, h.Config.Problemf("connections."+name, "%s", err)
	}
	h.closers = append(h.closers, client.CloseIdle)
	return client, nil
}

// gift is a consent that was given, as it is told.
type gift struct {
	persist.Gift
	fetch.Consented
	connection string
}

// finish makes a kept consent of a callback. Once the provider has the code, it goes on although its caller has left:
// what was granted would be lost.
func (h *house) finish(ctx context.Context, asking *fetch.Asking, callback url.Values, s authorization) (gift, error) {
	got, err := asking.Finish(ctx, callback)
	if err != nil {
		return gift{}, err
	}
	provider, err := h.provider(s.Connection)
	if err != nil {
		return gift{}, err
	}
	number := normalNationalID(got.NationalID.Reveal())
	if number != "" {
		if err := checkNationalID(number); err != nil {
			return gift{}, fmt.Errorf("the provider's word on who has logged in: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	kept, err := h.Store.GiveConsent(ctx, s.Connection, persist.GivenConsent{
		ConsentImport: persist.ConsentImport{
			ExternalID: got.ExternalID, NationalID: number, KeepPlain: number != "" && (s.Keep || provider.SubjectInCalls),
			Purpose: s.Purpose, Scopes: got.Scopes, ValidUntil: got.ValidUntil, SingleUse: got.SingleUse, ReadsPerDay: got.ReadsPerDay,
		},
		Refresh: got.Refresh, Holder: got.Holder, UsualReads: h.Config.Connections[s.Connection].ReadsPerDay,
	})
	if err != nil {
		return gift{}, err
	}
	return gift{kept, *got, s.Connection}, nil
}

type giftJSON struct {
	Event      string     `json:"event"` // given; asked before it has the link
	Consent    int64      `json:"consent"`
	Connection string     `json:"connection"`
	ExternalID string     `json:"external_id"`
	Was        string     `json:"was,omitempty"`
	Scopes     []string   `json:"scopes"`
	ValidUntil *time.Time `json:"valid_until,omitempty"`
	SingleUse  bool       `json:"single_use"`
	Refreshed  bool       `json:"refreshed"` // by a refresh token that is kept, sealed
}

func (a *app) showGift(g gift) error {
	if a.json {
		return a.line(giftJSON{"given", g.ID, g.connection, g.ExternalID, string(g.Was), append([]string{}, g.Scopes...),
			instant(g.ValidUntil), g.SingleUse, !g.Refresh.IsZero()})
	}
	a.say("%s", g.words())
	return nil
}

// words tell what was given, without telling who has given it.
func (g gift) words() string {
	what := fmt.Sprintf("Consent %d was given over %s", g.ID, g.connection)
	switch g.Was {
	case "":
	case finance.ConsentActive:
		what = fmt.Sprintf("Consent %d over %s was active and has been given again", g.ID, g.connection)
	default:
		what = fmt.Sprintf("Consent %d over %s was %s and is active again", g.ID, g.connection, g.Was)
	}
	switch {
	case g.SingleUse:
		return what + ". It is good for one answer until " + clock(g.ValidUntil) + ": run its job now."
	case g.ValidUntil.IsZero():
		return what + "."
	}
	return what + ". It is good until " + clock(g.ValidUntil) + "."
}
