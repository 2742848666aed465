package persist_test

import (
	"errors"
	"testing"
	"time"

	"syncer/finance"
	"syncer/persist"
	"syncer/persist/pg"
	"syncer/persist/queue"
	"syncer/persist/workers"
)

// A run by hand beside an open one takes what that has decided long ago and whom it does not know, and
// is not made where nothing is left.
func TestARunBesideAnOpenOne(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 3)
	_, batches := h.plan(t, 1)
	h.work(t, batches[0], finance.Rows)
	beside := func(expected, overlapped int) []int64 {
		t.Helper()
		var batches []int64
		s := spec(time.Now(), 10, finance.Debts)
		s.Kind, s.Beside = queue.Manual, time.Now().Add(-time.Hour)
		run, created, err := h.Plan.Run(t.Context(), s, listBatches(&batches))
		if err != nil || created != (expected > 0) || run.Expected != expected || run.Overlapped != overlapped {
			t.Errorf("a run beside: %v, %+v, %v; want %d items, %d left", created, run, err, expected, overlapped)
		}
		return batches
	}
	beside(0, 0)
	h.consents(t, 1)
	more := beside(1, 2)
	h.exec(t, "UPDATE items SET finished_at = now() - interval '2 hours' WHERE outcome IS NOT NULL")
	beside(1, 3)
	h.work(t, more[0], finance.Rows)
	if n := queryInt(t, h.pool, "SELECT count(*) FROM runs"); n != 3 {
		t.Errorf("%d runs", n)
	}
}

// A closed run has its verdict, which is not complete, and whoever was at it writes nothing more.
func TestCloseRun(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 3)
	run, batches := h.plan(t, 1)
	h.work(t, batches[0], finance.Empty)
	c := claim(t, h.Store, batches[1])
	got, items, err := h.Queue.CloseRun(t.Context(), run.ID, "for the test")
	if err != nil || items != 2 || got.Verdict != queue.VerdictPartial {
		t.Errorf("closed: %d items, %+v, %v", items, got, err)
	}
	err = h.Queue.DecideItem(t.Context(), c.ID, c.Fence, 2, finance.Debts, decision(finance.Rows))
	if !errors.Is(err, pg.ErrFenced) {
		t.Errorf("the holder wrote: %v", err)
	}
	if got, items, err := h.Queue.CloseRun(t.Context(), run.ID, "again"); err != nil || items != 0 || got.Verdict != queue.VerdictPartial {
		t.Errorf("closed again: %d items, %+v, %v", items, got, err)
	}
	if _, _, err := h.Queue.CloseRun(t.Context(), 99, "none"); !errors.Is(err, pg.ErrNotFound) {
		t.Errorf("a run that there is not: %v", err)
	}
	if broken, err := h.Read.Verify(t.Context()); len(broken) != 0 || err != nil {
		t.Errorf("verify: %v, %v", broken, err)
	}
}

// One process works a job in the foreground; a frozen one does not keep the others from it.
func TestOneWorksAJobInTheForeground(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	lock := func(job string, want bool) func() {
		t.Helper()
		l, err := h.Workers.LockJob(t.Context(), job, 99)
		if l.Mine != want || l.Settled == want || err != nil {
			t.Fatalf("lock %s: %+v, %v", job, l, err)
		}
		return l.GiveBack
	}
	first := lock("nightly", true)
	lock("nightly", false)
	lock("another", true)()
	first()
	lock("nightly", true)()

	id := [16]byte{1}
	frozen, err := pg.Open(t.Context(), h.pool.Config().ConnString(), pg.Options{MaxConns: 2, ApplicationName: workers.ApplicationName(id)})
	must(t, err)
	defer frozen.Close()
	s := persist.NewStore(frozen, h.sealer, pg.Worker{ID: id})
	must(t, s.Workers.Heartbeat(t.Context(), time.Hour))
	held, err := s.Workers.LockJob(t.Context(), "nightly")
	if !held.Mine || err != nil {
		t.Fatalf("the one that will be frozen: %+v, %v", held, err)
	}
	defer held.GiveBack() // else the lock's connection would be closed as garbage
	lock("nightly", false)
	h.exec(t, "UPDATE workers SET expires_at = now() - interval '1 second' WHERE id = $1", id)
	lock("nightly", false) // this ends its session
	for l := (workers.JobLock{}); !l.Mine; {
		l, err = h.Workers.LockJob(t.Context(), "nightly")
		must(t, err)
	}
}
