package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"syncer/persist/read"
)

// Off a terminal a run that waits for long says so, once, and again when it waits for much longer.
func TestALongWaitIsToldOffATerminal(t *testing.T) {
	var told bytes.Buffer
	p := &progress{program: New(nil, &told, &told, func(string) (string, bool) { return "", false }, Setup{})}
	now := time.Now()
	for _, until := range []time.Duration{0, 10 * time.Second, time.Hour, time.Hour + 5*time.Second, 2 * time.Hour} {
		p.Show(read.Report{ParkedUntil: now.Add(until)})
	}
	if n := strings.Count(told.String(), "parked until"); n != 2 {
		t.Errorf("%d lines, want one for an hour and one for two:\n%s", n, told.String())
	}
}

// Programs that read the report of `run --json` find nothing else on standard output.
func TestProgressIsNoPartOfTheDocument(t *testing.T) {
	var out, told bytes.Buffer
	program := New(nil, &out, &told, func(string) (string, bool) { return "", false }, Setup{})
	program.json = true
	p := &progress{program: program}
	p.Show(read.Report{})
	if out.Len() != 0 || !strings.Contains(told.String(), `"event":"progress"`) {
		t.Errorf("standard output: %q, standard error: %q", out.String(), told.String())
	}
}
