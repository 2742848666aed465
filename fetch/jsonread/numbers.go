package jsonread

import "strconv"

// largestExponent bounds the numbers that have no column. Postgres takes larger ones, but not all that JSON
// can write, and of 1e100000 it keeps a hundred thousand digits.
const largestExponent = 1000

// HasHugeNumber says whether a JSON text that a Scanner has checked holds a number with an exponent above 1000 or below
// -1000.
func HasHugeNumber(text []byte) bool {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			i = stringEnd(text, i+1)
		case c == 'e' || c == 'E':
			isExponent := i > 0 && isDigit(text[i-1]) // and no letter of true or false
			if isExponent && tooLarge(text[i+1:]) {
				return true
			}
		}
	}
	return false
}

// tooLarge says whether the exponent that a text begins with is beyond largestExponent.
func tooLarge(text []byte) bool {
	end := 0
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		end = 1
	}
	for end < len(text) && isDigit(text[end]) {
		end++
	}
	n, err := strconv.Atoi(string(text[:end]))
	return err != nil || n > largestExponent || n < -largestExponent
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }
