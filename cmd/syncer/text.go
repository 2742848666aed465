package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// screenWidth is what every table and every paragraph fits into, whatever the terminal's own width is: a report that
// is pasted into a ticket looks as it looked.
const screenWidth = 80

// printable makes a text safe for a terminal. Providers' words end up on screens, and an escape sequence among them
// could move the cursor, change the title or hide a line; so could a character that turns the writing direction.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == utf8.RuneError, unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return '·'
		}
		return r
	}, s)
}

// shorten cuts a text to at most n runes and marks the cut.
func shorten(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	if n <= 1 {
		return strings.Repeat("…", max(n, 0))
	}
	runes := []rune(s)
	return string(runes[:n-1]) + "…"
}

// wrapped breaks a text into lines that begin with indent and end before the screen does.
func wrapped(indent, s string) []string {
	lines := wrap(s, screenWidth-utf8.RuneCountInString(indent))
	for i := range lines {
		lines[i] = indent + lines[i]
	}
	return lines
}

// wrap breaks a text at spaces into lines of at most width runes. A word that is longer than a line is cut in pieces
// rather than lost: it may be the correlation id.
func wrap(s string, width int) []string {
	var lines []string
	line := []rune{}
	end := func() {
		if len(line) > 0 {
			lines, line = append(lines, string(line)), nil
		}
	}
	for _, word := range strings.Fields(printable(s)) {
		runes := []rune(word)
		if len(line) > 0 && len(line)+1+len(runes) <= width {
			line = append(append(line, ' '), runes...)
			continue
		}
		end()
		for ; len(runes) > width; runes = runes[width:] {
			lines = append(lines, string(runes[:width]))
		}
		line = runes
	}
	end()
	return lines
}

// count writes a number with its noun: 1 call, 2 calls, 12,345 calls.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return thousands(n) + " " + noun
}

// thousands writes a number with commas, because 1204331 is read wrong at night.
func thousands(n int) string {
	digits := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// took writes a duration with as many digits as a person reads.
func took(d time.Duration) string {
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

// clock writes an instant in UTC, as the tables and logs do; nothing for none.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// listed joins names for an error; a list without any says so.
func listed[T any](names []T) string {
	if len(names) == 0 {
		return "none"
	}
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = fmt.Sprint(n)
	}
	return strings.Join(parts, ", ")
}
