package jobs_test

import (
	"testing"
	"time"

	"syncer/persist/queue"
	"syncer/sandbox"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// A process that is told which runs to work leaves the others alone, and brings home what it has in hand when it leaves.
func TestOnlyTheNamedRunsAreWorked(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 6}, banksim.Options{})
	l.importNG(6)
	n := l.start(nodeOptions{only: true, batchSize: 2, drain: 200 * time.Millisecond})
	other, mine := l.fire(n, debt), l.fire(n, debt)
	n.WorkRuns([]queue.Run{mine})
	if r := l.settled(n, mine); r.Run.Verdict != queue.VerdictComplete || r.Batches.Done != 3 {
		t.Errorf("%s: %+v", r.Run.Verdict, r.Batches)
	}
	if done := l.number("SELECT count(*) FROM batches WHERE run_id = $1 AND (state <> 'pending' OR claims > 0)", other.ID); done != 0 {
		t.Errorf("%d batches of the other run were worked", done)
	}

	l.fault(sandbox.Rule{Template: debtTemplate, Action: sandbox.Action{Kind: sandbox.Hang}})
	n.WorkRuns([]queue.Run{other})
	l.eventually("a call hangs", func() bool {
		return l.number("SELECT count(*) FROM batches WHERE run_id = $1 AND state = 'working'", other.ID) > 0
	})
	began := time.Now()
	n.stop() // the drain is over before the call's timeout
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("leaving took %s", took)
	}
	if held := l.number("SELECT count(*) FROM batches WHERE holder IS NOT NULL AND state = 'working'"); held != 0 {
		t.Errorf("%d batches were not given back", held)
	}
}
