package cli

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"syncer/app"
	"syncer/finance"
	"syncer/persist/consents"
)

// isUnseen says that a character shows nothing, such as a blank of no width: an id with one in it is another id.
func isUnseen(r rune) bool { return unicode.Is(unicode.Cf, r) }

// What a spreadsheet or a data frame makes of a long number, such as 7,00001E+11 or 15088512909.0, and of a value that it has
// lost.
var (
	rounded = regexp.MustCompile(`^(?:-?[0-9]+([.,][0-9]+)?[eE]\+[0-9]+|[0-9]{5,}[.,]0+)$`)
	lost    = regexp.MustCompile(`^#(?:N/A|REF!|VALUE!|NAME\?|NULL!|DIV/0!|NUM!)$`)
)

func setField(c *consents.Import, column, value string, zone *time.Location) (err error) {
	if strings.ContainsFunc(value, unicode.IsControl) {
		return fmt.Errorf("%s holds a control character", column)
	}
	if at := strings.IndexFunc(value, isUnseen); at >= 0 {
		unseen, _ := utf8.DecodeRuneInString(value[at:])
		return fmt.Errorf("%s holds a character that nobody sees (%U): take it out", column, unseen)
	}
	if value == "" {
		return nil
	}
	if strings.HasPrefix(value, "=") {
		return fmt.Errorf("%s is a formula of a spreadsheet: save its value as text", column)
	}
	if lost.MatchString(value) {
		return fmt.Errorf("%s is what a spreadsheet shows where it has lost a value (such as #N/A): look it up in the source", column)
	}
	if rounded.MatchString(value) {
		return fmt.Errorf("%s is a number that a spreadsheet has rounded: have the column shown as text and export it anew", column)
	}
	switch column {
	case "purpose", "scopes":
		if finance.ShowsNationalID(value) {
			return fmt.Errorf("%s holds a national id, and would be kept in plain", column)
		}
	}
	switch column {
	case "external_id":
		if consents.IsNationalID(value) {
			return errors.New("external_id is a national id: it must be the provider's id of the consent")
		}
		if len(value) > consents.MaxExternalID {
			return fmt.Errorf("external_id is longer than %d bytes", consents.MaxExternalID)
		}
		c.ExternalID = value
	case "national_id":
		c.NationalID = app.NormalNationalID(value)
		err = app.CheckNationalID(c.NationalID)
	case "scopes":
		c.Scopes = strings.Fields(value)
	case "valid_from":
		c.ValidFrom, err = readInstant(column, value, 0, zone)
	case "valid_until":
		c.ValidUntil, err = readInstant(column, value, 1, zone)
	case "single_use":
		c.SingleUse, err = readBool(column, value)
		c.UseUnknown = false
	case "reads_per_day":
		c.ReadsPerDay, err = strconv.Atoi(value)
		if err != nil || c.ReadsPerDay < 0 || c.ReadsPerDay > 100_000 {
			err = fmt.Errorf("%s is not a number of reads: write 4, or nothing for no bound", column)
		}
	case "purpose":
		c.Purpose = value
	case "renews":
		if consents.IsNationalID(value) {
			return errors.New("renews is a national id: it must be an id that the provider gave the consent before")
		}
		if len(value) > consents.MaxExternalID {
			return fmt.Errorf("renews is longer than %d bytes", consents.MaxExternalID)
		}
		c.Renews = value
	}
	return err
}

// readInstant reads an instant, or a day in the zone: its beginning, or with after = 1 its end. Errors don't repeat the
// value: in a file whose columns have slipped it may be a national id.
func readInstant(column, value string, after int, zone *time.Location) (time.Time, error) {
	if len(value) == len(time.DateOnly) {
		if d, err := finance.ParseDate(value); err == nil {
			return sane(column, d.AddDays(after).StartIn(zone))
		}
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return t, fmt.Errorf("%s is not a time: write 2026-01-31 or 2026-01-31T12:00:00Z", column)
	}
	return sane(column, t)
}

// sane refuses a time that a program writes where it has none: the first day of year 1 would be taken for no end at all.
func sane(column string, t time.Time) (time.Time, error) {
	if t.Year() < 1900 {
		return time.Time{}, fmt.Errorf("%s lies in the year %d: leave it empty where there is none", column, t.Year())
	}
	return t, nil
}

func readBool(column, value string) (bool, error) {
	switch strings.ToLower(value) {
	case "true", "yes", "1":
		return true, nil
	case "false", "no", "0":
		return false, nil
	}
	return false, fmt.Errorf("%s is neither true nor false", column)
}
