package jsonread

import (
	"fmt"
	"strings"
	"time"
	"unsafe"

	"syncer/finance"
)

// Bounds of what a Scanner reads. They are far above what any provider sends and keep a hostile answer from costing
// more than its bytes.
const (
	maxDepth   = 64
	maxString  = 1 << 20
	maxMembers = 1024 // of one object: the search for equal keys is quadratic in the worst case
	maxNumber  = 64   // characters of one number
)

// Scanner reads a JSON answer from front to back, once, without reflection and without floats. It is stricter than
// encoding/json, because what it lets pass goes to a database and into sums of money: invalid UTF-8, NUL, lone
// surrogates, equal keys, numbers that are not exact and bytes after the end are errors.
//
// The first error sticks: from then on every method gives zero values, and Err tells the error. An error inside an
// array's element can be taken back by Array.Broken, so that one bad record does not cost its neighbours.
//
// A null is what is not there: Text gives "", Amount an invalid Amount, Object and Array nothing to iterate. What is
// required, the connector checks.
type Scanner struct {
	text  string
	i     int
	depth int
	err   *Error
	from  int // where the last key begins, for errors, and where it ends
	to    int
	seen  []mark // the keys of the open objects, see Object.unique
	day   string // the last date read and its text: most neighbours share theirs
	date  finance.Date

	roomFor int // the records for which a list was given room last, and where that was; see Append
	roomAt  int
}

// Error is why an answer could not be read. Its text holds no value of the answer.
type Error struct {
	Offset int    // byte in the answer
	Key    string // the last key before it, where it is a plain word
	Reason string
	Syntax bool // the answer is no JSON text: cut off, or something else altogether
}

// Error is one line.
func (e *Error) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("%s at byte %d", e.Reason, e.Offset)
	}
	return fmt.Sprintf("%s at byte %d, near %q", e.Reason, e.Offset, e.Key)
}

// Scan makes a Scanner of an answer's body, which must not be changed any more: the strings that the Scanner gives are parts of
// it, and hold it.
func Scan(body []byte) *Scanner {
	// A copy of a large answer costs as much as the answer.
	return &Scanner{text: unsafe.String(unsafe.SliceData(body), len(body))}
}

// Err is the first error, or nil.
func (s *Scanner) Err() error {
	if s.err == nil {
		return nil // not a typed nil
	}
	return s.err
}

// End says that everything was read, and gives the first error. Bytes after the value are one.
func (s *Scanner) End() error {
	if s.depth != 0 {
		s.syntax("the answer was not read to its end")
	}
	s.space()
	if s.i < len(s.text) {
		s.syntax("bytes after the end of the answer")
	}
	return s.Err()
}

// Fail declares that what was just read can't be right, for a reason that only the connector knows. The reason must
// not hold anything of the answer. Array.Broken takes it back like any other error.
func (s *Scanner) Fail(reason string) { s.fail(reason, false) }

func (s *Scanner) syntax(reason string) { s.fail(reason, true) }

// wrong fails because the next value is not what was wanted, or not there at all.
func (s *Scanner) wrong(reason string) {
	if s.i >= len(s.text) {
		s.syntax("the answer ends too early")
	}
	s.Fail(reason)
}

func (s *Scanner) fail(reason string, syntax bool) {
	if s.err != nil {
		return
	}
	s.err = &Error{Offset: s.i, Key: word(s.text[s.from:s.to]), Reason: reason, Syntax: syntax}
}

// word is a key that may stand in an error: letters only, since a hostile one could be a person's number.
func word(key string) string {
	if len(key) > 40 {
		return ""
	}
	for i := range len(key) {
		if !isLetter(key[i]) && key[i] != '_' {
			return ""
		}
	}
	return key
}

// isLetter says that a byte is a letter of ASCII.
func isLetter(c byte) bool {
	c |= 0x20
	return c >= 'a' && c <= 'z'
}

// space skips white space and gives the byte behind it, 0 at the end or after an error.
func (s *Scanner) space() byte {
	if s.err != nil {
		return 0
	}
	for s.i < len(s.text) {
		switch c := s.text[s.i]; c {
		case ' ', '\n', '\r', '\t':
			s.i++
		default:
			return c
		}
	}
	return 0
}

// Peek tells the kind of the next value by its first byte, without reading it: '{', '[', '"', 't', 'f', 'n' for null,
// '0' for any number, and 0 for anything else.
func (s *Scanner) Peek() byte {
	switch c := s.space(); c {
	case '{', '[', '"', 't', 'f', 'n':
		return c
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return '0'
	}
	return 0
}

// Null reads a null if one is next, and says whether it was.
func (s *Scanner) Null() bool { return s.space() == 'n' && s.literal("null") }

func (s *Scanner) literal(want string) bool {
	if !strings.HasPrefix(s.text[s.i:], want) {
		s.syntax("not a JSON value")
		return false
	}
	s.i += len(want)
	return true
}

// Object enters an object: for o := s.Object(); o.Next(); { switch o.Key() {...} }.
func (s *Scanner) Object() Object {
	if s.Null() || !s.enter('{', "not an object") {
		return Object{s: s}
	}
	return Object{s: s, depth: s.depth, base: len(s.seen), open: true}
}

// Array enters an array: for a := s.Array(); a.Next(); { ... }.
func (s *Scanner) Array() Array {
	if s.Null() || !s.enter('[', "not an array") {
		return Array{s: s}
	}
	return Array{s: s, depth: s.depth, seen: len(s.seen), place: -1, open: true}
}

func (s *Scanner) enter(c byte, otherwise string) bool {
	if s.space() != c {
		s.wrong(otherwise)
		return false
	}
	return s.deeper()
}

// deeper moves into the container that begins here.
func (s *Scanner) deeper() bool {
	if s.depth >= maxDepth {
		s.Fail("nested too deeply")
		return false
	}
	s.depth++
	s.i++
	return true
}

// more moves to the next element or member of a container that ends with end, and says whether there is one.
func (s *Scanner) more(end byte, first bool) bool {
	switch c := s.space(); {
	case c == end:
		s.i++
		s.depth--
		return false
	case s.err != nil:
		return false
	case s.i >= len(s.text):
		s.syntax("the answer ends too early")
		return false
	case first:
		return true
	case c != ',':
		s.syntax("a comma is missing")
		return false
	}
	s.i++
	switch s.space() {
	case end, 0:
		s.syntax("nothing behind a comma")
		return false
	}
	return true
}

// Text reads a string.
func (s *Scanner) Text() string {
	switch s.space() {
	case '"':
		return s.quoted()
	case 'n':
		s.literal("null")
	default:
		s.wrong("not a string")
	}
	return ""
}

// Word reads a string, or the digits of a number as they stand: for codes that some versions of an API write one way
// and some the other.
func (s *Scanner) Word() string {
	if s.Peek() == '0' {
		return s.number()
	}
	return s.Text()
}

// Bool reads true or false; null is false.
func (s *Scanner) Bool() bool {
	switch s.space() {
	case 't':
		return s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	default:
		s.wrong("not true or false")
	}
	return false
}

// Date reads the day that a string begins with, as finance.ParseDate does.
func (s *Scanner) Date() finance.Date {
	text := s.Text()
	if text == "" {
		return 0
	}
	if text == s.day {
		return s.date
	}
	d, err := finance.ParseDate(text)
	if err != nil {
		s.Fail("not a date")
		return 0
	}
	s.day = text
	s.date = d
	return d
}

// Time reads an instant as ParseInstant and InUTC do.
func (s *Scanner) Time() time.Time {
	text := s.Text()
	if text == "" {
		return time.Time{}
	}
	t, err := ParseInstant(text)
	if err != nil {
		s.Fail(err.Error())
		return time.Time{}
	}
	return InUTC(t)
}

// Part gives the text of the next value, of which only the structure is looked at: what else is wrong with it is told to
// whoever reads it by itself, and does not cost its neighbours.
func (s *Scanner) Part() string {
	s.space()
	start := s.i
	s.leap()
	if s.err != nil {
		return ""
	}
	return s.text[start:s.i]
}

// Raw reads any value and gives its text as it stood.
func (s *Scanner) Raw() string {
	s.space()
	start := s.i
	s.skip()
	if s.err != nil {
		return ""
	}
	return s.text[start:s.i]
}
