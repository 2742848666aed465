package rest

import (
	"regexp"
	"strings"

	"syncer/finance"
)

// keep notes a member of a record that no path leads to. A number that is a person's is forgotten, wherever it stands.
func (d *decoder) keep(path, raw string) {
	if d.personal(raw) {
		return
	}
	d.unread = append(d.unread, quote(path)+":"+raw)
}

// run matches what may be a national identity number: Norwegian ones have 11 digits, Swedish ones 10 or 12, with a
// separator or without. Longer runs of digits are something else.
var run = regexp.MustCompile(`\d+(?:[- ]\d+)*`)

// personal says whether a national identity number stands in a JSON text: that of the person asked about, or any
// Norwegian one. An account's number can look like one; what has a column is not asked.
func (d *decoder) personal(raw string) bool {
	return anyNumber(raw, func(digits string) bool { return finance.IsNationalID(digits) || d.isSubject(digits) })
}

// revealing says whether the number of the person asked about stands in a link or a cursor, escaped or not. Of other
// numbers nothing is asked: an account's can look like a person's, and must not end the list.
func (d *decoder) revealing(text string) bool {
	return anyNumber(text, d.isSubject) || anyNumber(plain(text), d.isSubject)
}

// anyNumber asks for every run of digits in a text, and every two with a separator between, that may be such a number.
func anyNumber(text string, is func(digits string) bool) bool {
	for _, found := range run.FindAllString(text, -1) {
		parts := strings.FieldsFunc(found, func(r rune) bool { return r == '-' || r == ' ' })
		for i, part := range parts {
			if fits(part) && is(part) || i > 0 && len(parts[i-1]) >= 6 && len(part) <= 5 && fits(parts[i-1]+part) && is(parts[i-1]+part) {
				return true
			}
		}
	}
	return false
}

func fits(digits string) bool { return len(digits) >= 10 && len(digits) <= 12 }
