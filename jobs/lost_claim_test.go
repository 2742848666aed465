package jobs_test

import (
	"testing"

	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/persist/queue"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// A claim is committed, and the line breaks before the worker hears of it. The lease is the process's, so the
// batch would be its own, and nobody's work, for as long as the process lives.
func TestAClaimWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 3}, banksim.Options{})
	l.importNG(3)
	pool, way := persisttest.Freezable(t, l.db.URL, pg.Options{})
	n := l.start(nodeOptions{pool: pool})
	way.LoseCommit("state = 'working',")
	r := l.settled(n, l.fire(n, debt))
	if r.Run.Verdict != queue.VerdictComplete {
		t.Errorf("%s: %+v", r.Run.Verdict, r.NotComplete)
	}
	if n := l.number("SELECT max(claims) FROM batches"); n != 2 {
		t.Errorf("the batch was claimed %d times, want twice: no answer was lost", n)
	}
	l.kept()
}
