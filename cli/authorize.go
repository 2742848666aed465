package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/report"
)

// authorization is what the command line says of a consent that a person is to give.
type authorization struct {
	Connection string
	Subject    string // "-": read from stdin
	Purpose    string
	Wait       time.Duration
	Browser    bool // open the link
	Keep       bool // the national id
	Renews     string
}

func (p *Program) consentsAuthorizeCommand() *cobra.Command {
	var s authorization
	var stay bool
	c := &cobra.Command{
		Use:   "authorize CONNECTION",
		Short: "Ask a person for a consent, in the browser",
		Long: "Prints a link, opens it in the browser where there is one, and waits for the person's answer at the\n" +
			"connection's redirect address. If that is on this machine (http://127.0.0.1:PORT/...), the answer is\n" +
			"received there; else the address at which the browser has ended is read from stdin.\n\n" +
			"A consent that is known is made active again; so this is also how one that is reauth_required is\n" +
			"mended. One that comes back under another id renews the consent that --renews names, by our number or an\n" +
			"id that it had: it keeps its number, its rows and its positions. See docs/authorization.md.",
		Example: "  syncer consents authorize ng-prod\n  syncer consents authorize bank-prod --renews 4711\n  pass customer/4711 | syncer consents authorize ng-prod --subject - --purpose loan",
		Args:    usageArgs(cobra.ExactArgs(1)), ValidArgsFunction: p.connectionNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			s.Connection, s.Browser = args[0], !stay && isTerminal(p.out)
			if s.Wait <= 0 {
				return usagef("--wait %s: wait for some time at least", s.Wait)
			}
			return p.migrateAndChange(cmd.Context(), func(inst *app.Installation) error { return p.authorize(cmd.Context(), inst, s) })
		},
	}
	c.Flags().StringVar(&s.Subject, "subject", "", "national id of the person who is to answer; - reads it from stdin, unseen by other processes")
	c.Flags().StringVar(&s.Purpose, "purpose", "", "what the consent is for, kept with it")
	c.Flags().StringVar(&s.Renews, "renews", "", "the consent that goes on by the one that is given: our number, or an id that it had")
	c.Flags().DurationVar(&s.Wait, "wait", 10*time.Minute, "how long to wait for the answer")
	c.Flags().BoolVar(&stay, "no-browser", false, "only print the link")
	c.Flags().BoolVar(&s.Keep, "keep-national-id", false, "keep the national id too, sealed, although the provider's calls don't carry it")
	return p.accountable(c, "")
}

// authorize asks one person for one consent and keeps it.
func (p *Program) authorize(ctx context.Context, inst *app.Installation, s authorization) error {
	in := bufio.NewReader(p.in)
	subject, err := p.readSubject(in, s.Subject)
	if err != nil {
		return err
	}
	client, err := inst.Client(ctx, s.Connection)
	if err != nil {
		return err
	}
	renews, err := inst.RenewedConsent(ctx, s.Connection, s.Renews)
	if err != nil {
		return err
	}
	flow, err := client.Authorize(ctx, subject)
	if err != nil {
		return err
	}
	redirect, err := url.Parse(flow.Redirect())
	if err != nil {
		return fmt.Errorf("the redirect address of %s can't be read", s.Connection)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.Wait, errNobodyAnswered)
	defer cancel()
	order := app.Authorization{Connection: s.Connection, Purpose: s.Purpose, KeepNationalID: s.Keep, Renews: renews}
	keep := func(ctx context.Context, callback url.Values) (report.GivenConsent, error) {
		return inst.KeepGiven(ctx, flow, callback, order, p.act("consent", ""))
	}
	var given report.GivenConsent
	if isLoopback(redirect) {
		given, err = p.byCallback(ctx, redirect, flow.Link(), s, keep)
	} else {
		given, err = p.byHand(ctx, in, redirect, flow.Link(), s, keep)
	}
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errNobodyAnswered) && errors.Is(err, context.DeadlineExceeded) {
			err = cause
		}
		return fmt.Errorf("no consent was given over %s: %w", s.Connection, err)
	}
	return p.showGiven(given)
}

var errNobodyAnswered = errors.New("nobody answered in time, and the link is no longer valid: begin again")

func (p *Program) showGiven(g report.GivenConsent) error {
	if p.json {
		return p.line(g)
	}
	p.say("%s", g.Text())
	return nil
}
