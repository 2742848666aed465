package jsonread

import (
	"strings"
	"testing"
)

func TestWhatABodyIs(t *testing.T) {
	for _, c := range []struct{ body, openings, want string }{
		{`{}`, "{", ""},
		{` {"a":[1,{"b":"}"}]} ` + "\n", "{", ""},
		{`{"a":"{[{"}`, "{", ""}, // brackets in a string
		{`[{"a":1}]`, "[", ""},
		{`[{"a":1}]`, "{[", ""},
		{`{"a":"\u0000","b":007}`, "{", ""}, // what is wrong with a record is for its decoder to say
		{`[{"a":1}]`, "{", "a JSON list"},
		{`{}`, "[", "a JSON object"},
		{``, "{", "an empty body"},
		{" \r\n", "{", "an empty body"},
		{`{"rows":[{"id":1}`, "{", "JSON that was cut off"},
		{`{"rows":[{"id":1}]`, "{", "JSON that was cut off"},
		{`{"rows":[{"id":1},`, "{", "JSON that was cut off"},
		{`{"rows":[{"id":"a}`, "{", "JSON that was cut off"},
		{`{"rows":[{"id":"]"}`, "{", "JSON that was cut off"},
		{`{`, "{", "JSON that was cut off"},
		{`[[1],[2]`, "[", "JSON that was cut off"},
		{"<!DOCTYPE html>\n<p>We are back at 06:00", "{", "an HTML page"},
		{"<!-- x --><HTML lang=no>", "{", "an HTML page"},
		{`<?xml version="1.0"?><rows/>`, "{", "XML"},
		{"\xff\xfe{\x00}\x00", "{", "UTF-16 text"},
		{"\xfe\xff\x00{\x00}", "{", "UTF-16 text"},
		{"{\x00\"\x00a\x00", "{", "UTF-16 text"},
		{"id;amount\r\n1;2,50\r\n", "{", "CSV"},
		{"id\tamount\n1\t2", "{", "CSV"},
		{"null", "{", "JSON that is neither an object nor a list"},
		{`"no"`, "{", "JSON that is neither an object nor a list"},
		{"upstream connect error", "{", "a text that is no JSON"},
		{"\x1f\x8b\x08\x00\x00\x00", "{", "bytes that are no text"},
	} {
		if got := Misshapen([]byte(c.body), c.openings); got != c.want {
			t.Errorf("%.40q: %q, want %q", c.body, got, c.want)
		}
	}
}

// However an object is cut, it is no longer taken for a whole one.
func FuzzWhole(f *testing.F) {
	f.Add(`{"rows":[{"id":"]"},{"id":"{"}],"n":{"a":[]}}`)
	f.Add(`{"a":{"b":{"c":"\""}},"d":[[],[{}]]}`)
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.TrimSpace(text)
		s := Scan([]byte(text))
		s.skip()
		if s.End() != nil || text[0] != '{' {
			return
		}
		if got := Misshapen([]byte(text), "{"); got != "" {
			t.Errorf("%q: %s", text, got)
		}
		for n := range len(text) - 1 {
			if balanced([]byte(text[:n+1])) && strings.ContainsAny(text, "\\\"") {
				continue // brackets in strings may make up for those that are missing
			}
			if Misshapen([]byte(text[:n+1]), "{") == "" {
				t.Errorf("%q is taken for whole", text[:n+1])
			}
		}
	})
}
