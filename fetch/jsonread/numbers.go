package jsonread

import (
	"bytes"
	"strconv"
)

// largestExponent bounds the numbers that have no column. Postgres takes larger ones, but not all that JSON
// can write, and of 1e100000 it keeps a hundred thousand digits.
const largestExponent = 1000

// HasHugeNumber says whether a JSON text that a Scanner has checked holds a number with an exponent above 1000 or below
// -1000.
func HasHugeNumber(text []byte) bool {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = stringEnd(text, i+1)
		case 'e', 'E':
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
	behind := bytes.TrimLeft(text, "+-0123456789")
	written := text[:len(text)-len(behind)]
	n, err := strconv.Atoi(string(written))
	if err != nil {
		return true
	}
	return n > largestExponent || n < -largestExponent
}

func isDigit(b byte) bool { return b-'0' <= 9 }
