package rest

import (
	"bytes"
	"encoding/json"
	"strings"

	"syncer/finance"
)

// keep notes a member of a record that no path leads to. One that holds a person's number, in its name or wherever in it, is
// forgotten.
func (d *decoder) keep(path, raw string) {
	if d.personal(path) || d.personal(unescaped(raw)) {
		return
	}
	d.unread = append(d.unread, quote(path)+":"+raw)
}

// personal says whether a national identity number stands in a text: that of the person asked about, or any Norwegian one. An
// account's number can look like one; what has a column is not asked.
func (d *decoder) personal(text string) bool {
	return finance.HoldsNumber(text, func(digits string) bool { return finance.IsNationalID(digits) || d.isSubject(digits) })
}

// revealing says whether the number of the person asked about stands in a link or a cursor, escaped or not. Of other
// numbers nothing is asked: an account's can look like a person's, and must not end the list.
func (d *decoder) revealing(text string) bool {
	return finance.HoldsNumber(text, d.isSubject) || finance.HoldsNumber(plain(text), d.isSubject)
}

// unescaped is a JSON text whose strings have no escape that hides a digit, or what stands between two.
func unescaped(raw string) string {
	if !strings.Contains(raw, `\`) {
		return raw
	}
	var value any
	decoder := json.NewDecoder(strings.NewReader(raw))
	decoder.UseNumber() // or the digits would be a float's
	if decoder.Decode(&value) != nil {
		return raw
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(value) != nil {
		return raw
	}
	return strings.NewReplacer(`\t`, " ", `\n`, " ", `\r`, " ", `\u2028`, " ", `\u2029`, " ").Replace(text.String())
}
