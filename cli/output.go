package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"syncer/config"
	"syncer/report/text"
)

// document prints one JSON document.
func (p *Program) document(v any) error {
	enc := json.NewEncoder(p.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// line prints one JSON line.
func (p *Program) line(v any) error { return writeLine(p.out, v) }

func writeLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// say prints a line for a person, broken where the screen ends.
func (p *Program) say(format string, args ...any) {
	fmt.Fprintln(p.out, text.Fit(p.out, fmt.Sprintf(format, args...)))
}

// did prints a line about what was done for a person; with --json the document tells it.
func (p *Program) did(format string, args ...any) {
	if !p.json {
		p.say(format, args...)
	}
}

// hint prints a line for a person where scripts don't read; it is silent with --json.
func (p *Program) hint(format string, args ...any) {
	if !p.json {
		fmt.Fprintln(p.live, text.Fit(p.live, fmt.Sprintf(format, args...)))
	}
}

// painter colours on terminals only, and never when NO_COLOR is set (no-color.org).
func painter(w io.Writer, env config.Env) text.Paint {
	off, _ := env("NO_COLOR")
	kind, _ := env("TERM")
	return text.Paint{On: off == "" && kind != "dumb" && isTerminal(w)}
}
