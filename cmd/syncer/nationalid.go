package main

import (
	"errors"
	"strings"
	"time"
)

// normalNationalID takes the spaces out that people write between date and number.
func normalNationalID(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), " ", "") }

// checkNationalID says whether s is a Norwegian national identity number: eleven digits, a date and two check digits
// (Folkeregisteret). D numbers (day + 40) and the synthetic numbers of test registers (month + 40 or + 80) count. The
// error never repeats any of it.
func checkNationalID(s string) error {
	if len(s) != 11 || strings.Trim(s, "0123456789") != "" {
		return errors.New("the national id is not eleven digits")
	}
	var d [11]int
	for i := range d {
		d[i] = int(s[i] - '0')
	}
	if d[9] != checkDigit(d[:9], 3, 7, 6, 1, 8, 9, 4, 5, 2) || d[10] != checkDigit(d[:10], 5, 4, 3, 2, 7, 6, 5, 4, 3, 2) {
		return errors.New("the national id's check digits are wrong")
	}
	day, month, year := d[0]*10+d[1], d[2]*10+d[3], d[4]*10+d[5]
	if day > 40 {
		day -= 40
	}
	switch {
	case month > 80:
		month -= 80
	case month > 40:
		month -= 40
	}
	// The century stands in the individual number; 2000 is a leap year and 1900 was not, so the 29th is judged by 2000.
	t := time.Date(2000+year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if month < 1 || month > 12 || day < 1 || t.Day() != day {
		return errors.New("the national id holds no date")
	}
	return nil
}

// checkDigit is the modulus 11 digit; 10 for numbers that are never given out.
func checkDigit(digits []int, weights ...int) int {
	sum := 0
	for i, w := range weights {
		sum += digits[i] * w
	}
	return (11 - sum%11) % 11
}
