package cli

import (
	"cmp"
	"io"
	"sync"

	"syncer/config"
	"syncer/report/text"
)

// liveLine is the last line of a terminal, rewritten in place. Everything else that goes to stderr is written through
// it, so that a log line stands above it instead of in the middle of it. Off a terminal it only passes on.
type liveLine struct {
	on bool

	mu   sync.Mutex
	w    io.Writer
	text string
}

func newLiveLine(w io.Writer, env config.Env) *liveLine {
	kind, _ := env("TERM")
	return &liveLine{on: isTerminal(w) && kind != "dumb", w: w}
}

const eraseLine = "\r\x1b[K"

// Write passes p on, above the live line.
func (l *liveLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text == "" {
		return l.w.Write(p)
	}
	if _, err := io.WriteString(l.w, eraseLine); err != nil {
		return 0, err
	}
	n, err := l.w.Write(p)
	if err == nil {
		_, err = io.WriteString(l.w, l.text)
	}
	return n, err
}

// Columns is how wide the terminal is, 0 off one.
func (l *liveLine) Columns() int {
	if s, ok := l.w.(text.Screen); ok {
		return s.Columns()
	}
	return 0
}

// show puts a text on the live line.
func (l *liveLine) show(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.on || line == l.text {
		return
	}
	l.text = text.Shorten(text.Printable(line), cmp.Or(l.Columns(), text.Width)-1) // a line that reaches the edge wraps, and then it can't be erased
	_, _ = io.WriteString(l.w, eraseLine+l.text)
}

// clear removes the live line.
func (l *liveLine) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text != "" {
		l.text = ""
		_, _ = io.WriteString(l.w, eraseLine)
	}
}
