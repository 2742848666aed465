package jobs_test

import (
	"testing"
	"time"

	"syncer/persist/queue"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// Six ticks that pass while nobody works ask for everybody once, not six times in a row: the first run is at all items
// still when the others come. When it is settled, the next tick takes them again.
func TestTicksThatPileUpAskOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 8}, banksim.Options{})
	l.importNG(8)
	planner := l.start(nodeOptions{idle: true})
	job, err := planner.Job(debt)
	l.must(err)
	at := time.Now().Truncate(15 * time.Minute)
	tick := func(n *node, i int) queue.Run {
		run, created, err := n.Fire(t.Context(), job, queue.Scheduled, at.Add(time.Duration(i)*15*time.Minute))
		l.must(err)
		if !created {
			t.Errorf("tick %d has no run of its own", i)
		}
		return run
	}
	first := tick(planner, 0)
	for i := 1; i < 6; i++ {
		if run := tick(planner, i); run.Expected != 0 || run.Overlapped != 8 || run.Verdict != queue.VerdictPartial {
			t.Errorf("tick %d: %+v", i, run)
		}
	}
	n := l.start(nodeOptions{})
	if r := l.settled(n, first); r.Run.Verdict != queue.VerdictComplete {
		t.Errorf("verdict %s, %+v", r.Run.Verdict, r.NotComplete)
	}
	for i := range 8 {
		if calls := l.calls(i); calls != 1 {
			t.Errorf("consent %d was called for %d times", i, calls)
		}
	}
	if r := l.settled(n, tick(n, 6)); r.Run.Verdict != queue.VerdictComplete || r.Run.Expected != 8 || r.Run.Overlapped != 0 {
		t.Errorf("the tick after: %+v", r.Run)
	}
}
