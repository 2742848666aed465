package main

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"syncer/config"
	"syncer/persist"
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

// show puts a text on the live line.
func (l *liveLine) show(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.on || text == l.text {
		return
	}
	l.text = shorten(printable(text), screenWidth-1) // a line that reaches the edge wraps, and then it can't be erased
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

// progress shows a run's reports as they come: on a terminal one live line, with --json a JSON line for each, and
// otherwise a plain line whenever another tenth of the items is decided.
type progress struct {
	app  *app
	told int // tenths
	last string
}

// show tells what is known of a run now.
func (p *progress) show(r persist.Report) {
	switch text := progressLine(r); {
	case p.app.json:
		if text != p.last {
			_ = p.app.line(progressJSON(r))
		}
		p.last = text
	case p.app.live.on:
		p.app.live.show(text)
	default:
		if t := tenths(r); t != p.told {
			p.told = t
			p.app.hint("%s", text)
		}
	}
}

func tenths(r persist.Report) int {
	done, all := decided(r)
	if all == 0 {
		return 0
	}
	return done * 10 / all
}

// decided counts the items of a report that have an outcome, and all of them.
func decided(r persist.Report) (done, all int) {
	for _, c := range r.Counts {
		all += c.Expected
		done += c.Expected - c.Missing
	}
	return done, all
}

// progressLine is where a run stands, on one line.
func progressLine(r persist.Report) string {
	done, all := decided(r)
	parts := []string{fmt.Sprintf("run %d %s", r.Run.ID, r.Run.Job), fmt.Sprintf("%s/%s items", thousands(done), thousands(all)), count(r.Calls, "call")}
	failed, records := 0, 0
	for _, c := range r.Counts {
		failed += c.Failed
		records += c.Records
	}
	parts = append(parts, count(records, "record"))
	if failed > 0 {
		parts = append(parts, thousands(failed)+" failed")
	}
	if r.Pauses > 0 {
		parts = append(parts, count(r.Pauses, "pause"))
	}
	if !r.ParkedUntil.IsZero() && r.Run.Verdict == "" {
		parts = append(parts, "parked until "+clock(r.ParkedUntil))
	}
	parts = append(parts, took(r.Wall))
	return strings.Join(parts, " · ")
}
