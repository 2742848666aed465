package finance

import (
	"strings"
	"time"
)

// IsNationalID says whether a text is a Norwegian national identity number: eleven digits with both mod-11 control
// digits right. Synthetic numbers, with 40 or 80 added to the month, count too.
//
// There are only some 38 million valid ones, so a text that passes is taken for one and kept out of keys and logs.
func IsNationalID(s string) bool {
	if len(s) != 11 {
		return false
	}
	var d [11]int
	for i := range d {
		if !isDigit(s[i]) {
			return false
		}
		d[i] = int(s[i] - '0')
	}
	month := (d[2]*10 + d[3]) % 40
	day := (d[0]*10 + d[1]) % 40 // D-numbers add 40 to the day
	if !mayBeDay(month, day) {
		return false
	}
	control := func(weights ...int) bool {
		sum := 0
		for i, w := range weights {
			sum += w * d[i]
		}
		return sum%11 == 0
	}
	return control(3, 7, 6, 1, 8, 9, 4, 5, 2, 1) && control(5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)
}

// mayBeDay says that some month with the number has a day with the other.
func mayBeDay(month, day int) bool { return within(month, 1, 12) && within(day, 1, 31) }

func within(n, least, most int) bool { return n >= least && n <= most }

func isDigit(b byte) bool { return b-'0' <= 9 }

// IsPersonnummer says whether a text is a Swedish personal identity number (Skatteverket, SKV 704): YYYYMMDDNNNN or
// YYMMDDNNNN, with or without a hyphen or a plus sign before the last four digits, of a day that the calendar has, and
// with the right check digit (Luhn, over the last ten digits). A coordination number, with 60 added to the day, counts
// too. The number of a Swedish company never does: its third digit is at least 2, so that it names no month.
func IsPersonnummer(s string) bool {
	digits := bareDigits(s)
	if digits == "" {
		return false
	}
	return realDay(digits) && luhn(digits[len(digits)-10:])
}

// FullPersonnummer is a Swedish personal identity number as its twelve digits, which name the century. It is false
// for ten digits: whoever is called 17 there may have been born in 1917 or in 2017, and the sign between the parts,
// which tells, is often left out or wrong.
func FullPersonnummer(s string) (digits string, ok bool) {
	digits = bareDigits(s)
	return digits, len(digits) == 12 && IsPersonnummer(s)
}

// bareDigits is the text without the sign before its last four digits; empty unless ten or twelve digits remain.
func bareDigits(s string) string {
	if n := len(s) - 5; n >= 0 && isSign(s[n]) {
		s = s[:n] + s[n+1:]
	}
	switch len(s) {
	case 10, 12:
		if strings.Trim(s, "0123456789") == "" {
			return s
		}
	}
	return ""
}

// isSign says that a byte may part the day of birth from what follows it.
func isSign(b byte) bool { return b == '-' || b == '+' }

// realDay says whether ten or twelve digits begin with a day that a living person can have been born on. Without a
// century, the 29th of February counts if any century has it.
func realDay(digits string) bool {
	if len(digits) == 10 {
		return realDay("19"+digits) || realDay("20"+digits)
	}
	switch digits[:2] {
	case "18", "19", "20":
	default:
		return false
	}
	day := []byte(digits[:8])
	if day[6] >= '6' { // a coordination number
		day[6] -= 6
	}
	_, err := time.Parse("20060102", string(day))
	return err == nil
}

// luhn says whether ten digits sum up as ISO/IEC 7812-1 says: every second one doubled, from the first on.
func luhn(digits string) bool {
	sum := 0
	for i := range len(digits) {
		d := int(digits[i] - '0')
		if i%2 == 0 {
			d *= 2
		}
		sum += d/10 + d%10
	}
	return sum%10 == 0
}

// HoldsNationalID says whether a part of the text is a national identity number, Norwegian or Swedish, also one that is
// written with a blank, a point or a dash behind the day of birth.
func HoldsNationalID(text string) bool {
	for i := range len(text) {
		if beginsInTwo(text[i:]) {
			return true
		}
		for _, n := range []int{10, 11, 12, 13} {
			if i+n > len(text) {
				break
			}
			if part := text[i : i+n]; IsNationalID(part) || IsPersonnummer(part) {
				return true
			}
		}
	}
	return false
}

// beginsInTwo says that a text begins with a Norwegian number in two parts.
func beginsInTwo(text string) bool {
	if len(text) < 12 {
		return false
	}
	if !strings.ContainsRune(" .-", rune(text[6])) {
		return false
	}
	return IsNationalID(text[:6] + text[7:12])
}
