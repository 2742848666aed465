package persist_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/plan"
	"syncer/persist/queue"
)

// A run that no tick has asked for never takes the nominal time of one, and two of them at once are two.
func TestOnlyTicksHaveWholeSeconds(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 1)
	at := time.Date(2026, 11, 1, 1, 30, 0, 0, time.UTC)
	plan := func(kind queue.RunKind, day int) (queue.Run, bool) {
		t.Helper()
		s := spec(at, 1, finance.Debts)
		s.Kind = kind
		if day > 0 {
			s.WindowFrom, s.WindowTo = finance.NewDate(2026, 1, day), finance.NewDate(2026, 1, day)
		}
		run, created, err := h.Plan.Run(t.Context(), s, listBatches(new([]int64)))
		must(t, err)
		return run, created
	}
	var got []string
	note := func(run queue.Run, created bool) {
		got = append(got, fmt.Sprintf("%s +%s %v", run.Kind, run.ScheduledFor.Sub(at), created))
	}
	note(plan(queue.Backfill, 1))
	note(plan(queue.Backfill, 2))
	note(plan(queue.Scheduled, 0))
	note(plan(queue.Manual, 0))
	note(plan(queue.Scheduled, 0))
	want := []string{"backfill +1µs true", "backfill +2µs true", "scheduled +0s true", "manual +3µs true", "scheduled +0s false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
	// An older program has given a tick's time to a run by hand: the tick has its run all the same, and
	// one only.
	h.exec(t, "UPDATE runs SET scheduled_for = $1 WHERE kind = 'manual'", at.Add(time.Hour))
	at = at.Add(time.Hour)
	got = nil
	for range 2 {
		note(plan(queue.Scheduled, 0))
	}
	if diff := cmp.Diff([]string{"scheduled +1µs true", "scheduled +1µs false"}, got); diff != "" {
		t.Errorf("a tick beside an old run (-want +got):\n%s", diff)
	}
}

// window plans the one window of these tests.
func (h *fixture) window(t testing.TB, again bool, consents ...int64) (plan.WindowPlan, []int64) {
	t.Helper()
	var batches []int64
	s := spec(time.Now(), 10, finance.Transactions)
	s.Kind, s.Consents = queue.Backfill, consents
	s.WindowFrom, s.WindowTo = finance.NewDate(2026, 1, 1), finance.NewDate(2026, 1, 31)
	p, err := h.Plan.Window(t.Context(), s, again, true, listBatches(&batches))
	must(t, err)
	return p, batches
}

// Of a window only that is planned which nobody reads, and which is not proven.
func TestAWindowIsPlannedForWhoMissesIt(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 3)
	var mu sync.Mutex
	runs := map[int64]bool{}
	var batches []int64
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			p, rung := h.window(t, false)
			mu.Lock()
			defer mu.Unlock()
			for _, r := range p.Runs {
				runs[r.ID] = true
			}
			batches = append(batches, rung...)
		})
	}
	group.Wait()
	if len(runs) != 1 || len(batches) != 1 {
		t.Fatalf("six at once have planned %d runs with %d batches", len(runs), len(batches))
	}
	says := func(what string, p plan.WindowPlan, want string) {
		t.Helper()
		got := ""
		for _, r := range p.Runs {
			got += fmt.Sprintf("%s %d of %d; ", r.Kind, r.Expected, r.OfRun)
		}
		if got += fmt.Sprintf("ready %d", p.Ready); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	settle := func(batch int64, outcomes ...finance.Outcome) {
		t.Helper()
		h.work(t, batch, outcomes...)
		_, _, err := h.Queue.Settle(t.Context(), queryInt(t, h.pool, fmt.Sprintf("SELECT run_id FROM batches WHERE id = %d", batch)))
		must(t, err)
	}
	settle(batches[0], finance.Rows, finance.Failed, finance.Excused)
	h.exec(t, "UPDATE items SET class = 'spent' WHERE outcome = 'excused'")

	// What failed, and what was not read for want of reads, is a rerun of the run that lacks it.
	p, batches := h.window(t, false)
	says("after a failure", p, "rerun 2 of 1; ready 1")
	more := h.consents(t, 1) // somebody comes meanwhile
	p, others := h.window(t, false)
	says("with a newcomer", p, "rerun 2 of 1; backfill 1 of 0; ready 1")
	settle(batches[0], finance.Empty, finance.Empty)
	settle(others[0], finance.Rows)
	p, none := h.window(t, false)
	says("when all are proven", p, "ready 4")
	if len(none) > 0 {
		t.Errorf("%d batches of nothing", len(none))
	}
	p, batches = h.window(t, true, ids[0], more[0])
	says("again, for two", p, "backfill 2 of 0; ready 0")
	p, _ = h.window(t, true)
	says("again, for all, while that is open", p, "backfill 2 of 0; backfill 2 of 0; ready 0")
	settle(batches[0], finance.Failed, finance.Rows)
	p, _ = h.window(t, false, ids[0])
	says("the newest decision counts", p, "rerun 1 of 4; ready 0")
}

// A nightly tick leaves nothing to the rerun of a backfill, whose streams are others.
func TestARerunOfABackfillHoldsNoTickUp(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 1)
	_, batches := h.window(t, false)
	h.work(t, batches[0], finance.Failed)
	_, _, err := h.Queue.Settle(t.Context(), 1)
	must(t, err)
	if p, _ := h.window(t, false); len(p.Runs) != 1 || p.Runs[0].Kind != queue.Rerun {
		t.Fatalf("%+v", p)
	}
	h.tick(t, time.Date(2026, 11, 1, 1, 30, 0, 0, time.UTC), 2, 0)
}

// A backfill leaves other runs their reads of the day; what these have had already is not left to them twice.
func TestABackfillLeavesReads(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	id := h.consents(t, 1, func(c *consents.Import) { c.ReadsPerDay = 4 })[0]
	s := spec(time.Now(), 10, finance.Transactions)
	s.Kind, s.LeavesReads = queue.Backfill, 2
	s.WindowFrom, s.WindowTo = finance.NewDate(2026, 1, 1), finance.NewDate(2026, 1, 31)
	var batches []int64
	_, _, err := h.Plan.Run(t.Context(), s, listBatches(&batches))
	must(t, err)
	_, night := h.plan(t, 10, finance.Debts)
	ask := func(batch int64) string {
		t.Helper()
		c := claimed(t, h, batch)
		a, err := h.Admit.Admit(t.Context(), calls.Ask{Connection: "bank", Bucket: "bank", Opening: true, Call: finance.CallID(uuid.New()),
			Task: calls.Task{Run: c.Run, Batch: c.ID, Fence: c.Fence, Consent: &finance.Consent{ID: id}}})
		must(t, err)
		left, err := h.Plan.ReadsLeft(t.Context(), s)
		must(t, err)
		return fmt.Sprintf("%s, then %d", a.Refusal, left.Reads)
	}
	var got []string
	for _, batch := range []int64{batches[0], night[0], batches[0], batches[0], night[0], night[0]} {
		got = append(got, ask(batch))
	}
	want := []string{", then 1", ", then 1", ", then 0", "spent, then 0", ", then 0", "spent, then 0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("asks of a backfill and a night (-want +got):\n%s", diff)
	}
}

// A window lets older windows of its job pass, and runs that are no backfills. It does not wait for a
// job that nobody works.
func TestALineHasAnOrder(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 2)
	window := func(job string, month time.Month) int64 {
		t.Helper()
		var batches []int64
		s := spec(time.Now(), 10, finance.Transactions)
		s.Job, s.Kind = job, queue.Backfill
		s.WindowFrom, s.WindowTo = finance.NewDate(2026, month, 1), finance.NewDate(2026, month, 20)
		_, _, err := h.Plan.Run(t.Context(), s, listBatches(&batches))
		must(t, err)
		return batches[0]
	}
	claims := func(batch int64, want bool, says string) {
		t.Helper()
		h.exec(t, "UPDATE batches SET wake_at = now() - interval '1 second' WHERE id = $1", batch)
		c, ok, err := h.Queue.Claim(t.Context(), batch)
		if ok != want || c.InLine == want || err != nil {
			t.Errorf("claim batch %d: %v, in line %v, %v", batch, ok, c.InLine, err)
		}
		if got := queryText(t, h.pool, fmt.Sprintf("SELECT park_reason FROM batches WHERE id = %d", batch)); got != says {
			t.Errorf("batch %d waits because %q, want %q", batch, got, says)
		}
	}
	give := func(batch int64, next ...int64) {
		t.Helper()
		c := claimed(t, h, batch)
		items, err := h.Queue.Items(t.Context(), batch)
		must(t, err)
		for _, i := range items {
			must(t, h.Queue.DecideItem(t.Context(), batch, c.Fence, i.Consent.ID, i.Dataset, decision(finance.Empty)))
		}
		must(t, h.Queue.Finish(t.Context(), batch, c.Fence))
		due, err := h.Queue.NextInLine(t.Context(), batch)
		must(t, err)
		var got []int64
		for _, d := range due {
			got = append(got, d.ID)
		}
		if diff := cmp.Diff(next, got); diff != "" {
			t.Errorf("in line behind batch %d (-want +got):\n%s", batch, diff)
		}
	}
	march, february, elsewhere := window("nightly", 3), window("nightly", 2), window("unworked", 1)
	claims(march, false, "run 2 reads the same consents first")
	_, night := h.plan(t, 10, finance.Accounts)
	claims(february, false, "run 4 reads the same consents first")
	give(night[0], february)
	claims(march, false, "run 2 reads the same consents first")
	claims(february, true, "")
	claims(elsewhere, false, "run 2 is at the same consents") // now somebody has asked for it
	claims(march, false, "run 2 is at the same consents")
	if due, anybody, err := h.Queue.DueInLine(t.Context(), []string{"nightly"}, []string{"bank"}); err != nil || len(due) != 0 || !anybody {
		t.Errorf("in line: %v, and to be asked for already: %v, %v", anybody, due, err)
	}
	h.exec(t, "UPDATE batches SET wake_at = now() WHERE state = 'parked'")
	if due, _, err := h.Queue.DueInLine(t.Context(), []string{"nightly"}, []string{"bank"}); err != nil || len(due) != 1 || due[0].ID != march || !due[0].Backfill {
		t.Errorf("in line and to be asked for: %v, %v", due, err)
	}
	must(t, h.Queue.Release(t.Context(), february, queryInt(t, h.pool, fmt.Sprintf("SELECT fence FROM batches WHERE id = %d", february))))
	claims(february, false, "run 3 reads the same consents first")
	h.exec(t, "UPDATE batches SET asked_at = now() - interval '1 minute' WHERE id = $1", elsewhere) // whoever asked has died
	claims(february, true, "")
	give(february, elsewhere)
	claims(march, true, "")
}

// claimed claims a batch once and finds it again afterwards.
func claimed(t testing.TB, h *fixture, batch int64) queue.Claimed {
	t.Helper()
	if queryInt(t, h.pool, fmt.Sprintf("SELECT count(*) FROM batches WHERE id = %d AND state = 'working'", batch)) == 0 {
		claim(t, h.Store, batch)
	}
	c := queue.Claimed{ID: batch}
	must(t, h.pool.QueryRow(t.Context(), "SELECT run_id, fence FROM batches WHERE id = $1", batch).Scan(&c.Run, &c.Fence))
	return c
}

// A window whose last day was not over when it was read lacks what was booked later that day: the same command reads it
// again the next day.
func TestAWindowThatWasReadTooEarlyIsReadAgain(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 1)
	plan := func(over time.Time) (plan.WindowPlan, []int64) {
		var batches []int64
		s := spec(time.Now(), 10, finance.Transactions)
		s.Kind, s.WindowOver = queue.Backfill, over
		s.WindowFrom, s.WindowTo = finance.NewDate(2026, 1, 1), finance.NewDate(2026, 1, 31)
		p, err := h.Plan.Window(t.Context(), s, false, true, listBatches(&batches))
		must(t, err)
		return p, batches
	}
	_, batches := plan(time.Now().Add(-time.Hour))
	h.work(t, batches[0], finance.Rows)
	_, _, err := h.Queue.Settle(t.Context(), queryInt(t, h.pool, "SELECT max(id) FROM runs"))
	must(t, err)
	if p, _ := plan(time.Now().Add(-time.Hour)); p.Ready != 1 || len(p.Runs) != 0 {
		t.Errorf("a window that was over: %+v", p)
	}
	if p, _ := plan(time.Now().Add(time.Hour)); p.Ready != 0 || len(p.Runs) != 1 || p.Runs[0].Expected != 1 {
		t.Errorf("a window that was not over: %+v", p)
	}
}
