package main

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

	"syncer/finance"
	"syncer/persist"
)

// csvColumns are the columns that a file of consents may have, in any order. Only the first is required.
var csvColumns = []string{"external_id", "national_id", "scopes", "valid_from", "valid_until", "single_use", "reads_per_day", "purpose"}

// badLine is a line that can't be imported, and why; the reason never holds a national id.
type badLine struct {
	Line    int    `json:"line"`
	Problem string `json:"problem"`
}

// consentFile is what a file of consents holds.
type consentFile struct {
	good  []persist.ConsentImport
	lines []int // of each good consent
	bad   []badLine
	lacks []string // the columns that the header does not name
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
			f.lacks = slices.DeleteFunc(slices.Clone(csvColumns), func(c string) bool { return slices.Contains(columns, c) })
			continue
		}
		c, err := readConsent(text, columns, comma, zone)
		if err == nil && seen[c.ExternalID] > 0 {
			err = fmt.Errorf("the same external_id stands on line %d", seen[c.ExternalID])
		}
		if err != nil {
			f.bad = append(f.bad, badLine{n, err.Error()})
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
			if checkNationalID(normalNationalID(c)) == nil {
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
	r.Comma, r.FieldsPerRecord = comma, -1
	record, err := r.Read()
	if err != nil {
		return nil, errors.New("a quote stands where none may stand, or is not closed")
	}
	return record, nil
}

// readConsent reads one line of the file.
func readConsent(text string, columns []string, comma rune, zone *time.Location) (persist.ConsentImport, error) {
	var c persist.ConsentImport
	record, err := fields(text, comma)
	if err != nil {
		return c, err
	}
	if len(record) != len(columns) {
		return c, fmt.Errorf("%s, and the header names %d", count(len(record), "field"), len(columns))
	}
	for i, column := range columns {
		if err := setField(&c, column, strings.TrimSpace(record[i]), zone); err != nil {
			return c, err
		}
	}
	switch {
	case c.ExternalID == "":
		return c, errors.New("external_id is empty")
	case !c.ValidUntil.IsZero() && !c.ValidUntil.After(c.ValidFrom):
		return c, errors.New("valid_until does not lie after valid_from")
	}
	return c, nil
}

func setField(c *persist.ConsentImport, column, value string, zone *time.Location) (err error) {
	if strings.ContainsFunc(value, unicode.IsControl) {
		return fmt.Errorf("%s holds a control character", column)
	}
	if value == "" {
		return nil
	}
	switch column {
	case "external_id":
		if checkNationalID(normalNationalID(value)) == nil {
			return errors.New("external_id is a national id: it must be the provider's id of the consent")
		}
		if len(value) > persist.MaxExternalID {
			return fmt.Errorf("external_id is longer than %d bytes", persist.MaxExternalID)
		}
		c.ExternalID = value
	case "national_id":
		c.NationalID = normalNationalID(value)
		err = checkNationalID(c.NationalID)
	case "scopes":
		c.Scopes = strings.Fields(value)
	case "valid_from":
		c.ValidFrom, err = readInstant(column, value, 0, zone)
	case "valid_until":
		c.ValidUntil, err = readInstant(column, value, 1, zone)
	case "single_use":
		c.SingleUse, err = readBool(column, value)
	case "reads_per_day":
		c.ReadsPerDay, err = strconv.Atoi(value)
		if err != nil || c.ReadsPerDay < 0 || c.ReadsPerDay > 100_000 {
			err = fmt.Errorf("%s is not a number of reads: write 4, or nothing for no bound", column)
		}
	case "purpose":
		c.Purpose = value
	}
	return err
}

// readInstant reads an instant, or a day in the zone: its beginning, or with after = 1 its end. Errors don't repeat the
// value: in a file whose columns have slipped it may be a national id.
func readInstant(column, value string, after int, zone *time.Location) (time.Time, error) {
	if len(value) == len(time.DateOnly) {
		if d, err := finance.ParseDate(value); err == nil {
			return d.AddDays(after).StartIn(zone), nil
		}
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return t, fmt.Errorf("%s is not a time: write 2026-01-31 or 2026-01-31T12:00:00Z", column)
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
