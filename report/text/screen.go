package text

import "io"

// Screen is a writer that knows how many columns it has, as a terminal does. What is written to any other writer may go
// into a file or to another program: no table is cut there, and paragraphs have [Width].
type Screen interface {
	io.Writer
	// Columns is how wide it is just now; 0: it is no screen.
	Columns() int
}

// Width is how wide paragraphs are where there is no screen: one that is pasted into a ticket can be read there.
const Width = 80

const (
	leastColumns = 20  // a narrower screen is taken for one of these: there would be no room for a word
	widestProse  = 120 // lines that are longer are hard to read, however much room there is
)

// columns is how wide the screen is that w is; 0: it is none.
func columns(w io.Writer) int {
	s, ok := w.(Screen)
	if !ok {
		return 0
	}
	if n := s.Columns(); n > 0 {
		return max(n, leastColumns)
	}
	return 0
}

// Short is a text that is cut to at most n runes where there is a screen, and whole where there is none.
func Short(w io.Writer, s string, n int) string {
	if columns(w) == 0 {
		return Printable(s)
	}
	return Shorten(Printable(s), n)
}

// Prose is how wide paragraphs are on w.
func Prose(w io.Writer) int {
	n := columns(w)
	if n == 0 {
		return Width
	}
	return min(n, widestProse)
}
