package jsonread

import (
	"strings"

	"syncer/finance"
)

// Object iterates over the members of a JSON object. A member whose value is not read is checked and skipped.
type Object struct {
	s     *Scanner
	depth int
	base  int    // where this object's marks begin in s.seen
	bloom uint64 // one bit a key: a clear one proves that a key is new
	value int    // where the current member's value begins
	key   string
	open  bool
	begun bool
}

// sameKey is why an object with a member twice is refused.
const sameKey = "the same key twice"

// mark is a key that an open object has had: where it stands between its quotes. Without pointers in it, the list of
// marks costs the garbage collector nothing.
type mark struct {
	hash     uint32
	from, to int32
}

// name is the key of a mark.
func (s *Scanner) name(m mark) string {
	t := s.text[m.from:m.to]
	if n := strings.Count(t, `\`); n > 0 {
		return s.unescape(t, n)
	}
	return t
}

// Next moves to the next member and says whether there is one.
func (o *Object) Next() bool {
	s := o.s
	if !o.open {
		return false
	}
	if o.begun && !s.skipUnread(o.value, o.depth) {
		return false
	}
	if !s.more('}', !o.begun) {
		o.open = false
		s.seen = s.seen[:o.base]
		return false
	}
	o.begun = true
	if s.text[s.i] != '"' {
		s.syntax("a key is missing")
		return false
	}
	start := s.i + 1
	o.key = s.quoted()
	if s.err != nil {
		return false
	}
	s.from, s.to = start, s.i-1
	if s.space() != ':' {
		s.syntax("a colon is missing")
		return false
	}
	if !o.unique() {
		return false
	}
	s.i++
	s.space()
	o.value = s.i
	return true
}

// Key is the current member's name, its escapes resolved.
func (o *Object) Key() string { return o.key }

// unique says whether the key is the first of its name in the object. Of two equal keys every reader believes a
// different one, so none can be believed.
func (o *Object) unique() bool {
	s := o.s
	h := hashKey(o.key)
	mine := s.seen[o.base:]
	if bit := uint64(1) << (h >> 26); o.bloom&bit == 0 {
		o.bloom |= bit
	} else if s.had(mine, h, o.key) {
		s.Fail(sameKey)
		return false
	}
	if len(mine) == maxMembers {
		s.Fail("too many members")
		return false
	}
	s.seen = append(s.seen, mark{h, int32(s.from), int32(s.to)})
	return true
}

// had says that a key of a hash is among the marks.
func (s *Scanner) had(marks []mark, hash uint32, key string) bool {
	for i := range marks {
		if marks[i].hash != hash {
			continue
		}
		if s.name(marks[i]) == key {
			return true
		}
	}
	return false
}

// hashKey looks at no more than 16 bytes of a key, which tell nearly all names apart; equal hashes are only slow.
func hashKey(k string) uint32 {
	h := uint64(len(k))
	if len(k) < 8 {
		for i := range len(k) {
			h = h<<8 ^ uint64(k[i])
		}
	} else {
		h = (h ^ load(k, 0)) * 0x9e3779b97f4a7c15
		h ^= h>>29 ^ load(k, len(k)-8)
	}
	return uint32(h * 0xbf58476d1ce4e5b9 >> 32)
}

// Array iterates over the elements of a JSON array. An element that is not read is checked and skipped.
type Array struct {
	s     *Scanner
	depth int
	seen  int
	value int  // where the current element begins
	twice bool // the current element has a member twice
	place int32
	open  bool
}

// Next moves to the next element and says whether there is one.
func (a *Array) Next() bool {
	s := a.s
	if !a.open {
		return false
	}
	first := a.place < 0
	if !first && !s.skipUnread(a.value, a.depth) {
		return false
	}
	if !s.more(']', first) {
		a.open = false
		return false
	}
	a.place++
	a.value = s.i
	a.twice = false
	return true
}

// Place is the index of the current element.
func (a *Array) Place() int32 { return a.place }

// Broken says why the current element could not be read, or gives "". The scanner is then behind the element and goes
// on as if nothing had happened, so the caller must drop the record and note its place. Where the element is broken
// in such a way that nobody can tell where it ends, the error stays, and the array has no further element.
func (a *Array) Broken() string {
	s := a.s
	if s.err == nil {
		return ""
	}
	err := s.err
	a.twice = err.Reason == sameKey
	s.err, s.i, s.depth, s.seen = nil, a.value, a.depth, s.seen[:a.seen]
	s.leap()
	if s.err != nil || err.Offset > s.i {
		s.err = err
	}
	return err.word()
}

// Reject is what becomes of the current element where it can't be kept, for the reason that Broken gave or one of the
// connector's own. key is the provider's key of it, as far as that could be read and may be stored; empty: none.
func (a *Array) Reject(why, key string) finance.Reject {
	if a.twice { // it may be the key that stands there twice
		key = ""
	}
	return Reject(a.place, why, key, a.Text())
}

// Text is the current element as it stood, once it was read or Broken has moved behind it.
func (a *Array) Text() string {
	s := a.s
	if s.err == nil && s.i == a.value {
		s.leap()
	}
	return s.text[a.value:s.i]
}

// Reject is a record that stands at a place of an answer as text, and can't be kept.
func Reject(place int32, why, key, text string) finance.Reject {
	if finance.FaultOfKey(key) != "" { // nobody could be told by it
		key = ""
	}
	return finance.Reject{Place: place, Reason: why, Key: key, Body: finance.HashOf(text)}
}

// word is the reason without the offset, which means nothing to who reads it beside a place.
func (e *Error) word() string {
	if e.Key == "" {
		return e.Reason
	}
	return e.Key + ": " + e.Reason
}

// skipUnread moves behind the current value if nobody has read it.
func (s *Scanner) skipUnread(value, depth int) bool {
	if s.err != nil {
		return false
	}
	if s.i == value {
		s.skip()
	}
	if s.depth != depth {
		s.syntax("the connector left a value half read")
	}
	return s.err == nil
}

// skip reads any value without giving it. Everything that reading it would refuse is refused.
func (s *Scanner) skip() {
	switch c := s.space(); c {
	case '{':
		if s.deeper() {
			s.skipMembers()
		}
	case '[':
		if s.deeper() {
			s.skipElements()
		}
	case '"':
		s.quoted()
	default:
		s.skipScalar(c)
	}
}

func (s *Scanner) skipElements() {
	for first := true; s.more(']', first); first = false {
		s.skip()
	}
}

func (s *Scanner) skipMembers() {
	for first := true; s.more('}', first); first = false {
		if s.text[s.i] != '"' {
			s.syntax("a key is missing")
			return
		}
		s.quoted()
		if s.space() != ':' {
			s.syntax("a colon is missing")
			return
		}
		s.i++
		s.skip()
	}
}

func (s *Scanner) skipScalar(c byte) {
	if s.err != nil {
		return
	}
	switch c {
	case 't', 'f':
		s.Bool()
	case 'n':
		s.literal("null")
	default:
		s.number()
	}
}

// leap moves over a value of which only the structure counts: strings end, brackets match, commas and colons are there. However
// deeply it nests and whatever its strings hold, a record that can't be read must be got past, or it costs its neighbours.
func (s *Scanner) leap() {
	var open []byte // the brackets that will close the containers around the present place
	for {
		switch c := s.space(); c {
		case '{', '[':
			s.i++
			s.depth++
			closing := c + 2 // as ASCII has them
			if s.more(closing, true) {
				open = append(open, closing)
				s.leapKey(closing)
				continue
			}
		case '"':
			s.closing()
		default:
			s.scalar()
		}
		open = s.leave(open)
		if s.err != nil || len(open) == 0 {
			return
		}
		s.leapKey(open[len(open)-1])
	}
}

// leave moves to the next element or member of the innermost container that has one, and gives the brackets of those that
// are still open.
func (s *Scanner) leave(open []byte) []byte {
	for len(open) > 0 {
		innermost := len(open) - 1
		if s.err != nil || s.more(open[innermost], false) {
			break
		}
		open = open[:innermost]
	}
	return open
}

// leapKey moves to the value of a member, where the container is an object.
func (s *Scanner) leapKey(closing byte) {
	if closing != '}' {
		return
	}
	if s.err != nil {
		return
	}
	if s.text[s.i] != '"' {
		s.syntax("a key is missing")
		return
	}
	s.closing()
	if s.space() != ':' {
		s.syntax("a colon is missing")
		return
	}
	s.i++
}

// scalar moves over a run of characters that could be meant as a number or a word.
func (s *Scanner) scalar() {
	start := s.i
	for s.i < len(s.text) {
		if !isOfScalar(s.text[s.i]) {
			break
		}
		s.i++
	}
	if s.i == start {
		s.syntax("not a JSON value")
	}
}

// isOfScalar says that a byte may be one of a number or a word.
func isOfScalar(c byte) bool {
	switch c {
	case '.', '-', '+':
		return true
	}
	return isDigit(c) || isLetter(c)
}

// closing moves behind a string without looking into it. A raw line feed in it, as hand-made JSON has, is for the record to
// answer for.
func (s *Scanner) closing() {
	for i := s.i + 1; i < len(s.text); i++ {
		switch s.text[i] {
		case '"':
			s.i = i + 1
			return
		case '\\':
			i++
		}
	}
	s.i = len(s.text)
	s.syntax("the answer ends too early")
}
