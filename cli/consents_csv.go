package cli

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"syncer/app"
	"syncer/finance"
	"syncer/persist/consents"
	"syncer/report"
	"syncer/report/text"
)

// csvColumns are the columns that a file of consents may have, in any order. Only the first is required.
var csvColumns = []string{"external_id", "national_id", "scopes", "valid_from", "valid_until", "single_use", "reads_per_day", "purpose",
	"renews"}

// badLine is a line that can't be imported.
type badLine struct {
	report.RefusedLine

	id   string // the external id that stands there, if it could be read
	none bool   // there is no consent on the line
}

// consentFile is what a file of consents holds.
type consentFile struct {
	good   []consents.Import
	lines  []int // of each good consent
	bad    []badLine
	absent []string // the columns that the header does not name
}

// maxLine bounds a line; a longer one is not a line of consents.
const maxLine = 64 << 10

// readConsents reads a CSV file with a header row. Every line is read by itself, so that a quote that is never closed
// costs one line and not the rest of the file. Days begin and end in the zone. What Excel writes is welcome: a byte order mark, CRLF, semicolons.
func readConsents(r io.Reader, zone *time.Location) (consentFile, error) {
	var f consentFile
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 4096), maxLine)
	var columns []string
	var comma rune
	seen := map[string]int{} // the line of each external id
	n := 0
	for lines.Scan() {
		n++
		raw := lines.Bytes()
		if n == 1 {
			raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
		}
		text := string(raw)
		if strings.TrimSpace(text) == "" {
			continue
		}
		if columns == nil {
			var err error
			if columns, comma, err = readHeader(text); err != nil {
				return f, fmt.Errorf("line %d: %w", n, err)
			}
			f.absent = slices.DeleteFunc(slices.Clone(csvColumns), func(c string) bool { return slices.Contains(columns, c) })
			continue
		}
		if again, _, err := readHeader(text); err == nil && slices.Equal(again, columns) {
			f.bad = append(f.bad, badLine{RefusedLine: report.RefusedLine{Line: n, Problem: "the header stands here once more"}, none: true})
			continue
		}
		c, err := readConsent(text, columns, comma, zone)
		if err == nil && seen[c.ExternalID] > 0 {
			err = fmt.Errorf("the same external_id stands on line %d", seen[c.ExternalID])
		}
		if err != nil {
			f.bad = append(f.bad, badLine{RefusedLine: report.RefusedLine{Line: n, Problem: err.Error()}, id: c.ExternalID})
			continue
		}
		seen[c.ExternalID] = n
		f.good, f.lines = append(f.good, c), append(f.lines, n)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return f, fmt.Errorf("line %d is longer than %d bytes: is it a CSV file?", n+1, maxLine)
	}
	if lines.Err() != nil {
		return f, fmt.Errorf("after line %d: %w", n, lines.Err())
	}
	if columns == nil {
		return f, fmt.Errorf("the file is empty: its first line names the columns: %s", strings.Join(csvColumns, ","))
	}
	return f, nil
}

// readHeader reads the names of the columns and finds out what separates them.
func readHeader(text string) (columns []string, comma rune, err error) {
	comma = ','
	if strings.Count(text, ";") > strings.Count(text, ",") {
		comma = ';'
	}
	columns, err = fields(text, comma)
	if err != nil {
		return nil, comma, err
	}
	for i, c := range columns {
		columns[i] = strings.ToLower(strings.TrimSpace(c))
		if !slices.Contains(csvColumns, columns[i]) {
			if app.CheckNationalID(app.NormalNationalID(c)) == nil {
				return nil, comma, fmt.Errorf("the first line must name the columns: %s", strings.Join(csvColumns, ","))
			}
			return nil, comma, fmt.Errorf("no column %.40q; the first line names some of: %s", columns[i], strings.Join(csvColumns, ","))
		}
		if slices.Contains(columns[:i], columns[i]) {
			return nil, comma, fmt.Errorf("column %s stands there twice", columns[i])
		}
	}
	if !slices.Contains(columns, "external_id") {
		return nil, comma, errors.New("there is no column external_id, the provider's id of the consent")
	}
	return columns, comma, nil
}

// fields splits one line.
func fields(text string, comma rune) ([]string, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("not UTF-8: save the file as UTF-8")
	}
	r := csv.NewReader(strings.NewReader(text))
	r.Comma = comma
	r.FieldsPerRecord = -1
	record, err := r.Read()
	if err != nil {
		return nil, errors.New("a quote stands where none may stand, or is not closed")
	}
	return record, nil
}

// unread are the lines of which nobody can tell which consents they name.
func (f *consentFile) unread() int {
	n := 0
	for _, b := range f.bad {
		if b.id == "" && !b.none {
			n++
		}
	}
	return n
}

// readConsent reads one line of the file. Of a line that can't be imported it gives the external id, if
// that can be read.
func readConsent(line string, columns []string, comma rune, zone *time.Location) (consents.Import, error) {
	c := consents.Import{UseUnknown: true}
	record, err := fields(line, comma)
	if err != nil {
		return c, err
	}
	if len(record) != len(columns) {
		return c, fmt.Errorf("%s, and the header names %d", text.Count(len(record), "field"), len(columns))
	}
	var wrong error
	for i, column := range columns {
		if err := setField(&c, column, strings.TrimSpace(record[i]), zone); err != nil && wrong == nil {
			wrong = err
		}
	}
	switch {
	case wrong != nil:
		return c, wrong
	case c.ExternalID == "":
		return c, errors.New("external_id is empty")
	case !c.ValidUntil.IsZero() && !c.ValidUntil.After(c.ValidFrom):
		return c, errors.New("valid_until does not lie after valid_from")
	}
	return c, nil
}

func setField(c *consents.Import, column, value string, zone *time.Location) (err error) {
	if strings.ContainsFunc(value, unicode.IsControl) {
		return fmt.Errorf("%s holds a control character", column)
	}
	if value == "" {
		return nil
	}
	switch column {
	case "purpose", "scopes":
		if finance.HoldsNationalID(value) {
			return fmt.Errorf("%s holds a national id, and would be kept in plain", column)
		}
	}
	switch column {
	case "external_id":
		if app.CheckNationalID(app.NormalNationalID(value)) == nil {
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
		if app.CheckNationalID(app.NormalNationalID(value)) == nil {
			return errors.New("renews is a national id: it must be an id that the provider gave the consent before")
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
