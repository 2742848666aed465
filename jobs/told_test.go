package jobs_test

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"syncer/persist/queue"
	"syncer/sandbox"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// A night in which every item fails alike is a few lines for each batch and one for the run, and all of the items are
// there at level debug.
func TestTheLogTellsItemsThatFailAlikeTogether(t *testing.T) {
	t.Parallel()
	consents := 300
	if n, err := strconv.Atoi(os.Getenv("ALIKE")); err == nil { // to measure with more
		consents = n
	}
	const batch = 100
	l := newLab(t, ngsim.Options{Consents: consents}, banksim.Options{})
	l.importNG(consents)
	l.fault(sandbox.Rule{Template: debtTemplate, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 422}})
	var all bytes.Buffer
	n := l.start(nodeOptions{batchSize: max(batch, consents/100), concurrency: 8, log: zerolog.New(zerolog.SyncWriter(&all))})
	r := l.run(n, debt)
	n.stop()
	if r.Run.Verdict != queue.VerdictFailed || r.Causes.Items != consents || len(r.Causes.List) != 1 {
		t.Fatalf("%s: %+v", r.Run.Verdict, r.Causes)
	}
	var log []string
	debugged := 0
	for line := range strings.Lines(all.String()) {
		if strings.Contains(line, `"level":"debug"`) {
			debugged += strings.Count(line, `"message":"item decided"`)
			continue
		}
		log = append(log, line)
	}
	text := strings.Join(log, "")
	batches := r.Batches.Done
	has := func(what string, want int) {
		t.Helper()
		if n := strings.Count(text, what); n != want {
			t.Errorf("the log has %d times %s, want %d", n, what, want)
		}
	}
	has(`"message":"item decided"`, 3*batches)
	has(fmt.Sprintf(`"more":%d,`, consents/batches-3), batches)
	has(fmt.Sprintf(`"items":%d,`, consents), 2) // planned, and for the one cause of the run
	has(`items are not complete for one cause`, 1)
	if debugged != consents-3*batches {
		t.Errorf("%d items are told at level debug, want the other %d", debugged, consents-3*batches)
	}
	if len(text) > (batches+1)*3000 {
		t.Errorf("the log has %d bytes:\n%s", len(text), text)
	}
	t.Logf("%d items in %d batches: %d lines, %d bytes of log", consents, batches, len(log), len(text))
}

// Statuses that nobody tells are as many as there are consents, and the log has a few of them, and their number.
func TestTheLogTellsAFewUnknownStatuses(t *testing.T) {
	t.Parallel()
	const consents = 12
	l := newLab(t, ngsim.Options{Consents: consents}, banksim.Options{})
	l.importNG(consents)
	var log safeBuffer
	n := l.start(nodeOptions{log: zerolog.New(&log).Level(zerolog.InfoLevel)})
	if _, err := n.SyncConsents(t.Context(), ng); err != nil {
		t.Fatal(err)
	}
	l.forgetFeed("8 days")
	l.fault(sandbox.Rule{Template: statusTemplate, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 422}})
	if _, err := n.SyncConsents(t.Context(), ng); err != nil {
		t.Fatal(err)
	}
	told := strings.Count(log.String(), "the status of the consent is not known")
	if told != 3 || !strings.Contains(log.String(), `"unknown":12,`) {
		t.Errorf("%d of %d unknown statuses are told: %s", told, consents, log.String())
	}
}
