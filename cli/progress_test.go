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
