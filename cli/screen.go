package cli

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/term"

	"syncer/config"
	"syncer/report/text"
)

// screen is a stream that knows how wide it is while it is a terminal. A terminal may be made wider meanwhile, so it is
// asked each time.
type screen struct {
	io.Writer
	env    config.Env
	failed *error // where the first error of a write is kept; nil: nowhere
}

var _ text.Screen = screen{}

// Write implements io.Writer. Nearly nobody looks at the error of a line that is printed, so it is kept.
func (s screen) Write(p []byte) (int, error) {
	n, err := s.Writer.Write(p)
	if err != nil && s.failed != nil && *s.failed == nil {
		*s.failed = err
	}
	return n, err
}

// Columns is the terminal's width: what COLUMNS says, or else what the terminal says itself. 0: it is no terminal.
func (s screen) Columns() int {
	if !isTerminal(s.Writer) {
		return 0
	}
	said, _ := s.env("COLUMNS")
	if n, err := strconv.Atoi(said); err == nil && n > 0 {
		return n
	}
	n, _, err := term.GetSize(int(s.Writer.(*os.File).Fd()))
	if err != nil || n <= 0 {
		return text.Width
	}
	return n
}

// isTerminal says whether w is a screen with somebody before it.
func isTerminal(w io.Writer) bool {
	if s, ok := w.(*spout); ok {
		w = s.of
	}
	if s, ok := w.(screen); ok {
		w = s.Writer
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
