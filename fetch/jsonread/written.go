package jsonread

import (
	"strings"

	"syncer/finance"
)

// WithoutPlus takes the plus off a number that is a text, where a digit follows it.
func WithoutPlus(text string) string {
	number, signed := strings.CutPrefix(text, "+")
	if signed && isDigit(byteAt(number, 0)) {
		return number
	}
	return text
}

// WrittenAmount reads an amount as people write it, with mark (a comma or a point) before its decimals and
// perhaps something between its thousands: 575,40 or 1.234,50 or -1 234,50 with a comma for mark. It is
// exact.
//
// Thousands are set off three by three, and by one and the same character. Otherwise nobody can tell what
// is meant, as with 575.40 where a comma is the mark, and then it is not ok.
func WrittenAmount(text, mark string) (a finance.Amount, ok bool) {
	whole, fraction, broken := strings.Cut(strings.TrimSpace(text), mark)
	sign, whole := signOf(whole)
	whole, ok = together(whole, mark)
	if !ok || !isDigits(whole) || broken && !isDigits(fraction) {
		return finance.Amount{}, false
	}
	number := sign + whole
	if broken {
		number += "." + fraction
	}
	return exact(number)
}

// signOf takes the sign off a number. Some write the minus of typography (U+2212).
func signOf(text string) (sign, rest string) {
	for _, minus := range []string{"-", "\u2212"} {
		if after, found := strings.CutPrefix(text, minus); found {
			return "-", strings.TrimSpace(after)
		}
	}
	return "", strings.TrimSpace(strings.TrimPrefix(text, "+"))
}

// together is a whole number without what sets off its thousands.
func together(whole, mark string) (digits string, ok bool) {
	for _, separator := range []string{".", ",", " ", "\u00a0", "\u202f", "'", "\u2019"} {
		groups := strings.Split(whole, separator)
		if separator == mark || len(groups) == 1 {
			continue
		}
		if !areThousands(groups) {
			return "", false
		}
		return strings.Join(groups, ""), true
	}
	return whole, true
}

// areThousands says that groups of digits have three each, and the first one no more.
func areThousands(groups []string) bool {
	for _, group := range groups[1:] {
		if len(group) != 3 {
			return false
		}
	}
	first := groups[0]
	return first != "" && len(first) <= 3
}

func isDigits(text string) bool { return text != "" && digitsEnd(text, 0) == len(text) }
