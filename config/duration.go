package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// Duration is a length of time as people write it in the file: Go's syntax (90s, 1h30m) plus d for
// days of 24 hours and w for weeks. It is never negative.
type Duration time.Duration

// Std returns d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String returns the shortest form that ParseDuration reads back as the same value; whole days come out as days.
func (d Duration) String() string {
	std := time.Duration(d)
	if std == 0 {
		return "0"
	}
	if std%day == 0 {
		return strconv.FormatInt(int64(std/day), 10) + "d"
	}
	s := std.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes String's form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}

// ParseDuration reads a duration of one or more number-and-unit pairs, units ns, us, ms, s, m, h, d and w,
// such as 30s, 1h30m, 10d or 1w2d. A lone 0 needs no unit. Signs, other bare numbers and anything beyond
// 292 years are refused.
func ParseDuration(text string) (time.Duration, error) {
	if text == "0" {
		return 0, nil
	}
	if text == "" {
		return 0, fmt.Errorf("want a duration such as 30s or 10d, got nothing")
	}
	var total time.Duration
	for rest := text; rest != ""; {
		number, unit, after := durationPart(rest)
		if unit == "" && after == "" && number != "" {
			return 0, fmt.Errorf("%q has no unit: write 30s, 5m, 2h, 10d or 1w", text)
		}
		part, err := durationOf(number, unit)
		if err != nil || part > math.MaxInt64-total {
			return 0, fmt.Errorf("%q is not a duration: write 30s, 5m, 2h, 10d or 1w", text)
		}
		total = total + part
		rest = after
	}
	return total, nil
}

// durationPart cuts the first number and its unit off text. A part that is no number ends up with an empty
// number, which durationOf refuses.
func durationPart(text string) (number, unit, rest string) {
	i := 0
	for i < len(text) && isOfNumber(text[i]) {
		i++
	}
	j := i
	for j < len(text) && !isOfNumber(text[j]) {
		j++
	}
	return text[:i], text[i:j], text[j:]
}

func durationOf(number, unit string) (time.Duration, error) {
	switch unit {
	case "d":
		return scaled(number, day)
	case "w":
		return scaled(number, week)
	}
	if number == "" {
		return 0, strconv.ErrSyntax
	}
	return time.ParseDuration(number + unit)
}

// scaled is number x unit, by whole numbers where it can be: a float would blur large day counts.
func scaled(number string, unit time.Duration) (time.Duration, error) {
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		if n > int64(math.MaxInt64/unit) {
			return 0, strconv.ErrRange
		}
		return time.Duration(n) * unit, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, err
	}
	if f *= float64(unit); f >= math.MaxInt64 {
		return 0, strconv.ErrRange
	}
	return time.Duration(f), nil
}

// isOfNumber says that a byte stands in a number.
func isOfNumber(b byte) bool { return b == '.' || b-'0' <= 9 }
