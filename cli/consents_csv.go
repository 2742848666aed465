package cli

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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
		if isBlankRow(text) {
			continue
		}
		if columns == nil {
			if said, ok := separatorOf(text); ok {
				comma = said
				continue
			}
			var err error
			if columns, comma, err = readHeader(text, comma); err != nil {
				return f, fmt.Errorf("line %d: %w", n, err)
			}
			f.absent = slices.DeleteFunc(slices.Clone(csvColumns), func(c string) bool { return slices.Contains(columns, c) })
			continue
		}
		if again, _, err := readHeader(text, comma); err == nil && slices.Equal(again, columns) {
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

// separators are what may stand between the fields of a line.
const separators = ",;\t"

// isBlankRow says that a line has nothing in it: a spreadsheet writes the separators of an empty row too.
func isBlankRow(text string) bool {
	return strings.TrimFunc(text, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(separators+`"`, r) }) == ""
}

// separatorOf reads the line by which Excel is told what separates the fields, such as sep=;
func separatorOf(text string) (comma rune, ok bool) {
	name, said, found := strings.Cut(strings.TrimRight(text, "\r"), "=")
	isOne := len(said) == 1 && strings.Contains(separators, said)
	if !found || !isOne || !strings.EqualFold(strings.TrimSpace(name), "sep") {
		return 0, false
	}
	return rune(said[0]), true
}

// guessSeparator is what separates the names of a header. Tabs may stand around them, too.
func guessSeparator(header string) rune {
	commas, semicolons := strings.Count(header, ","), strings.Count(header, ";")
	switch {
	case semicolons > commas:
		return ';'
	case commas == 0 && strings.Contains(header, "\t"):
		return '\t'
	}
	return ','
}

// readHeader reads the names of the columns and finds out what separates them, where that has not been said.
func readHeader(text string, said rune) (columns []string, comma rune, err error) {
	comma = said
	if comma == 0 {
		comma = guessSeparator(text)
	}
	columns, err = fields(text, comma)
	if err != nil {
		return nil, comma, err
	}
	columns = withoutTrailing(columns, 1)
	for i, c := range columns {
		columns[i] = strings.ToLower(strings.TrimSpace(c))
		if !slices.Contains(csvColumns, columns[i]) {
			// What has a digit in it is a value, such as a person's number, and is not repeated.
			if strings.ContainsFunc(c, unicode.IsDigit) {
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

// withoutTrailing leaves out the empty fields at the end of a line that are more than so many fields: a spreadsheet writes them for
// columns in which something once stood.
func withoutTrailing(fields []string, most int) []string {
	for len(fields) > most && strings.TrimSpace(fields[len(fields)-1]) == "" {
		fields = fields[:len(fields)-1]
	}
	return fields
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
	if err != nil && strings.Contains(text, "=\"") {
		return nil, errors.New("a field is a formula of a spreadsheet: save its value as text, without = and quotes around it")
	}
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
	record = withoutTrailing(record, len(columns))
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
