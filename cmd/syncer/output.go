package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"syncer/config"
)

// document prints one JSON document.
func (a *app) document(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// line prints one JSON line.
func (a *app) line(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// say prints a line for a person.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.out, format+"\n", args...) }

// hint prints a line for a person where scripts don't read; it is silent with --json.
func (a *app) hint(format string, args ...any) {
	if !a.json {
		fmt.Fprintf(a.live, format+"\n", args...)
	}
}

// isTerminal says whether w is a screen with somebody before it.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// paint is how words are coloured; the zero value doesn't.
type paint struct{ on bool }

// painter colours on terminals only, and never when NO_COLOR is set (no-color.org).
func painter(w io.Writer, env config.Env) paint {
	off, _ := env("NO_COLOR")
	kind, _ := env("TERM")
	return paint{on: off == "" && kind != "dumb" && isTerminal(w)}
}

func (p paint) wrap(code, s string) string {
	if !p.on {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p paint) good(s string) string { return p.wrap("32", s) }
func (p paint) warn(s string) string { return p.wrap("33", s) }
func (p paint) bad(s string) string  { return p.wrap("31", s) }
func (p paint) bold(s string) string { return p.wrap("1", s) }
