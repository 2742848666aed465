package finance

import (
	"cmp"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Masked stands where a national identity number stood.
const Masked = "[number]"

// A national identity number has eleven digits in Norway, and ten in Sweden or twelve with the century.
const (
	shortestNumber = 10
	longestNumber  = 12
)

// longestSeparator is how many bytes may stand between two digits of one number.
const longestSeparator = 9

// MaskNationalIDs replaces every national identity number in a text, Norwegian or Swedish, by Masked: also one whose
// digits are parted by blanks of any kind, dashes, points, slashes or characters that can't be seen, one that is
// percent-encoded (RFC 3986), and one in the digits of another script. The numbers of subjects are found in any form,
// others where they stand apart from further digits.
func MaskNationalIDs(text string, subjects ...string) string {
	return mask(text, func(r digitRun, i int) int {
		return cmp.Or(r.subjectAt(i, subjects), r.numberAt(i))
	})
}

// ShowsNationalID says whether a text that a person has written shows a national identity number, glued to other letters or in
// any form that [MaskNationalIDs] takes out.
func ShowsNationalID(text string) bool { return HoldsNationalID(text) || MaskNationalIDs(text) != text }

// MaskSubjects replaces the numbers of subjects alone, for texts in which other numbers of ten to twelve digits are
// ordinary, such as those of invoices.
func MaskSubjects(text string, subjects ...string) string {
	return mask(text, func(r digitRun, i int) int { return r.subjectAt(i, subjects) })
}

// mask replaces the numbers in a text. at is how many digits of a run from a place on are one; 0: none.
func mask(text string, at func(r digitRun, i int) int) string {
	var b strings.Builder
	done := 0
	for i := 0; i < len(text); {
		run := digitsFrom(text, i)
		if len(run.digits) == 0 {
			i = run.end
			continue
		}
		for _, part := range run.numbers(at) {
			b.WriteString(text[done:run.from[part[0]]])
			b.WriteString(Masked)
			done = run.to[part[1]-1]
		}
		i = run.end
	}
	if done == 0 {
		return text
	}
	return b.String() + text[done:]
}

// digitRun is a run of digits with nothing but separators between them.
type digitRun struct {
	digits   []byte
	from, to []int  // where each stands in the text
	begins   []bool // no other digit stands right before it
	end      int    // where the text goes on behind the run
}

// digitsFrom reads the run of digits that begins at a place of a text. Where there is none, it ends behind the first
// character.
func digitsFrom(text string, at int) digitRun {
	var run digitRun
	i := at
	gap := 0
	for i < len(text) {
		c, n := characterAt(text[i:])
		switch digit, ok := digitOf(c); {
		case ok:
			run.digits = append(run.digits, digit)
			run.from, run.to = append(run.from, i), append(run.to, i+n)
			run.begins = append(run.begins, gap > 0 || len(run.digits) == 1)
			gap = 0
			i += n
			run.end = i
			continue
		case len(run.digits) == 0:
			run.end = i + n
			return run
		}
		gap += n
		if !separates(c) || gap > longestSeparator {
			return run
		}
		i += n
	}
	return run
}

// characterAt is the first character of a text and its length. Three bytes such as %20 are one.
func characterAt(text string) (c rune, length int) {
	if len(text) >= 3 && text[0] == '%' {
		if b, err := hex.DecodeString(text[1:3]); err == nil {
			if b[0] >= utf8.RuneSelf { // a byte of a longer character, such as one of a blank that does not break
				return ' ', 3
			}
			return rune(b[0]), 3
		}
	}
	return utf8.DecodeRuneInString(text)
}

// digitOf is a decimal digit of any script as ASCII writes it. Unicode keeps ten in a row, from zero to nine.
func digitOf(c rune) (digit byte, ok bool) {
	if c < utf8.RuneSelf {
		return byte(c), '0' <= c && c <= '9'
	}
	if !unicode.Is(unicode.Nd, c) {
		return 0, false
	}
	for _, r := range unicode.Nd.R16 {
		if rune(r.Lo) <= c && c <= rune(r.Hi) {
			return '0' + byte((c-rune(r.Lo))%10), true
		}
	}
	for _, r := range unicode.Nd.R32 {
		if rune(r.Lo) <= c && c <= rune(r.Hi) {
			return '0' + byte((c-rune(r.Lo))%10), true
		}
	}
	return 0, false
}

// separates says whether people, or a gateway, write a character between the digits of one number.
func separates(c rune) bool {
	return strings.ContainsRune(".-+/_:", c) || unicode.IsSpace(c) || unicode.In(c, unicode.Pd, unicode.Cf, unicode.Cc, unicode.Zs)
}

// numbers finds the parts of a run that are numbers to mask, in their order.
func (r digitRun) numbers(at func(r digitRun, i int) int) [][2]int {
	var parts [][2]int
	for i := 0; i < len(r.digits); {
		n := at(r, i)
		if n == 0 {
			i++
			continue
		}
		parts = append(parts, [2]int{i, i + n})
		i += n
	}
	return parts
}

// subjectAt is how many digits from the i-th on are the number of a subject; 0: none. One of twelve digits is known
// without its century too.
func (r digitRun) subjectAt(i int, subjects []string) int {
	rest := string(r.digits[i:])
	for _, s := range subjects {
		if len(s) >= shortestNumber && strings.HasPrefix(rest, s) {
			return len(s)
		}
		if len(s) == longestNumber && strings.HasPrefix(rest, s[2:]) {
			return shortestNumber
		}
	}
	return 0
}

// numberAt is how many digits from the i-th on are a national identity number that stands apart from others; 0: none.
func (r digitRun) numberAt(i int) int {
	if !r.begins[i] {
		return 0
	}
	for n := longestNumber; n >= shortestNumber; n-- {
		end := i + n
		apart := end == len(r.digits) || end < len(r.digits) && r.begins[end]
		if !apart {
			continue
		}
		number := string(r.digits[i:end])
		if IsNationalID(number) || IsPersonnummer(number) && r.writtenAsSwedish(i, end) {
			return n
		}
	}
	return 0
}

// writtenAsSwedish says whether the digits from i to end are written as a Swedish number is: in one, with something
// before the last four alone, or each digit by itself. A day and a time, whose parts are pairs, are no such number.
func (r digitRun) writtenAsSwedish(i, end int) bool {
	var parts []int // how long the digits that stand together are
	for at := i; at < end; at++ {
		if at == i || r.begins[at] {
			parts = append(parts, 0)
		}
		parts[len(parts)-1]++
	}
	inTwo := len(parts) == 2 && parts[1] == 4
	return len(parts) == 1 || inTwo || len(parts) == end-i
}

// HoldsNumber says whether a text holds a number of ten to twelve digits for which is holds, in any form in which one is masked, and
// standing apart from further digits. is gets the digits alone.
func HoldsNumber(text string, is func(digits string) bool) bool {
	for i := 0; i < len(text); {
		run := digitsFrom(text, i)
		i = run.end
		for at := range run.digits {
			if run.begins[at] && run.holdsAt(at, is) {
				return true
			}
		}
	}
	return false
}

// holdsAt says whether a number for which is holds begins at the i-th digit.
func (r digitRun) holdsAt(i int, is func(digits string) bool) bool {
	for n := shortestNumber; n <= longestNumber; n++ {
		end := i + n
		apart := end == len(r.digits) || end < len(r.digits) && r.begins[end]
		if apart && is(string(r.digits[i:end])) {
			return true
		}
	}
	return false
}

// BareNumber is the digits of a text that is one number and nothing else, in any form in which one is masked; empty: it is none.
func BareNumber(text string) string {
	text = strings.TrimFunc(text, separates)
	run := digitsFrom(text, 0)
	if len(run.digits) == 0 || run.end != len(text) || run.from[0] != 0 {
		return ""
	}
	return string(run.digits)
}
