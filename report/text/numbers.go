package text

import (
	"fmt"
	"strings"
	"time"
)

// Count writes a number with its noun: 1 call, 2 calls, 12,345 calls.
func Count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return Thousands(n) + " " + noun
}

// Thousands writes a number with commas, because 1204331 is read wrong at night.
func Thousands(n int) string {
	digits := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign = "-"
		digits = digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// CountIs is "1 item is" or "3 items are".
func CountIs(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return Count(n, noun) + " are"
}

// AreSo is "1 is" or "3 are".
func AreSo(n int) string {
	if n == 1 {
		return "1 is"
	}
	return Thousands(n) + " are"
}

// IsOrAre is the verb behind a number.
func IsOrAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// CountHave is "1 consent has" or "3 consents have".
func CountHave(n int, noun string) string {
	has := "have"
	if n == 1 {
		has = "has"
	}
	if strings.HasPrefix(noun, "of ") {
		return Thousands(n) + " " + noun + " " + has
	}
	return Count(n, noun) + " " + has
}

// CountWas is "1 was" or "3 were".
func CountWas(n int) string {
	if n == 1 {
		return "1 was"
	}
	return Thousands(n) + " were"
}

// List joins names for an error; a list without any says so.
func List[T any](names []T) string {
	if len(names) == 0 {
		return "none"
	}
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = fmt.Sprint(n)
	}
	return strings.Join(parts, ", ")
}

// Took writes a duration with as many digits as a person reads.
func Took(d time.Duration) string {
	switch {
	case d <= 0:
		return "0s"
	case d < time.Second:
		return max(d.Round(time.Millisecond), time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Clock writes an instant in UTC, as the tables and logs do; nothing for none.
func Clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
