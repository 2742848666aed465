package persist_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/connections"
	"syncer/persist/consents"
	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/persist/plan"
	"syncer/persist/queue"
	"syncer/persist/read"
)

func spec(at time.Time, size int, datasets ...finance.Dataset) plan.RunSpec {
	return plan.RunSpec{Job: "nightly", Connection: "bank", Kind: queue.Scheduled, ScheduledFor: at, Datasets: datasets, BatchSize: size}
}

// I18: whoever fires a tick, there is one run of it, and one wake-up for each batch.
func TestOneRunForATick(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 25)
	at := time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	var rung []plan.BatchRef
	ids := map[int64]int{}
	made := 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			run, created, err := h.Plan.Run(t.Context(), spec(at, 10, finance.Accounts, finance.Transactions),
				func(_ context.Context, _ pgx.Tx, b []plan.BatchRef) error {
					mu.Lock()
					defer mu.Unlock()
					rung = append(rung, b...)
					return nil
				})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if created {
				made++
			}
			ids[run.ID]++
			if run.Expected != 50 || !run.ScheduledFor.Equal(at) || run.Kind != queue.Scheduled || run.Verdict != "" {
				t.Errorf("run %+v", run)
			}
		})
	}
	wg.Wait()
	if made != 1 || len(ids) != 1 || len(rung) != 3 {
		t.Errorf("%d made, %d runs, %d wake-ups; want 1, 1, 3", made, len(ids), len(rung))
	}
	want := []string{"1 20", "2 20", "3 10"}
	got := queryAll(t, h.pool, "SELECT row_number() OVER (ORDER BY seq) || ' ' || (SELECT count(*) FROM items i WHERE i.batch_id = b.id) FROM batches b ORDER BY seq")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPlanTakesActiveConsentsAlone(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 6)
	must(t, h.Connections.Use(t.Context(), "other", connections.Endpoint{Provider: "vipps"}))
	h.exec(t, "UPDATE consents SET valid_from = now() + interval '1 hour' WHERE id = $1", ids[0])
	h.exec(t, "UPDATE consents SET valid_until = now() WHERE id = $1", ids[1])
	h.exec(t, "UPDATE consents SET status = 'revoked', ended_at = now() WHERE id = $1", ids[2])
	h.exec(t, "UPDATE consents SET connection = 'other' WHERE id = $1", ids[3])
	run, _ := h.plan(t, 10)
	if run.Expected != 2 || run.Skipped != 3 {
		t.Errorf("expected %d and skipped %d, want 2 and 3", run.Expected, run.Skipped)
	}
	some := spec(time.Now(), 10, finance.Debts)
	some.Kind, some.Consents = queue.Manual, []int64{ids[4], ids[0]}
	run, _, err := h.Plan.Run(t.Context(), some, listBatches(new([]int64)))
	if err != nil || run.Expected != 1 || run.Skipped != 1 {
		t.Errorf("a run of two consents: %+v, %v", run, err)
	}
}

// Nothing is read by a run without consents, so it is not called complete.
func TestRunWithoutConsentsIsPartial(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	run, batches := h.plan(t, 10)
	if run.Verdict != queue.VerdictPartial || run.Expected != 0 || len(batches) != 0 || run.SettledAt.IsZero() {
		t.Errorf("%+v with %d batches", run, len(batches))
	}
}

// A wake-up that fails leaves no run behind that nobody was woken for.
func TestPlanIsOneTransaction(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 3)
	broken := errors.New("broken")
	_, created, err := h.Plan.Run(t.Context(), spec(time.Now(), 1, finance.Debts),
		func(context.Context, pgx.Tx, []plan.BatchRef) error { return broken })
	if !errors.Is(err, broken) || created {
		t.Errorf("created %v, %v", created, err)
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM runs"); n != 0 {
		t.Errorf("%d runs", n)
	}
	if _, _, err := h.Plan.Run(t.Context(), spec(time.Now(), 0, finance.Debts), nil); err == nil {
		t.Error("batches of no consent were planned")
	}
}

// A hundred thousand consents are planned in seconds and in memory that does not grow with them.
func TestPlanHundredThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 100,000 consents")
	}
	persisttest.Turn(t)
	h := newFixture(t)
	h.exec(t, "INSERT INTO consents (connection, external_id, valid_from) SELECT 'bank', 'c' || n, now() - interval '1 hour' FROM generate_series(1, 100000) n")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	largest, wakeUps := 0, 0
	begin := time.Now()
	run, _, err := h.Plan.Run(t.Context(), spec(begin, 50, finance.Accounts, finance.Transactions),
		func(_ context.Context, _ pgx.Tx, b []plan.BatchRef) error {
			largest, wakeUps = max(largest, len(b)), wakeUps+len(b)
			return nil
		})
	took := time.Since(begin)
	runtime.ReadMemStats(&after)
	must(t, err)
	t.Logf("100,000 consents, 200,000 items, 2,000 batches in %v, %d kB allocated", took, (after.TotalAlloc-before.TotalAlloc)/1024)
	if run.Expected != 200000 || wakeUps != 2000 || largest > 1000 {
		t.Errorf("expected %d, %d wake-ups, at most %d at once", run.Expected, wakeUps, largest)
	}
	if took > 15*time.Second { // 6 s on two busy cores; a join gone wrong takes minutes
		t.Errorf("planning took %v, want seconds", took)
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	const r, e, p, x, f = finance.Rows, finance.Empty, finance.Partial, finance.Excused, finance.Failed
	for _, test := range []struct {
		outcomes []finance.Outcome
		want     queue.Verdict
	}{
		{[]finance.Outcome{r, r}, queue.VerdictComplete},
		{[]finance.Outcome{r, e}, queue.VerdictComplete},
		{[]finance.Outcome{e, x}, queue.VerdictComplete},
		{[]finance.Outcome{x, x}, queue.VerdictComplete},
		{[]finance.Outcome{r, p}, queue.VerdictPartial},
		{[]finance.Outcome{p, p}, queue.VerdictPartial},
		{[]finance.Outcome{r, f}, queue.VerdictPartial},
		{[]finance.Outcome{e, f}, queue.VerdictPartial},
		{[]finance.Outcome{p, f}, queue.VerdictPartial},
		{[]finance.Outcome{x, f}, queue.VerdictFailed},
		{[]finance.Outcome{f, f}, queue.VerdictFailed},
	} {
		t.Run(fmt.Sprint(test.outcomes), func(t *testing.T) {
			t.Parallel()
			h := newFixture(t)
			h.consents(t, 2)
			run, batches := h.plan(t, 1)
			h.work(t, batches[0], test.outcomes[0])
			if v, settled, err := h.Queue.Settle(t.Context(), run.ID); v != "" || settled || err != nil {
				t.Errorf("with an open batch: %q, %v, %v", v, settled, err)
			}
			h.work(t, batches[1], test.outcomes[1])
			v, settled, err := h.Queue.Settle(t.Context(), run.ID)
			if v != test.want || !settled || err != nil {
				t.Errorf("got %q, %v, %v; want %q", v, settled, err, test.want)
			}
			if v, settled, err := h.Queue.Settle(t.Context(), run.ID); v != test.want || settled || err != nil {
				t.Errorf("settled again: %q, %v, %v", v, settled, err)
			}
		})
	}
}

// A run of which nobody was read, because all its consents ended by what they were answered, is not complete.
func TestARunOfEndsAloneIsNotComplete(t *testing.T) {
	t.Parallel()
	for read, want := range []queue.Verdict{queue.VerdictPartial, queue.VerdictComplete} {
		c := newCourtroom(t, 20)
		c.refuse(c.ids[0], named)
		c.exec(t, `UPDATE items SET outcome = 'excused', class = 'consent', reason = 'it is over', finished_at = now()
			WHERE outcome IS NULL AND consent_id <= $1`, c.ids[19-read])
		if v := c.over(); v != want {
			t.Errorf("%d consents were read: %s", read, v)
		}
	}
}

// An item that is decided by what its batch knew of a consent, after the consent's end was held, fails like the others.
func TestAnItemThatMeetsAHeldEndLater(t *testing.T) {
	t.Parallel()
	c := newCourtroom(t, 4)
	for i, id := range c.ids[:3] {
		if out := c.refuse(id, named); (out.Held > 0) != (i == 2) || i == 2 && !strings.Contains(out.Item.Reason, "is held") {
			t.Errorf("%+v", out)
		}
	}
	c.exec(t, `UPDATE items SET outcome = 'excused', reason = 'consent revoked: no' WHERE consent_id = $1`, c.ids[0])
	c.exec(t, `UPDATE items SET outcome = 'excused', class = 'refused', reason = 'x', finished_at = now() WHERE consent_id = $1`, c.ids[3])
	if v := c.over(); v != queue.VerdictFailed {
		t.Errorf("the run is %s", v)
	}
	if n := queryInt(t, c.pool, `SELECT count(*) FROM items WHERE outcome = 'failed' AND reason LIKE '%is held until%'`); n != 3 {
		t.Errorf("%d items say that their end is held", n)
	}
}

// A run can't be called complete while an item is missing, even if its row is gone.
func TestMissingItemIsAHole(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 2)
	run, batches := h.plan(t, 10)
	h.work(t, batches[0], finance.Rows, finance.Rows)
	h.exec(t, "DELETE FROM items WHERE consent_id = $1", ids[1])
	if v, _, err := h.Queue.Settle(t.Context(), run.ID); v != queue.VerdictPartial || err != nil {
		t.Errorf("got %q, %v; want partial", v, err)
	}
	broken, err := h.Read.Verify(t.Context())
	must(t, err)
	if !slicesHasRule(broken, "expected-means-there") {
		t.Errorf("verify says %v", broken)
	}
}

func slicesHasRule(list []read.Violation, rule string) bool {
	for _, v := range list {
		if v.Rule == rule {
			return true
		}
	}
	return false
}

// settledRun is a run of eight items: rows, empty, partial, failed (rejected), failed (transient), excused, failed for a consent
// that has ended since, rows.
func settledRun(t *testing.T, h *fixture) (queue.Run, []int64) {
	t.Helper()
	ids := h.consents(t, 8)
	run, batches := h.plan(t, 100)
	c := claim(t, h.Store, batches[0])
	for i, o := range []finance.Outcome{finance.Rows, finance.Empty, finance.Partial, finance.Failed, finance.Failed,
		finance.Excused, finance.Failed, finance.Rows} {
		d := decision(o)
		if i == 4 {
			d.Class = finance.Transient
		}
		must(t, h.Queue.DecideItem(t.Context(), batches[0], c.Fence, ids[i], finance.Debts, d))
	}
	must(t, h.Queue.Finish(t.Context(), batches[0], c.Fence))
	_, err := h.Consents.End(t.Context(), ids[6], finance.ConsentRevoked, "told so", consents.FromFeed, finance.CallID{})
	must(t, err)
	if v, _, err := h.Queue.Settle(t.Context(), run.ID); v != queue.VerdictPartial || err != nil {
		t.Fatalf("settled as %q, %v", v, err)
	}
	return run, ids
}

func TestRerunSelection(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	run, ids := settledRun(t, h)
	for _, test := range []struct {
		name string
		sel  plan.Selection
		want []int64
	}{
		{"all that is not proven", plan.Selection{}, []int64{ids[2], ids[3], ids[4], ids[5]}},
		{"failed", plan.Selection{Failed: true}, []int64{ids[3], ids[4]}},
		{"partial", plan.Selection{Partial: true}, []int64{ids[2]}},
		{"failed and partial", plan.Selection{Failed: true, Partial: true}, []int64{ids[2], ids[3], ids[4]}},
		{"by class", plan.Selection{Classes: []string{"transient"}}, []int64{ids[4]}},
		{"by consent", plan.Selection{Consents: []int64{ids[0], ids[3]}}, []int64{ids[3]}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cost, err := h.Read.RerunCost(t.Context(), run.ID, test.sel)
			if err != nil || cost.Items != len(test.want) || cost.Consents != len(test.want) || cost.Calls < cost.Items || cost.Ended != 1 {
				t.Errorf("cost %+v, %v", cost, err)
			}
			again, created, err := h.Plan.Rerun(t.Context(), plan.RerunSpec{OfRun: run.ID, BatchSize: 2, Selection: test.sel}, listBatches(new([]int64)))
			if err != nil || !created {
				t.Fatalf("created %v, %v", created, err)
			}
			got, err := collect[int64](h.pool.Query(t.Context(),
				"SELECT i.consent_id FROM batches b JOIN items i ON i.batch_id = b.id WHERE b.run_id = $1 ORDER BY 1", again.ID))
			must(t, err)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if again.OfRun != run.ID || again.Kind != queue.Rerun || again.Expected != len(test.want) {
				t.Errorf("rerun %+v", again)
			}
			h.exec(t, "DELETE FROM items i USING batches b WHERE b.id = i.batch_id AND b.run_id = $1", again.ID)
			h.exec(t, "DELETE FROM batches WHERE run_id = $1", again.ID)
			h.exec(t, "DELETE FROM runs WHERE id = $1", again.ID)
		})
	}
}

// The verdict of a run is that of its items as they stand after its reruns; a rerun of a rerun links to the root.
func TestRerunSettlesItsRoot(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	run, ids := settledRun(t, h)
	rerun := func(of int64, sel plan.Selection) (queue.Run, []int64) {
		t.Helper()
		var batches []int64
		again, created, err := h.Plan.Rerun(ctx, plan.RerunSpec{OfRun: of, BatchSize: 10, Selection: sel}, listBatches(&batches))
		if err != nil || !created {
			t.Fatalf("created %v, %v", created, err)
		}
		return again, batches
	}
	settle := func(id int64, own, root queue.Verdict) {
		t.Helper()
		if v, settled, err := h.Queue.Settle(ctx, id); v != own || !settled || err != nil {
			t.Errorf("rerun settled as %q, %v, %v; want %q", v, settled, err, own)
		}
		r, err := h.Queue.RunByID(ctx, run.ID)
		if err != nil || r.Verdict != root {
			t.Errorf("the root is %q, %v; want %q", r.Verdict, err, root)
		}
	}
	first, batches := rerun(run.ID, plan.Selection{Failed: true})
	twin, created, err := h.Plan.Rerun(ctx, plan.RerunSpec{OfRun: run.ID, BatchSize: 10}, listBatches(new([]int64)))
	if err != nil || created || twin.ID != first.ID {
		t.Errorf("a second operator got run %d, created %v, %v; want run %d", twin.ID, created, err, first.ID)
	}
	h.work(t, batches[0], finance.Rows, finance.Failed)
	settle(first.ID, queue.VerdictPartial, queue.VerdictPartial)

	second, batches := rerun(first.ID, plan.Selection{})
	if second.OfRun != run.ID || second.Expected != 3 {
		t.Fatalf("the rerun of a rerun is %+v", second)
	}
	h.work(t, batches[0], finance.Rows, finance.Empty, finance.Rows)
	settle(second.ID, queue.VerdictComplete, queue.VerdictPartial) // one failed for a consent that has ended since
	if _, _, err := h.Plan.Rerun(ctx, plan.RerunSpec{OfRun: run.ID}, nil); !errors.Is(err, plan.ErrNothingToRerun) {
		t.Errorf("nothing is left to rerun: %v", err)
	}
	report, err := h.Read.Report(ctx, run.ID)
	must(t, err)
	want := []read.Counts{{Dataset: finance.Debts, Expected: 8, Rows: 5, Empty: 2, Failed: 1}}
	if diff := cmp.Diff(want, report.Counts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int64{first.ID, second.ID}, report.Reruns); diff != "" {
		t.Error(diff)
	}
	if n := report.NotComplete; len(n) != 1 || n[0].Consent != ids[6] || n[0].Reason == "" || n[0].Correlation != "corr-1" || n[0].Run != run.ID {
		t.Errorf("not complete: %+v", n)
	}
}

func TestRerunOfWhatCannotBe(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 1)
	run, _ := h.plan(t, 10)
	if _, _, err := h.Plan.Rerun(t.Context(), plan.RerunSpec{OfRun: run.ID}, nil); !errors.Is(err, plan.ErrUnsettled) {
		t.Errorf("a run that is going: %v", err)
	}
	if _, _, err := h.Plan.Rerun(t.Context(), plan.RerunSpec{OfRun: 1 << 40}, nil); !errors.Is(err, pg.ErrNotFound) {
		t.Errorf("a run there is not: %v", err)
	}
	if _, err := h.Read.RerunCost(t.Context(), 1<<40, plan.Selection{}); !errors.Is(err, pg.ErrNotFound) {
		t.Errorf("a run there is not: %v", err)
	}
}

// A rerun of a backfill works the same window.
func TestRerunOfABackfill(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 1)
	s := spec(time.Now(), 10, finance.Debts)
	s.Kind, s.WindowFrom, s.WindowTo = queue.Backfill, finance.NewDate(2026, 1, 1), finance.NewDate(2026, 1, 31)
	var batches []int64
	run, _, err := h.Plan.Run(t.Context(), s, listBatches(&batches))
	must(t, err)
	h.work(t, batches[0], finance.Failed)
	_, _, err = h.Queue.Settle(t.Context(), run.ID)
	must(t, err)
	batches = nil
	again, _, err := h.Plan.Rerun(t.Context(), plan.RerunSpec{OfRun: run.ID, BatchSize: 10}, listBatches(&batches))
	must(t, err)
	c := claim(t, h.Store, batches[0])
	if again.WindowFrom != s.WindowFrom || c.WindowTo != s.WindowTo || c.OfRun != run.ID || c.Kind != queue.Rerun {
		t.Errorf("rerun %+v, claimed %+v", again, c)
	}
}

func TestReportOfARunningRun(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	ids := h.consents(t, 3)
	run, batches := h.plan(t, 1)
	h.work(t, batches[0], finance.Rows)
	parked := claim(t, h.Store, batches[1])
	must(t, h.Queue.StartItem(ctx, batches[1], parked.Fence, ids[1], finance.Debts))
	call := newCall(debtStream(ids[1]))
	call.Task.Run, call.Class = run.ID, finance.Throttled
	pause(t, h, calls.Pause{Bucket: "bank", For: time.Hour, Reason: "retry-after", Call: call})
	ok := newCall(debtStream(ids[0]))
	ok.Task.Run = run.ID
	must(t, h.Admit.Record(ctx, ok))
	must(t, h.Queue.Park(ctx, batches[1], parked.Fence, queue.Parking{For: time.Hour, Reason: "retry-after"}))
	r, err := h.Read.Report(ctx, run.ID)
	must(t, err)
	if !r.Running || r.Run.ID != run.ID || r.Wall <= 0 || r.ParkedUntil.Before(time.Now().Add(59*time.Minute)) || r.ParkReason != "retry-after" {
		t.Errorf("report %+v", r)
	}
	if r.Pauses != 1 || r.Paused < 59*time.Minute || r.Paused > time.Hour+time.Second || r.Calls != 2 {
		t.Errorf("%d pauses of %v, %d calls", r.Pauses, r.Paused, r.Calls)
	}
	if diff := cmp.Diff(read.BatchCounts{Pending: 1, Parked: 1, Done: 1}, r.Batches); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]read.Counts{{Dataset: finance.Debts, Expected: 3, Rows: 1, Missing: 2}}, r.Counts); diff != "" {
		t.Error(diff)
	}
	if _, err := h.Read.Report(ctx, 1<<40); !errors.Is(err, pg.ErrNotFound) {
		t.Errorf("a run there is not: %v", err)
	}
	if r.Over.Name != run.Connection || r.Over.Parked {
		t.Errorf("the run's connection: %+v", r.Over)
	}
	if _, err := h.Connections.Park(ctx, run.Connection, finance.TokenDenied, "status 401"); err != nil {
		t.Fatal(err)
	}
	if r, err = h.Read.Report(ctx, run.ID); err != nil || !r.Over.Parked || r.Over.ParkedReason != "status 401" {
		t.Errorf("the run's connection, parked: %+v, %v", r.Over, err)
	}
}

func TestRunsAreListed(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	if open, err := h.Queue.OpenRuns(ctx, "nightly"); len(open) > 0 || err != nil {
		t.Errorf("unfinished in an empty database: %v, %v", open, err)
	}
	empty, _ := h.plan(t, 10)
	h.consents(t, 1)
	open, batches := h.plan(t, 10)
	if got, err := h.Queue.OpenRuns(ctx, "nightly", queue.Manual); len(got) != 1 || got[0].ID != open.ID || err != nil {
		t.Errorf("unfinished: %+v, %v", got, err)
	}
	for _, test := range []struct {
		name   string
		filter read.RunFilter
		want   []int64
	}{
		{"all", read.RunFilter{}, []int64{open.ID, empty.ID}},
		{"open", read.RunFilter{Open: true}, []int64{open.ID}},
		{"verdict", read.RunFilter{Verdict: queue.VerdictPartial}, []int64{empty.ID}},
		{"next page", read.RunFilter{Before: open.ID}, []int64{empty.ID}},
		{"limit", read.RunFilter{Limit: 1}, []int64{open.ID}},
		{"another job", read.RunFilter{Job: "x"}, nil},
		{"another kind", read.RunFilter{Kind: queue.Backfill}, nil},
	} {
		list, err := h.Read.Runs(ctx, test.filter)
		must(t, err)
		var got []int64
		for _, r := range list {
			got = append(got, r.ID)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
	if ids, err := h.Queue.Unsettled(ctx); len(ids) != 0 || err != nil {
		t.Errorf("unsettled while a batch is open: %v, %v", ids, err)
	}
	h.work(t, batches[0], finance.Rows)
	if ids, err := h.Queue.Unsettled(ctx); len(ids) != 1 || ids[0] != open.ID || err != nil {
		t.Errorf("unsettled: %v, %v", ids, err)
	}
}

// An item that was not read for want of reads, or because its turn never came, is excused and not proven: the run is not
// complete, although one whose consents have ended is.
func TestWhatWasNotReadIsNotComplete(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		class finance.Class
		other finance.Outcome
		want  queue.Verdict
	}{
		{finance.Spent, finance.Excused, queue.VerdictPartial},
		{finance.Spent, finance.Rows, queue.VerdictPartial},
		{finance.Spent, finance.Failed, queue.VerdictFailed},
		{finance.Unasked, finance.Rows, queue.VerdictPartial},
		{finance.Unasked, finance.Failed, queue.VerdictFailed},
		{finance.Refused, finance.Excused, queue.VerdictComplete},
		{finance.Withheld, finance.Rows, queue.VerdictComplete},
	} {
		t.Run(fmt.Sprint(test.class, test.other), func(t *testing.T) {
			t.Parallel()
			h := newFixture(t)
			h.consents(t, 2)
			run, batches := h.plan(t, 1)
			h.work(t, batches[0], finance.Excused)
			h.exec(t, "UPDATE items SET class = $1 WHERE outcome = 'excused'", test.class)
			h.work(t, batches[1], test.other)
			if v, _, err := h.Queue.Settle(t.Context(), run.ID); v != test.want || err != nil {
				t.Errorf("%q, %v; want %q", v, err, test.want)
			}
		})
	}
}
