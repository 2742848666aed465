package jsonread

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// Extra collects the members of a record that have no column. One Extra serves all records of a page. The zero value
// is ready.
type Extra struct {
	members []member
	arena   []byte // the results of a page, one after the other
}

// member is one of them. Its name is prefix and key; raw is the key as it stood, with its escapes.
type member struct{ prefix, key, raw, value string }

func (m *member) compare(o *member) int {
	return cmp.Or(strings.Compare(m.prefix, o.prefix), strings.Compare(m.key, o.key))
}

// Extra reads the current member's value and keeps it for x, unless it is null. What a provider added yesterday is
// then in the tables although nobody has given it a column yet.
func (o *Object) Extra(x *Extra) { o.ExtraUnder(x, "") }

// ExtraUnder is Extra for the members of a nested object: the prefix, which needs no escapes, goes before the name.
func (o *Object) ExtraUnder(x *Extra, prefix string) {
	if o.s.Null() {
		return
	}
	raw := o.s.text[o.s.from:o.s.to]
	if value := o.s.Raw(); o.s.err == nil {
		x.members = append(x.members, member{prefix, o.key, raw, value})
	}
}

// Add keeps a text under a name that needs no escapes, unless it is empty.
func (x *Extra) Add(name, text string) {
	if text == "" {
		return
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return // can't be: every string has a JSON form
	}
	x.members = append(x.members, member{"", name, name, string(quoted)})
}

// Reset forgets what was collected, after a record that is dropped.
func (x *Extra) Reset() { x.members = x.members[:0] }

// JSON is what was collected as a JSON object with its keys sorted and without white space, so that the same content
// is the same bytes; nil if there is nothing. It leaves x empty for the next record.
func (x *Extra) JSON() []byte {
	if len(x.members) == 0 {
		return nil
	}
	slices.SortFunc(x.members, func(a, b member) int { return a.compare(&b) })
	start := len(x.arena)
	for i, m := range x.members {
		sep := byte(',')
		if i == 0 {
			sep = '{'
		}
		x.arena = append(x.arena, sep, '"')
		x.arena = append(x.arena, m.prefix...)
		x.arena = append(x.arena, m.raw...)
		x.arena = append(x.arena, '"', ':')
		x.arena = appendCompact(x.arena, m.value)
	}
	x.arena = append(x.arena, '}')
	x.Reset()
	return x.arena[start:len(x.arena):len(x.arena)]
}

// appendCompact appends a checked JSON value without its white space.
func appendCompact(b []byte, value string) []byte {
	if !strings.ContainsAny(value, " \n\r\t") {
		return append(b, value...)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, []byte(value)); err != nil {
		return append(b, "null"...) // can't be: the scanner has checked the value
	}
	return append(b, out.Bytes()...)
}
