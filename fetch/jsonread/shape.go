package jsonread

import (
	"bytes"
	"strings"
)

// Misshapen is what a body is in the place of a whole JSON text that begins with one of openings ({ for an
// object, [ for a list); empty: it is such a text, as far as its ends and its brackets tell. The words are
// for people and hold nothing of the body.
func Misshapen(body []byte, openings string) string {
	text := bytes.TrimSpace(body)
	if begins(text, openings) && isWhole(text) {
		return ""
	}
	return Describe(text)
}

// begins says that a text begins with one of some bytes.
func begins(text []byte, openings string) bool {
	if len(text) == 0 {
		return false
	}
	return strings.IndexByte(openings, text[0]) >= 0
}

// isWhole says whether a text that begins like a JSON object or list ends like one, with all its brackets
// closed.
func isWhole(text []byte) bool {
	closing := byte('}')
	if text[0] == '[' {
		closing = ']'
	}
	if text[len(text)-1] != closing {
		return false
	}
	return balanced(text) || !cutOff(text)
}

// balanced says that as many brackets close as open. It is true of nearly every whole answer and of nearly
// none that was cut behind a }, and costs next to nothing.
func balanced(text []byte) bool {
	count := func(bracket byte) int { return bytes.Count(text, []byte{bracket}) }
	return count('{') == count('}') && count('[') == count(']')
}

// cutOff reads a text whose brackets don't add up: one may stand in a string, or the end is missing.
func cutOff(text []byte) bool {
	s := Scan(text)
	s.leap()
	if s.err == nil {
		return false
	}
	return s.i >= len(s.text)
}

// Describe says what a body is that is not the JSON which was expected: "an HTML page", "JSON that was cut off". The words
// are for people and hold nothing of the body.
func Describe(body []byte) string {
	text := bytes.TrimSpace(body)
	head := bytes.ToLower(text[:min(len(text), 1<<10)])
	switch {
	case len(text) == 0:
		return "an empty body"
	case isWide(text):
		return "UTF-16 text"
	case bytes.IndexByte(head, 0) >= 0:
		return "bytes that are no text"
	case head[0] == '<':
		return describeMarkup(head)
	case head[0] == '{':
		return describeWhole(text, "a JSON object")
	case head[0] == '[':
		return describeWhole(text, "a JSON list")
	case isValue(text):
		return "JSON that is neither an object nor a list"
	case isTable(head):
		return "CSV"
	}
	return "a text that is no JSON"
}

// describeMarkup says what a text is that begins with <.
func describeMarkup(head []byte) string {
	if bytes.HasPrefix(head, []byte("<!doctype html")) {
		return "an HTML page"
	}
	if bytes.Contains(head, []byte("<html")) {
		return "an HTML page"
	}
	return "XML"
}

// describeWhole gives the words for what begins like a JSON object or list, if it also ends like one.
func describeWhole(text []byte, words string) string {
	if !isWhole(text) {
		return "JSON that was cut off"
	}
	return words
}

// isWide says whether a text is UTF-16 or UTF-32: by its mark, or because every other byte of ASCII is 0 in
// it.
func isWide(text []byte) bool {
	for _, mark := range []string{"\xff\xfe", "\xfe\xff"} {
		if bytes.HasPrefix(text, []byte(mark)) {
			return true
		}
	}
	if len(text) < 4 {
		return false
	}
	oneZero := func(pair []byte) bool { return (pair[0] == 0) != (pair[1] == 0) }
	return oneZero(text[:2]) && oneZero(text[2:])
}

// isValue says whether a text is one JSON value.
func isValue(text []byte) bool {
	s := Scan(text)
	s.skip()
	return s.End() == nil
}

// isTable says whether a text's first two lines have the same number of columns, and more than one.
func isTable(text []byte) bool {
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	second, _, _ := bytes.Cut(rest, []byte("\n"))
	for _, separator := range []string{";", ",", "\t"} {
		columns := bytes.Count(first, []byte(separator))
		if columns > 0 && columns == bytes.Count(second, []byte(separator)) {
			return true
		}
	}
	return false
}
