package finance

import (
	"fmt"
	"time"
)

// Date is a calendar day without a time zone, counted in days since 1 January of year 1. The zero Date means
// "not given"; 0001-01-01 itself can't be expressed, and no provider speaks of it.
//
// A booking date is a date, not an instant: reading one as midnight somewhere moves it by a day somewhere else.
type Date int32

const epochDays = 719162 // days from 0001-01-01 to 1970-01-01

// NewDate makes a Date. Months and days outside their range are normalised as by [time.Date].
func NewDate(year int, month time.Month, day int) Date {
	return DateOf(time.Date(year, month, day, 0, 0, 0, 0, time.UTC))
}

// DateOf is the calendar day on which t falls in t's own location.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix()/86400 + epochDays)
}

// StartIn is the instant at which the day begins in a zone.
func (d Date) StartIn(zone *time.Location) time.Time {
	year, month, day := d.Time().Date()
	return time.Date(year, month, day, 0, 0, 0, 0, zone)
}

// ParseDate reads the first ten characters of s as YYYY-MM-DD and ignores what follows, because several providers
// write a day as a naive local midnight (2026-01-05T00:00:00). An empty s is the zero Date.
func ParseDate[T string | []byte](s T) (Date, error) {
	if len(s) == 0 {
		return 0, nil
	}
	y, m, d, ok := parts(s)
	if !ok || y < 1 || !mayBeDay(m, d) {
		return 0, fmt.Errorf("%.12q is not a date: want YYYY-MM-DD", string(s))
	}
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	if t.Day() != d {
		return 0, fmt.Errorf("%.12q is not a date: the month has no such day", string(s))
	}
	return Date(t.Unix()/86400 + epochDays), nil
}

// parts are the year, the month and the day of a text that begins as YYYY-MM-DD.
func parts[T string | []byte](s T) (year, month, day int, ok bool) {
	if len(s) < 10 {
		return 0, 0, 0, false
	}
	if s[4] != '-' || s[7] != '-' {
		return 0, 0, 0, false
	}
	year, okYear := digits(s[0:4])
	month, okMonth := digits(s[5:7])
	day, okDay := digits(s[8:10])
	return year, month, day, okYear && okMonth && okDay
}

func digits[T string | []byte](s T) (int, bool) {
	n := 0
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// IsZero says that no date was given.
func (d Date) IsZero() bool { return d == 0 }

// Time is midnight UTC of the day, for libraries that carry days as instants.
func (d Date) Time() time.Time { return time.Unix((int64(d)-epochDays)*86400, 0).UTC() }

// AddDays moves the date; a zero Date stays zero.
func (d Date) AddDays(n int) Date {
	if d == 0 {
		return 0
	}
	return d + Date(n)
}

// String is YYYY-MM-DD, or the empty string for the zero Date.
func (d Date) String() string {
	if d == 0 {
		return ""
	}
	return d.Time().Format(time.DateOnly)
}

// MarshalText writes the date as String does.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Date) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDate(b)
	return err
}
