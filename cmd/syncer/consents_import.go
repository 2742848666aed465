package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncer/persist"
)

func (a *app) consentsImportCommand() *cobra.Command {
	var connection string
	var keep bool
	c := &cobra.Command{
		Use:   "import FILE.csv|-",
		Short: "Import consents from a CSV file",
		Long: "Imports consents over a connection. The first line of the file names its columns:\n\n" +
			"  " + strings.Join(csvColumns, ",") + "\n\n" +
			"Only external_id, the provider's id of the consent, is required. scopes are separated by spaces; a time\n" +
			"is a day (where the provider is; valid_until means its end) or RFC 3339. A line that can't be imported is named with\n" +
			"the reason; the others are imported together, all or none. A consent that is known already is updated:\n" +
			"what a column says replaces what it has, and where the file lacks a column it keeps what it has.\n" +
			"One without reads_per_day has those of its connection, if the configuration names some.\n" +
			"The exit code is 1 if a line was refused. National ids are kept as keyed hashes,\n" +
			"and sealed beside them only where the provider's calls must carry them.",
		Example: "  syncer consents import consents.csv --connection ng-prod\n  generate | syncer consents import - --connection sbanken",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if connection == "" {
				return usagef("--connection is missing: over which connection are the consents?")
			}
			return a.look(cmd.Context(), func(h *house) error {
				provider, err := h.provider(connection)
				if err != nil {
					return err
				}
				zone, err := h.zone(connection)
				if err != nil {
					return err
				}
				file, err := a.readConsentFile(args[0], zone)
				if err != nil {
					return err
				}
				for i := range file.good {
					file.good[i].KeepPlain = (keep || provider.SubjectInCalls) && file.good[i].NationalID != ""
				}
				return a.importConsents(cmd.Context(), h, connection, args[0], file)
			})
		},
	}
	c.Flags().StringVar(&connection, "connection", "", "the connection that the consents are for")
	c.Flags().BoolVar(&keep, "keep-national-ids", false, "keep the national ids too, sealed, although the provider's calls don't carry them")
	_ = c.RegisterFlagCompletionFunc("connection", a.connectionNames)
	return c
}

func (a *app) readConsentFile(path string, zone *time.Location) (consentFile, error) {
	in := a.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return consentFile{}, fmt.Errorf("import consents: %w", err)
		}
		defer f.Close()
		in = f
	}
	file, err := readConsents(in, zone)
	if err != nil {
		return file, fmt.Errorf("import consents from %s: nothing was imported: %w", path, err)
	}
	return file, nil
}

type importJSON struct {
	Event     string `json:"event"` // imported; a refused line has line and problem
	Inserted  int    `json:"inserted"`
	Updated   int    `json:"updated"`
	Revived   int    `json:"revived"`
	Unchanged int    `json:"unchanged"`
	Refused   int    `json:"refused"`
}

func (a *app) importConsents(ctx context.Context, h *house, connection, path string, file consentFile) error {
	provider, err := h.provider(connection)
	if err != nil {
		return err
	}
	if err := h.Store.UpsertConnection(ctx, connection, provider.Name); err != nil {
		return err
	}
	for i := range file.good {
		if file.good[i].ReadsPerDay == 0 {
			file.good[i].ReadsPerDay = h.Config.Connections[connection].ReadsPerDay
		}
	}
	var result persist.ImportResult
	if len(file.good) > 0 {
		if result, err = h.Store.ImportConsents(ctx, connection, file.good, file.lacks...); err != nil {
			return fmt.Errorf("import consents: nothing was imported: %w", err)
		}
	}
	for _, r := range result.Refused {
		file.bad = append(file.bad, badLine{file.lines[r.Row], r.Reason})
	}
	slices.SortFunc(file.bad, func(x, y badLine) int { return cmp.Compare(x.Line, y.Line) })
	if err := a.showRefused(path, file.bad); err != nil {
		return err
	}
	if a.json {
		err = a.line(importJSON{"imported", result.Inserted, result.Updated, result.Revived, result.Unchanged, len(file.bad)})
	} else {
		a.say("%s new, %s updated (%s revived), %s unchanged, %s refused.", thousands(result.Inserted), thousands(result.Updated),
			thousands(result.Revived), thousands(result.Unchanged), thousands(len(file.bad)))
	}
	if err == nil && len(file.bad) > 0 {
		err = exitCode(exitError)
	}
	return err
}

func (a *app) showRefused(path string, bad []badLine) error {
	if path == "-" {
		path = "stdin"
	}
	for _, b := range bad {
		if a.json {
			if err := a.line(b); err != nil {
				return err
			}
			continue
		}
		if _, err := io.WriteString(a.err, fmt.Sprintf("%s:%d: %s\n", path, b.Line, printable(b.Problem))); err != nil {
			return err
		}
	}
	return nil
}
