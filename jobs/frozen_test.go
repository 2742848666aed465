package jobs_test

import (
	"testing"
	"time"

	"syncer/persist/persisttest"
	"syncer/persist/pg"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// D11, of the connections alone: all that there are go silent, and nobody closes them. The process keeps its lease, goes
// on over new ones, and leaves in time.
func TestSilentConnectionsStopNoProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("waits half a minute for connections that say nothing")
	}
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 60}, banksim.Options{})
	l.importNG(60)
	// Shorter than in life, so that silence is soon noticed; and so long that a busy machine does not interrupt a batch again and
	// again, which then waits for longer each time.
	pool, way := persisttest.Freezable(t, l.db.URL, pg.Options{StatementTimeout: 3 * time.Second})
	n := l.start(nodeOptions{pool: pool, drain: time.Second})
	run := l.fire(n, debt)
	l.eventually("the run is on its way", func() bool { return l.number("SELECT count(*) FROM calls") > 5 })
	way.Freeze()
	l.eventuallyWithin(3*time.Minute, "the run is settled", func() bool {
		return l.number("SELECT count(*) FROM runs WHERE id = $1 AND verdict IS NOT NULL", run.ID) == 1
	})
	if n := l.number("SELECT count(*) FROM effective_items WHERE root_run = $1 AND outcome NOT IN ('rows', 'empty')", run.ID); n > 0 {
		t.Errorf("%d items are not proven", n)
	}
	if n := l.number("SELECT count(*) FROM workers WHERE expires_at > now()"); n != 1 {
		t.Error("the process is taken for dead")
	}

	l.fire(n, debt)
	way.Freeze()
	began := time.Now()
	n.stop()
	if took := time.Since(began); took > 22*time.Second {
		t.Errorf("leaving took %v", took)
	}
	if n := l.number("SELECT count(*) FROM workers"); n != 0 {
		t.Error("the process has not withdrawn itself from the workers")
	}
}
