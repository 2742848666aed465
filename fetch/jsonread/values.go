package jsonread

import (
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/govalues/decimal"

	"syncer/finance"
)

// load is eight bytes of t from i on, as one little-endian word.
func load(t string, i int) uint64 {
	t = t[i : i+8]
	return uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 |
		uint64(t[4])<<32 | uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56
}

// plain is the first position from i on that holds a quote, a backslash, a control character or a byte above ASCII;
// len(t) if there is none. It looks at eight bytes at a time: most of an answer is plain, and this is its hot loop.
func plain(t string, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(t); i += 8 {
		w := load(t, i)
		quote := w ^ ones*'"'
		slash := w ^ ones*'\\'
		if hit := ((w - ones*0x20) | (quote - ones) | (slash - ones) | w) & tops; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for ; i < len(t); i++ {
		switch c := t[i]; {
		case c < 0x20, c == '"', c == '\\', c >= 0x80:
			return i
		}
	}
	return i
}

// quoted reads the string that begins at the scanner's position. Without escapes it is a part of the text.
func (s *Scanner) quoted() string {
	start := s.i + 1
	escapes := 0
	wide := false
	for i := plain(s.text, start); i < len(s.text); i = plain(s.text, i) {
		switch c := s.text[i]; {
		case c == '"':
			s.i = i + 1
			return s.finish(s.text[start:i], escapes, wide)
		case c == '\\':
			escapes++
			i += 2
		case c < 0x20:
			s.i = i
			s.Fail("a control character in a string")
			return ""
		default:
			wide = true
			i++
		}
	}
	s.i = len(s.text)
	s.syntax("the answer ends too early")
	return ""
}

func (s *Scanner) finish(t string, escapes int, wide bool) string {
	switch {
	case len(t) > maxString:
		s.Fail("a string is too long")
	case wide && !utf8.ValidString(t):
		s.Fail("a string is not valid UTF-8")
	case escapes > 0:
		return s.unescape(t, escapes)
	default:
		return t
	}
	return ""
}

const escaped = `"\/bfnrt`

// unescape resolves a string's escapes.
func (s *Scanner) unescape(t string, escapes int) string {
	var b strings.Builder
	b.Grow(len(t) + 2*escapes)
	for t != "" {
		i := strings.IndexByte(t, '\\')
		if i < 0 {
			b.WriteString(t)
			break
		}
		b.WriteString(t[:i])
		c := t[i+1]
		if c == 'u' {
			r, n := surrogates(t[i:])
			if n == 0 {
				s.Fail("an escape in a string is not a character")
				return ""
			}
			b.WriteRune(r)
			t = t[i+n:]
			continue
		}
		k := strings.IndexByte(escaped, c)
		if k < 0 {
			s.Fail("an unknown escape in a string")
			return ""
		}
		b.WriteByte("\"\\/\b\f\n\r\t"[k])
		t = t[i+2:]
	}
	return b.String()
}

// surrogates reads the character that t, which begins with \u, stands for, and how long its escape is; 0 for NUL,
// which no Postgres text can hold, and for half a surrogate pair, which is no character.
func surrogates(t string) (rune, int) {
	r, ok := hex4(t)
	switch {
	case !ok, r == 0:
		return 0, 0
	case !utf16.IsSurrogate(r):
		return r, 6
	}
	low, ok := hex4(t[6:])
	if !ok {
		return 0, 0
	}
	r = utf16.DecodeRune(r, low)
	if r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}

func hex4(t string) (r rune, ok bool) {
	if len(t) < 6 {
		return 0, false
	}
	if t[:2] != `\u` {
		return 0, false
	}
	for _, c := range []byte(t[2:6]) {
		n, ok := hexDigit(c)
		if !ok {
			return 0, false
		}
		r = r<<4 | n
	}
	return r, true
}

func hexDigit(c byte) (n rune, ok bool) {
	if isDigit(c) {
		return rune(c - '0'), true
	}
	letter := c | 0x20
	if letter < 'a' || letter > 'f' {
		return 0, false
	}
	return rune(letter-'a') + 10, true
}

// digitsEnd is the position behind the digits that begin at i.
func digitsEnd(t string, i int) int {
	for i < len(t) {
		if !isDigit(t[i]) {
			break
		}
		i++
	}
	return i
}

// numeral is how long the JSON number is that t begins with; 0: none.
func numeral(t string) int {
	begin := 0
	if byteAt(t, 0) == '-' {
		begin = 1
	}
	whole := digitsEnd(t, begin)
	digits := whole - begin
	if digits == 0 {
		return 0
	}
	if t[begin] == '0' && digits > 1 {
		return 0
	}
	end := whole
	if byteAt(t, whole) == '.' {
		end = digitsEnd(t, whole+1)
		if end == whole+1 {
			return 0
		}
	}
	if byteAt(t, end)|0x20 == 'e' {
		return exponentEnd(t, end+1)
	}
	return end
}

// exponentEnd is the position behind the exponent that begins at i; 0: there is none.
func exponentEnd(t string, i int) int {
	switch byteAt(t, i) {
	case '+', '-':
		i++
	}
	end := digitsEnd(t, i)
	if end == i {
		return 0
	}
	return end
}

// byteAt is a byte of a text; 0 behind its end.
func byteAt(t string, i int) byte {
	if i < len(t) {
		return t[i]
	}
	return 0
}

// number reads a JSON number and gives its characters.
func (s *Scanner) number() string {
	if s.space(); s.err != nil {
		return ""
	}
	n := numeral(s.text[s.i:])
	switch {
	case n == 0, n > maxNumber:
		s.wrong("not a number")
		return ""
	}
	s.i += n
	return s.text[s.i-n : s.i]
}

// Int reads a whole number of at most 18 digits; ok is false for null and after an error.
func (s *Scanner) Int() (n int64, ok bool) {
	if s.Null() {
		return 0, false
	}
	t := s.number()
	digits := strings.TrimPrefix(t, "-")
	switch {
	case len(digits) > 18, digitsEnd(digits, 0) != len(digits):
		s.Fail("not a whole number of at most 18 digits")
	}
	if s.err != nil {
		return 0, false
	}
	for i := range len(digits) {
		n = n*10 + int64(digits[i]-'0')
	}
	if len(digits) < len(t) {
		n = -n
	}
	return n, true
}

// Amount reads a number, or a string that holds one, exactly. In a string it may have a plus.
func (s *Scanner) Amount() finance.Amount {
	var t string
	switch s.space() {
	case 'n':
		s.literal("null")
		return finance.Amount{}
	case '"':
		t = WithoutPlus(s.quoted())
		if !isNumber(t) {
			s.Fail("not an amount")
		}
	default:
		t = s.number()
	}
	if s.err != nil {
		return finance.Amount{}
	}
	a, ok := exact(t)
	if !ok {
		s.Fail("not an exact amount of at most 19 digits")
	}
	return a
}

// isNumber says that a text is a JSON number and nothing else.
func isNumber(t string) bool { return t != "" && numeral(t) == len(t) }

// exact turns a JSON number into an amount. Up to 18 digits without an exponent, which is all money there is, are
// summed up here; decimal.Parse, which rounds what it can't hold, sees only what it can.
func exact(t string) (finance.Amount, bool) {
	var coef int64
	digits := 0
	scale := 0
	fraction := false
	for i := range len(t) {
		switch c := t[i]; {
		case c == '-':
		case c == '.':
			fraction = true
		case c|0x20 == 'e', digits == 18:
			return exactLong(t)
		default:
			coef = coef*10 + int64(c-'0')
			digits++
			if fraction {
				scale++
			}
		}
	}
	for ; scale > 0; scale-- {
		if coef%10 != 0 {
			break
		}
		coef /= 10
	}
	if t[0] == '-' {
		coef = -coef
	}
	d, err := decimal.New(coef, scale)
	return finance.Amount{Decimal: d, Valid: true}, err == nil
}

// exactLong is exact for numbers with an exponent or many digits. The digits that count, and the places behind the
// point, must fit into 19; zeros at either end don't count.
func exactLong(t string) (finance.Amount, bool) {
	mantissa := t
	exponent := ""
	if e := strings.IndexAny(t, "eE"); e >= 0 {
		mantissa = t[:e]
		exponent = t[e+1:]
	}
	power := 0
	negative := strings.HasPrefix(exponent, "-")
	for _, c := range []byte(strings.TrimLeft(exponent, "+-")) {
		if power = power*10 + int(c-'0'); power > 999 {
			return finance.Amount{}, false
		}
	}
	if negative {
		power = -power
	}
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(mantissa, "-"), ".")
	all := strings.TrimLeft(whole+fraction, "0")
	kept := strings.TrimRight(all, "0")
	digits := len(fraction) - power - (len(all) - len(kept)) // behind the point, of the digits that are kept
	if kept == "" {
		return finance.Amount{Valid: true}, true
	}
	switch {
	case len(kept) > decimal.MaxPrec, digits > decimal.MaxScale, len(kept)-digits > decimal.MaxPrec:
		return finance.Amount{}, false
	}
	a, err := finance.ParseAmount(t)
	return a, err == nil
}
