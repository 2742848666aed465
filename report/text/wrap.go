package text

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable makes a text safe for a terminal. Providers' words end up on screens, and an escape sequence among them
// could move the cursor, change the title or hide a line; so could a character that turns the writing direction.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == utf8.RuneError, unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return '·'
		}
		return r
	}, s)
}

// Shorten cuts a text to at most n runes and marks the cut.
func Shorten(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	if n <= 1 {
		return strings.Repeat("…", max(n, 0))
	}
	runes := []rune(s)
	return string(runes[:n-1]) + "…"
}

// Lines breaks a text into lines that begin with indent and end before the screen does that w is, see Prose.
func Lines(w io.Writer, indent, s string) []string {
	lines := Wrap(s, Prose(w)-utf8.RuneCountInString(indent))
	for i := range lines {
		lines[i] = indent + lines[i]
	}
	return lines
}

// Paragraph is a text in lines that begin with indent and end before the screen does that w is.
func Paragraph(w io.Writer, indent, s string) string { return strings.Join(Lines(w, indent, s), "\n") }

// Fit breaks the lines of a text that are wider than the screen that w is, and keeps their indent. A line of one word and an
// indented command stay whole, since they are copied from here; where there is no screen all do.
func Fit(w io.Writer, s string) string {
	screen := columns(w)
	if screen == 0 {
		return s
	}
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		said := strings.TrimLeft(line, " ")
		indent := line[:len(line)-len(said)]
		painted := strings.Contains(line, "\x1b")
		command := indent != "" && (strings.HasPrefix(said, "syncer ") || strings.HasPrefix(said, "export "))
		if utf8.RuneCountInString(line) > screen && strings.Contains(said, " ") && !painted && !command {
			lines[i] = Paragraph(w, indent, said)
		}
	}
	return strings.Join(lines, "\n")
}

// Wrap breaks a text at spaces into lines of at most width runes. A word that is longer than a line is cut in pieces
// rather than lost: it may be the correlation id. A command in backticks is never broken, since it is copied from here: one
// that is longer than a line has a line of its own.
func Wrap(s string, width int) []string {
	var lines []string
	line := []rune{}
	end := func() {
		if len(line) > 0 {
			lines = append(lines, string(line))
			line = nil
		}
	}
	for _, word := range unbroken(Printable(s)) {
		runes := []rune(word)
		if len(line) > 0 && len(line)+1+len(runes) <= width {
			line = append(append(line, ' '), runes...)
			continue
		}
		end()
		for ; len(runes) > width && !strings.Contains(word, aCommand); runes = runes[width:] {
			lines = append(lines, string(runes[:width]))
		}
		line = runes
	}
	end()
	return lines
}

// aCommand is what a command in a text begins with.
const aCommand = "`syncer "

// unbroken splits a text at its spaces. A command in backticks is one word, with what sticks to it, such as a bracket or a
// full stop.
func unbroken(s string) (words []string) {
	for {
		before, behind, found := strings.Cut(s, aCommand)
		command, rest, closed := strings.Cut(behind, "`")
		if !found || !closed {
			return append(words, strings.Fields(s)...)
		}
		sticks := strings.LastIndexByte(before, ' ') + 1
		ends := strings.IndexByte(rest+" ", ' ')
		words = append(words, strings.Fields(before[:sticks])...)
		words = append(words, before[sticks:]+aCommand+command+"`"+rest[:ends])
		s = rest[ends:]
	}
}
