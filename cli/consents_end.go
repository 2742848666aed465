package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/finance"
	"syncer/persist"
	"syncer/persist/consents"
	"syncer/report/text"
)

// chosenConsents are the consents that a command line names: by themselves, or in a file with one a line.
type chosenConsents struct {
	connection, file string
}

func (f *chosenConsents) add(p *Program, c *cobra.Command) {
	c.Flags().StringVar(&f.connection, "connection", "", "the ids are the provider's, over this connection")
	c.Flags().StringVar(&f.file, "file", "", "file with one id a line; - is stdin")
	_ = c.RegisterFlagCompletionFunc("connection", p.connectionNames)
}

// consentID is a consent as it was named, and where.
type consentID struct {
	text       string
	lineNumber string // file:line; empty: on the command line
}

// ids are what the arguments and the file name.
func (f *chosenConsents) ids(ctx context.Context, p *Program, args []string) ([]consentID, error) {
	file := f.file
	if slices.Contains(args, "-") {
		if len(args) > 1 || file != "" {
			return nil, usagef("- reads the ids from stdin, and so it stands alone")
		}
		file = "-"
		args = nil
	}
	if (len(args) == 0) == (file == "") {
		return nil, usagef("name consents, or with --file a file that does")
	}
	var ids []consentID
	for _, text := range args {
		ids = append(ids, consentID{text: text})
	}
	if file == "" {
		return ids, nil
	}
	in, err := p.openList(ctx, file)
	if err != nil {
		return nil, fmt.Errorf("read the ids of consents: %w", err)
	}
	defer in.Close()
	name := file
	if file == "-" {
		name = "stdin"
	}
	ids, err = readIDs(in, name)
	if err == nil && len(ids) == 0 {
		err = fmt.Errorf("%s names no consent: write one id a line", name)
	}
	return ids, err
}

// readIDs reads one id a line. A first line that names the column, as in a list to import, is passed over.
func readIDs(in io.Reader, name string) ([]consentID, error) {
	var ids []consentID
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if text == "" || n == 1 && slices.Contains([]string{"id", "external_id"}, strings.ToLower(text)) {
			continue
		}
		ids = append(ids, consentID{text, fmt.Sprintf("%s:%d", name, n)})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the ids of consents from %s: %w", name, err)
	}
	return ids, nil
}

// eachConsent does something with each of the named consents. Of a file, what can't be done for one is
// said with its line, and the others go on: then the exit code is 1.
func (p *Program) eachConsent(ctx context.Context, f chosenConsents, args []string,
	do func(*app.Installation, finance.Consent) error) error {
	ids, err := f.ids(ctx, p, args)
	if err != nil {
		return err
	}
	return p.migrateAndChange(ctx, func(inst *app.Installation) error {
		failed := 0
		for _, id := range ids {
			c, err := findConsent(ctx, inst, f.connection, id.text)
			if err == nil {
				err = do(inst, c)
			}
			switch {
			case err == nil:
				continue
			case len(ids) == 1, ctx.Err() != nil:
				return err
			}
			failed++
			fmt.Fprintf(p.err, "%s: %s\n", cmp.Or(id.lineNumber, text.Printable(id.text)), text.Printable(err.Error()))
		}
		if failed > 0 {
			p.hint("%s of %s could not be done.", text.Thousands(failed), text.Thousands(len(ids)))
			return exitCode(ExitError)
		}
		return nil
	})
}

func (p *Program) consentsRevokeCommand() *cobra.Command {
	var f chosenConsents
	c := &cobra.Command{
		Use: "revoke ID...|-", Short: "End consents: no further call is made for them",
		Long: "Ends consents on our side, at once and in every process. Their rows stay. The provider is\n" +
			"not told. A file (--file) or stdin (-) has one id a line.",
		Example: "  syncer consents revoke 4711 --reason \"customer has called\"\n" +
			"  syncer consents revoke --file gone.txt --connection ng-prod",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.eachConsent(cmd.Context(), f, args, func(inst *app.Installation, c finance.Consent) error {
				return p.revoke(cmd.Context(), inst, c)
			})
		},
	}
	f.add(p, c)
	return p.accountable(c, "why, for the consent's history")
}

func (p *Program) revoke(ctx context.Context, inst *app.Installation, c finance.Consent) error {
	changed := false
	err := inst.Store.Acting(ctx, p.act("consent", c.ID), func(s *persist.Store, act *persist.Act) (err error) {
		why := cmp.Or(act.Why, "by the operator")
		changed, err = s.Consents.End(ctx, c.ID, finance.ConsentRevoked, why, consents.FromOperator,
			finance.CallID{})
		act.Vain = !changed
		return err
	})
	if err != nil {
		return fmt.Errorf("revoke consent %d: %w", c.ID, err)
	}
	if !changed {
		return p.told(map[string]any{"consent": c.ID, "changed": false, "status": c.Status},
			"Consent %d has ended already: %s.", c.ID, c.Status)
	}
	return p.told(map[string]any{"consent": c.ID, "changed": true, "status": finance.ConsentRevoked},
		"Consent %d is revoked.", c.ID)
}

func (p *Program) consentsRestoreCommand() *cobra.Command {
	var f chosenConsents
	c := &cobra.Command{
		Use: "restore ID...|- --reason TEXT", Short: "Undo the end of consents, which was a mistake",
		Long: "Makes consents active again that were ended by mistake: by a slip, or by answers to a wrong\n" +
			"client. What their provider's feed has told is no mistake, nor is what is spent; where the\n" +
			"validity is over, import another one. A file (--file) or stdin (-) has one id a line. What\n" +
			"runs have left out meanwhile is read by `syncer rerun RUN`, or by the next run.",
		Example: "  syncer consents restore 4711 --reason 'revoked by a slip: 4717 was meant'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !p.reasoned() {
				return usagef("--reason is missing: the consent's history must tell why its end was none")
			}
			return p.eachConsent(cmd.Context(), f, args, func(inst *app.Installation, c finance.Consent) error {
				return p.restore(cmd.Context(), inst, c.ID)
			})
		},
	}
	f.add(p, c)
	return p.accountable(c, "why the end was a mistake, for the consent's history")
}

func (p *Program) restore(ctx context.Context, inst *app.Installation, id int64) error {
	var was finance.ConsentStatus
	err := inst.Store.Acting(ctx, p.act("consent", id), func(s *persist.Store, act *persist.Act) (err error) {
		was, err = s.Consents.Restore(ctx, id, act.Why)
		act.Details = map[string]any{"was": was}
		return err
	})
	switch {
	case errors.Is(err, consents.ErrNotEnded):
		return p.told(map[string]any{"consent": id, "changed": false, "status": finance.ConsentActive},
			"Consent %d is active already.", id)
	case errors.Is(err, consents.ErrEndWasTold):
		err = fmt.Errorf("%w; `syncer consents show %d` has the event. A new consent, or another event,"+
			" is needed", err, id)
	case errors.Is(err, consents.ErrUsedUp):
		err = fmt.Errorf("%w: a new consent is needed", err)
	case errors.Is(err, consents.ErrValidityOver):
		err = fmt.Errorf("%w: `syncer consents import` with another valid_until makes it active again", err)
	}
	if err != nil {
		return err
	}
	return p.told(map[string]any{"consent": id, "changed": true, "status": finance.ConsentActive, "was": was},
		"Consent %d is active again; it was %s.", id, was)
}
