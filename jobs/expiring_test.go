package jobs_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"syncer/finance"
	"syncer/jobs"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/sandbox"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// nightly is a schedule whose next firing is half a day away.
func nightly(t testing.TB) *jobs.Schedule {
	t.Helper()
	oslo, err := time.LoadLocation("Europe/Oslo")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().In(oslo).Add(12 * time.Hour)
	s, err := jobs.ParseSchedule(fmt.Sprintf("%d %d * * *", at.Minute(), at.Hour()), oslo)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ending lets the first n consents end in so long.
func (l *lab) ending(n int, in string) {
	l.Helper()
	for i := range n {
		if _, err := l.db.Pool.Exec(l.Context(), "UPDATE consents SET valid_until = now() + $2::interval WHERE id = $1", l.consent(i).ID, in); err != nil {
			l.Fatal(err)
		}
	}
}

// Three replicas that tick pull the consents that end before the next firing, once each, and nobody else's.
func TestEndingConsentsArePulledOnceMore(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 20}, banksim.Options{})
	l.importNG(20)
	l.ending(7, "2 hours")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var clocks sync.WaitGroup
	var nodes [3]*node
	for i := range nodes {
		nodes[i] = l.start(nodeOptions{schedule: nightly(t)})
	}
	for _, n := range nodes {
		clocks.Go(func() { n.Tick(ctx) })
	}
	l.eventually("seven final pulls", func() bool {
		return l.number("SELECT count(*) FROM items WHERE outcome = 'rows' OR outcome = 'empty'") == 7
	})
	stop()
	clocks.Wait()
	runs, err := l.store.Read.Runs(t.Context(), read.RunFilter{})
	if err != nil || len(runs) != 1 || runs[0].Kind != queue.Final || runs[0].Expected != 7 {
		t.Errorf("runs: %+v, %v", runs, err)
	}
	for i := range 20 {
		want := 0
		if i < 7 {
			want = 1
		}
		if got := l.calls(i); got != want {
			t.Errorf("consent %d was called for %d times, want %d", i, got, want)
		}
	}
	job, err := nodes[0].Job(debt)
	l.must(err)
	if run, created, err := nodes[0].FireFinal(t.Context(), job, time.Now()); created || err != nil {
		t.Errorf("another final run: %+v, %v", run, err)
	}
}

// A consent that the nightly run has just read needs no final pull, and one whose final pull fails gets another when
// some time has passed; `syncer run` does not take the final run for its own.
func TestFinalPullThatFailsIsMadeAgain(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 5}, banksim.Options{})
	l.importNG(5)
	n := l.start(nodeOptions{schedule: nightly(t)})
	l.run(n, debt)
	l.ending(5, "90 minutes")
	job, err := n.Job(debt)
	l.must(err)
	if run, created, err := n.FireFinal(t.Context(), job, time.Now()); created || err != nil {
		t.Fatalf("everything was just read: %+v, %v", run, err)
	}
	if _, err := l.db.Pool.Exec(t.Context(), "UPDATE cursors SET moved_at = moved_at - interval '10 hours'"); err != nil {
		t.Fatal(err)
	}
	broken := l.fault(sandbox.Rule{Subject: l.ng.Consent(3).ID, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 400}})
	fire := func(items int) queue.Run {
		t.Helper()
		run, created, err := n.FireFinal(t.Context(), job, time.Now())
		if err != nil || created != (items > 0) || run.Expected != items {
			t.Fatalf("want a final run of %d: %+v, %v", items, run, err)
		}
		return run
	}
	run := fire(5)
	if other, err := l.store.Queue.OpenRuns(t.Context(), debt, queue.Manual, queue.Scheduled); len(other) > 0 || err != nil {
		t.Errorf("runs would be gone on with by hand: %v, %v", other, err)
	}
	if r := l.settled(n, run); r.Run.Verdict != queue.VerdictPartial || r.Counts[0].Failed != 1 {
		t.Errorf("%s, %+v", r.Run.Verdict, r.Counts)
	}
	fire(0)
	broken()
	if _, err := l.db.Pool.Exec(t.Context(), "UPDATE final_pulls SET planned_at = planned_at - interval '2 hours'"); err != nil {
		t.Fatal(err)
	}
	if r := l.settled(n, fire(1)); r.Run.Verdict != queue.VerdictComplete || l.consent(3).Status != finance.ConsentActive {
		t.Errorf("%s, %+v", r.Run.Verdict, r.Counts)
	}
	fire(0)
}
