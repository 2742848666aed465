package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/persist"
	"syncer/persist/consents"
	"syncer/report"
	"syncer/report/text"
)

// importOrder is what the command line says of an import.
type importOrder struct {
	connection string
	path       string
	keep       bool // the national ids
	replace    bool // the national ids that are known
	whole      bool
	ends       int // -1: not said
}

func (p *Program) consentsImportCommand() *cobra.Command {
	var o importOrder
	c := &cobra.Command{
		Use:   "import FILE.csv|-",
		Short: "Import consents from a CSV file",
		Long: "Imports consents over a connection. The first line of the file names its columns:\n\n" +
			"  " + strings.Join(csvColumns, ",") + "\n\n" +
			"Only external_id, the provider's id of the consent, is required. scopes are separated by spaces; a time\n" +
			"is a day (where the provider is; valid_until means its end) or RFC 3339. A line that can't be imported is named with\n" +
			"the reason; the others are imported together, all or none. A consent that is known already is updated:\n" +
			"what a column says replaces what it has, and without the column it keeps what it has.\n" +
			"One without reads_per_day has those of its connection, if the configuration names some.\n" +
			"One whose valid_until has passed is ended by that line; that is no mistake of the list. One that\n" +
			"has expired is active again when its line tells another validity than before. A national id that\n" +
			"is another person's than the one known is refused, unless --replace-national-ids is said.\n" +
			"renews is an id that a known consent had before: it goes on under external_id, with its rows and\n" +
			"positions. While the old id is good it is called until the new one has been answered.\n" +
			"With --whole the file is the whole list: active consents that it does not name are revoked. If\n" +
			"those are more than a fifth of all, and at least five, that needs --ends with their exact number.\n" +
			"The exit code is 1 if a line was refused, or nobody was revoked for that. National ids are kept\n" +
			"as keyed hashes, and sealed beside them only where the provider's calls must carry them.",
		Example: "  syncer consents import consents.csv --connection ng-prod\n" +
			"  generate | syncer consents import - --connection sbanken --whole",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.path = args[0]
			switch {
			case o.connection == "":
				return usagef("--connection is missing: over which connection are the consents?")
			case !cmd.Flags().Changed("ends"):
				o.ends = -1
			case !o.whole:
				return usagef("--ends goes with --whole: a list that is not whole ends nobody")
			case o.ends < 0:
				return usagef("--ends %d: write how many consents the list ends", o.ends)
			}
			return p.changeOrMake(cmd.Context(), func(inst *app.Installation) error { return p.importFile(cmd.Context(), inst, o) })
		},
	}
	c.Flags().StringVar(&o.connection, "connection", "", "the connection that the consents are for")
	c.Flags().BoolVar(&o.keep, "keep-national-ids", false,
		"keep the national ids too, sealed, although the provider's calls don't carry them")
	c.Flags().BoolVar(&o.replace, "replace-national-ids", false,
		"let a national id replace the one that is known, another person's too")
	c.Flags().BoolVar(&o.whole, "whole", false,
		"the file is the whole list: revoke active consents that it does not name")
	c.Flags().IntVar(&o.ends, "ends", 0, "how many consents the whole list ends, exactly")
	_ = c.RegisterFlagCompletionFunc("connection", p.connectionNames)
	return p.accountable(c, "")
}

func (p *Program) importFile(ctx context.Context, inst *app.Installation, o importOrder) error {
	provider, err := inst.Provider(o.connection)
	if err != nil {
		return err
	}
	zone, err := inst.Zone(o.connection)
	if err != nil {
		return err
	}
	file, err := p.readConsentFile(ctx, o.path, zone)
	if err != nil {
		return err
	}
	for i := range file.good {
		file.good[i].KeepPlain = (o.keep || provider.SubjectInCalls) && file.good[i].NationalID != ""
	}
	return p.importConsents(ctx, inst, o, file)
}

func (p *Program) readConsentFile(ctx context.Context, path string, zone *time.Location) (consentFile, error) {
	in, err := p.openList(ctx, path)
	if err != nil {
		return consentFile{}, fmt.Errorf("import consents: %w", err)
	}
	defer in.Close()
	file, err := readConsents(in, zone)
	if err != nil {
		return file, fmt.Errorf("import consents from %s: nothing was imported: %w", path, err)
	}
	return file, nil
}

func (p *Program) importConsents(ctx context.Context, inst *app.Installation, o importOrder, file consentFile) error {
	if err := inst.Store.Connections.Use(ctx, o.connection, inst.Endpoint(o.connection)); err != nil {
		return err
	}
	reads := inst.Config.Connections[o.connection].ReadsPerDay
	if err := inst.Store.Consents.BoundReads(ctx, o.connection, reads); err != nil {
		return err
	}
	var r consents.ImportResult
	err := inst.Store.Acting(ctx, p.act("connection", o.connection),
		func(s *persist.Store, act *persist.Act) (err error) {
			r, err = s.Consents.Import(ctx, o.connection, file.good, o.options(file)...)
			act.Vain = r.Inserted+r.Updated+r.Dropped+r.Renewed+r.Renewing == 0
			act.Details = map[string]any{"inserted": r.Inserted, "updated": r.Updated, "revived": r.Revived,
				"ended": r.Ended, "revoked": r.Dropped}
			if renewals := r.Renewed + r.Renewing; renewals > 0 {
				act.Details["renewed"] = renewals
			}
			return err
		})
	if err != nil {
		return fmt.Errorf("import consents: nothing was imported: %w", err)
	}
	for _, refused := range r.Refused {
		line := report.RefusedLine{Line: file.lines[refused.Row], Problem: refused.Reason}
		file.bad = append(file.bad, badLine{RefusedLine: line, none: true})
	}
	slices.SortFunc(file.bad, func(x, y badLine) int { return cmp.Compare(x.Line, y.Line) })
	if err := p.showRefused(o.path, file.bad); err != nil {
		return err
	}
	if err := p.showImport(o, r, len(file.bad)); err != nil {
		return err
	}
	if err := p.hintForgotten(ctx, inst); err != nil {
		return err
	}
	if r.Inserted > 0 {
		if err := p.hintRenewals(ctx, inst, o.connection); err != nil {
			return err
		}
	}
	if err := o.notEnded(file, r); err != nil {
		return err
	}
	if len(file.bad) > 0 {
		return exitCode(ExitError)
	}
	return nil
}

// options are how the list is imported. Where a line could not be read nobody can tell whom it names, so
// the list ends nobody.
func (o importOrder) options(file consentFile) []consents.ImportOption {
	options := []consents.ImportOption{consents.Keep(file.absent...)}
	for _, b := range file.bad {
		if b.id != "" {
			options = append(options, consents.Besides(b.id))
		}
	}
	if o.replace {
		options = append(options, consents.ReplaceSubjects())
	}
	if o.whole && file.unread() == 0 {
		options = append(options, consents.Whole(o.ends))
	}
	return options
}

// notEnded says why a whole list has not ended those that it does not name.
func (o importOrder) notEnded(file consentFile, r consents.ImportResult) error {
	what := fmt.Sprintf("the list does not name %d of the %s of %s, and nobody was revoked for that",
		r.Unnamed, text.Count(r.Active, "active consent"), o.connection)
	switch {
	case o.whole && o.ends > 0 && r.Unnamed == 0:
		return fmt.Errorf("--ends says %d, and the list names every active consent of %s: is it the right list?",
			o.ends, o.connection)
	case !o.whole, r.Unnamed == r.Dropped:
		return nil
	case file.unread() > 0:
		return fmt.Errorf("%s, since %s could not be read: mend what is named above", what,
			text.Count(file.unread(), "line"))
	case o.ends >= 0:
		return fmt.Errorf("%s, since --ends says %d", what, o.ends)
	}
	return fmt.Errorf("%s: so many may be a list that was cut. If it is meant, say --ends %d",
		what, r.Unnamed)
}

// showImport says what an import did.
func (p *Program) showImport(o importOrder, r consents.ImportResult, refused int) error {
	if p.json {
		return p.line(report.ImportResultOf(r, refused))
	}
	p.say("%s new, %s updated (%s revived), %s unchanged, %s refused.",
		text.Thousands(r.Inserted), text.Thousands(r.Updated),
		text.Thousands(r.Revived), text.Thousands(r.Unchanged), text.Thousands(refused))
	if r.Renewed > 0 {
		p.say("Renewed after their end, and called under another id: %s.", text.Count(r.Renewed, "consent"))
	}
	if r.Renewing > 0 {
		p.say("Renewed, and tried under another id when it is valid: %s.",
			text.Count(r.Renewing, "consent"))
	}
	if over := r.Ended + r.Over; over > 0 {
		p.say("The valid_until of %s has passed: %s ended by that, %s not known and left out.",
			text.Count(over, "line"), text.Thousands(r.Ended), text.Thousands(r.Over))
	}
	if r.Dropped > 0 {
		p.say("Revoked, since the list does not name them: %s.", text.Count(r.Dropped, "active consent"))
	}
	if r.Unnamed > 0 && !o.whole {
		p.hint("Active consents of %s that this list does not name: %s. "+
			"If it is the whole list, --whole revokes them.",
			o.connection, text.Thousands(r.Unnamed))
	}
	return nil
}

func (p *Program) showRefused(path string, bad []badLine) error {
	if path == "-" {
		path = "stdin"
	}
	for _, b := range bad {
		if p.json {
			if err := p.line(b.RefusedLine); err != nil {
				return err
			}
			continue
		}
		if _, err := io.WriteString(p.err, fmt.Sprintf("%s:%d: %s\n", path, b.Line, text.Printable(b.Problem))); err != nil {
			return err
		}
	}
	return nil
}
