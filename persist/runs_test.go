package persist_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist"
	"syncer/persist/persisttest"
)

func spec(at time.Time, size int, datasets ...finance.Dataset) persist.RunSpec {
	return persist.RunSpec{Job: "nightly", Connection: "bank", Kind: persist.Scheduled, ScheduledFor: at, Datasets: datasets, BatchSize: size}
}

// I18: whoever fires a tick, there is one run of it, rung for once.
func TestOneRunForATick(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.consents(t, 25)
	at := time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	var rung []persist.BatchRef
	ids := map[int64]int{}
	made := 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			run, created, err := h.PlanRun(t.Context(), spec(at, 10, finance.Accounts, finance.Transactions),
				func(_ context.Context, _ pgx.Tx, b []persist.BatchRef) error {
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
			if run.Expected != 50 || !run.ScheduledFor.Equal(at) || run.Kind != persist.Scheduled || run.Verdict != "" {
				t.Errorf("run %+v", run)
			}
		})
	}
	wg.Wait()
	if made != 1 || len(ids) != 1 || len(rung) != 3 {
		t.Errorf("%d made, %d runs, %d bells; want 1, 1, 3", made, len(ids), len(rung))
	}
	want := []string{"1 20", "2 20", "3 10"}
	got := queryAll(t, h.pool, "SELECT row_number() OVER (ORDER BY seq) || ' ' || (SELECT count(*) FROM items i WHERE i.batch_id = b.id) FROM batches b ORDER BY seq")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPlanTakesActiveConsentsAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ids := h.consents(t, 6)
	must(t, h.UpsertConnection(t.Context(), "other", "vipps"))
	h.exec(t, "UPDATE consents SET valid_from = now() + interval '1 hour' WHERE id = $1", ids[0])
	h.exec(t, "UPDATE consents SET valid_until = now() WHERE id = $1", ids[1])
	h.exec(t, "UPDATE consents SET status = 'revoked', ended_at = now() WHERE id = $1", ids[2])
	h.exec(t, "UPDATE consents SET connection = 'other' WHERE id = $1", ids[3])
	run, _ := h.plan(t, 10)
	if run.Expected != 2 || run.Skipped != 3 {
		t.Errorf("expected %d and skipped %d, want 2 and 3", run.Expected, run.Skipped)
	}
	some := spec(time.Now(), 10, finance.Debts)
	some.Kind, some.Consents = persist.Manual, []int64{ids[4], ids[0]}
	run, _, err := h.PlanRun(t.Context(), some, listBatches(new([]int64)))
	if err != nil || run.Expected != 1 || run.Skipped != 1 {
		t.Errorf("a run of two consents: %+v, %v", run, err)
	}
}

// Nothing is read by a run without consents, so it is not called complete.
func TestRunWithoutConsentsIsPartial(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run, batches := h.plan(t, 10)
	if run.Verdict != persist.VerdictPartial || run.Expected != 0 || len(batches) != 0 || run.SettledAt.IsZero() {
		t.Errorf("%+v with %d batches", run, len(batches))
	}
}

// A failing doorbell leaves no run behind that nobody was rung for.
func TestPlanIsOneTransaction(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.consents(t, 3)
	broken := errors.New("broken")
	_, created, err := h.PlanRun(t.Context(), spec(time.Now(), 1, finance.Debts),
		func(context.Context, pgx.Tx, []persist.BatchRef) error { return broken })
	if !errors.Is(err, broken) || created {
		t.Errorf("created %v, %v", created, err)
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM runs"); n != 0 {
		t.Errorf("%d runs", n)
	}
	if _, _, err := h.PlanRun(t.Context(), spec(time.Now(), 0, finance.Debts), nil); err == nil {
		t.Error("batches of no consent were planned")
	}
}

// A hundred thousand consents are planned in seconds and in memory that does not grow with them.
func TestPlanHundredThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 100,000 consents")
	}
	persisttest.Turn(t)
	h := newHouse(t)
	h.exec(t, "INSERT INTO consents (connection, external_id, valid_from) SELECT 'bank', 'c' || n, now() - interval '1 hour' FROM generate_series(1, 100000) n")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	largest, bells := 0, 0
	begin := time.Now()
	run, _, err := h.PlanRun(t.Context(), spec(begin, 50, finance.Accounts, finance.Transactions),
		func(_ context.Context, _ pgx.Tx, b []persist.BatchRef) error {
			largest, bells = max(largest, len(b)), bells+len(b)
			return nil
		})
	took := time.Since(begin)
	runtime.ReadMemStats(&after)
	must(t, err)
	t.Logf("100,000 consents, 200,000 items, 2,000 batches in %v, %d kB allocated", took, (after.TotalAlloc-before.TotalAlloc)/1024)
	if run.Expected != 200000 || bells != 2000 || largest > 1000 {
		t.Errorf("expected %d, %d bells, at most %d at once", run.Expected, bells, largest)
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
		want     persist.Verdict
	}{
		{[]finance.Outcome{r, r}, persist.VerdictComplete},
		{[]finance.Outcome{r, e}, persist.VerdictComplete},
		{[]finance.Outcome{e, x}, persist.VerdictComplete},
		{[]finance.Outcome{x, x}, persist.VerdictComplete},
		{[]finance.Outcome{r, p}, persist.VerdictPartial},
		{[]finance.Outcome{p, p}, persist.VerdictPartial},
		{[]finance.Outcome{r, f}, persist.VerdictPartial},
		{[]finance.Outcome{e, f}, persist.VerdictPartial},
		{[]finance.Outcome{p, f}, persist.VerdictPartial},
		{[]finance.Outcome{x, f}, persist.VerdictFailed},
		{[]finance.Outcome{f, f}, persist.VerdictFailed},
	} {
		t.Run(fmt.Sprint(test.outcomes), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.consents(t, 2)
			run, batches := h.plan(t, 1)
			h.work(t, batches[0], test.outcomes[0])
			if v, settled, err := h.Settle(t.Context(), run.ID); v != "" || settled || err != nil {
				t.Errorf("with an open batch: %q, %v, %v", v, settled, err)
			}
			h.work(t, batches[1], test.outcomes[1])
			v, settled, err := h.Settle(t.Context(), run.ID)
			if v != test.want || !settled || err != nil {
				t.Errorf("got %q, %v, %v; want %q", v, settled, err, test.want)
			}
			if v, settled, err := h.Settle(t.Context(), run.ID); v != test.want || settled || err != nil {
				t.Errorf("settled again: %q, %v, %v", v, settled, err)
			}
		})
	}
}

// A run can't be called complete while an item is missing, even if its row is gone.
func TestMissingItemIsAHole(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ids := h.consents(t, 2)
	run, batches := h.plan(t, 10)
	h.work(t, batches[0], finance.Rows, finance.Rows)
	h.exec(t, "DELETE FROM items WHERE consent_id = $1", ids[1])
	if v, _, err := h.Settle(t.Context(), run.ID); v != persist.VerdictPartial || err != nil {
		t.Errorf("got %q, %v; want partial", v, err)
	}
	broken, err := h.Verify(t.Context())
	must(t, err)
	if !slicesHasRule(broken, "expected-means-there") {
		t.Errorf("verify says %v", broken)
	}
}

func slicesHasRule(list []persist.Violation, rule string) bool {
	for _, v := range list {
		if v.Rule == rule {
			return true
		}
	}
	return false
}

// settledRun is a run of eight items: rows, empty, partial, failed (rejected), failed (transient), excused, failed for a consent
// that has ended since, rows.
func settledRun(t *testing.T, h *house) (persist.Run, []int64) {
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
		must(t, h.DecideItem(t.Context(), batches[0], c.Fence, ids[i], finance.Debts, d))
	}
	must(t, h.Finish(t.Context(), batches[0], c.Fence))
	_, err := h.EndConsent(t.Context(), ids[6], finance.ConsentRevoked, "told so", persist.FromFeed, finance.CallID{})
	must(t, err)
	if v, _, err := h.Settle(t.Context(), run.ID); v != persist.VerdictPartial || err != nil {
		t.Fatalf("settled as %q, %v", v, err)
	}
	return run, ids
}

func TestRerunSelection(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run, ids := settledRun(t, h)
	for _, test := range []struct {
		name string
		sel  persist.Selection
		want []int64
	}{
		{"all that is not proven", persist.Selection{}, []int64{ids[2], ids[3], ids[4], ids[5]}},
		{"failed", persist.Selection{Failed: true}, []int64{ids[3], ids[4]}},
		{"partial", persist.Selection{Partial: true}, []int64{ids[2]}},
		{"failed and partial", persist.Selection{Failed: true, Partial: true}, []int64{ids[2], ids[3], ids[4]}},
		{"by class", persist.Selection{Classes: []string{"transient"}}, []int64{ids[4]}},
		{"by consent", persist.Selection{Consents: []int64{ids[0], ids[3]}}, []int64{ids[3]}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cost, err := h.RerunCost(t.Context(), run.ID, test.sel)
			if err != nil || cost.Items != len(test.want) || cost.Consents != len(test.want) || cost.Calls < cost.Items || cost.Ended != 1 {
				t.Errorf("cost %+v, %v", cost, err)
			}
			again, created, err := h.PlanRerun(t.Context(), persist.RerunSpec{OfRun: run.ID, BatchSize: 2, Selection: test.sel}, listBatches(new([]int64)))
			if err != nil || !created {
				t.Fatalf("created %v, %v", created, err)
			}
			got, err := collect[int64](h.pool.Query(t.Context(),
				"SELECT i.consent_id FROM batches b JOIN items i ON i.batch_id = b.id WHERE b.run_id = $1 ORDER BY 1", again.ID))
			must(t, err)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if again.OfRun != run.ID || again.Kind != persist.Rerun || again.Expected != len(test.want) {
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
	h := newHouse(t)
	ctx := t.Context()
	run, ids := settledRun(t, h)
	rerun := func(of int64, sel persist.Selection) (persist.Run, []int64) {
		t.Helper()
		var batches []int64
		again, created, err := h.PlanRerun(ctx, persist.RerunSpec{OfRun: of, BatchSize: 10, Selection: sel}, listBatches(&batches))
		if err != nil || !created {
			t.Fatalf("created %v, %v", created, err)
		}
		return again, batches
	}
	settle := func(id int64, own, root persist.Verdict) {
		t.Helper()
		if v, settled, err := h.Settle(ctx, id); v != own || !settled || err != nil {
			t.Errorf("rerun settled as %q, %v, %v; want %q", v, settled, err, own)
		}
		r, err := h.RunByID(ctx, run.ID)
		if err != nil || r.Verdict != root {
			t.Errorf("the root is %q, %v; want %q", r.Verdict, err, root)
		}
	}
	first, batches := rerun(run.ID, persist.Selection{Failed: true})
	twin, created, err := h.PlanRerun(ctx, persist.RerunSpec{OfRun: run.ID, BatchSize: 10}, listBatches(new([]int64)))
	if err != nil || created || twin.ID != first.ID {
		t.Errorf("a second operator got run %d, created %v, %v; want run %d", twin.ID, created, err, first.ID)
	}
	h.work(t, batches[0], finance.Rows, finance.Failed)
	settle(first.ID, persist.VerdictPartial, persist.VerdictPartial)

	second, batches := rerun(first.ID, persist.Selection{})
	if second.OfRun != run.ID || second.Expected != 3 {
		t.Fatalf("the rerun of a rerun is %+v", second)
	}
	h.work(t, batches[0], finance.Rows, finance.Empty, finance.Rows)
	settle(second.ID, persist.VerdictComplete, persist.VerdictPartial) // one failed for a consent that has ended since
	if _, _, err := h.PlanRerun(ctx, persist.RerunSpec{OfRun: run.ID}, nil); !errors.Is(err, persist.ErrNothingToRerun) {
		t.Errorf("nothing is left to rerun: %v", err)
	}
	report, err := h.RunReport(ctx, run.ID)
	must(t, err)
	want := []persist.Counts{{Dataset: finance.Debts, Expected: 8, Rows: 5, Empty: 2, Failed: 1}}
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
	h := newHouse(t)
	h.consents(t, 1)
	run, _ := h.plan(t, 10)
	if _, _, err := h.PlanRerun(t.Context(), persist.RerunSpec{OfRun: run.ID}, nil); !errors.Is(err, persist.ErrUnsettled) {
		t.Errorf("a run that is going: %v", err)
	}
	if _, _, err := h.PlanRerun(t.Context(), persist.RerunSpec{OfRun: 1 << 40}, nil); !errors.Is(err, persist.ErrNotFound) {
		t.Errorf("a run there is not: %v", err)
	}
	if _, err := h.RerunCost(t.Context(), 1<<40, persist.Selection{}); !errors.Is(err, persist.ErrNotFound) {
		t.Errorf("a run there is not: %v", err)
	}
}

// A rerun of a backfill works the same window.
func TestRerunOfABackfill(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.consents(t, 1)
	s := spec(time.Now(), 10, finance.Debts)
	s.Kind, s.WindowFrom, s.WindowTo = persist.Backfill, finance.NewDate(2026, 1, 1), finance.NewDate(2026, 1, 31)
	var batches []int64
	run, _, err := h.PlanRun(t.Context(), s, listBatches(&batches))
	must(t, err)
	h.work(t, batches[0], finance.Failed)
	_, _, err = h.Settle(t.Context(), run.ID)
	must(t, err)
	batches = nil
	again, _, err := h.PlanRerun(t.Context(), persist.RerunSpec{OfRun: run.ID, BatchSize: 10}, listBatches(&batches))
	must(t, err)
	c := claim(t, h.Store, batches[0])
	if again.WindowFrom != s.WindowFrom || c.WindowTo != s.WindowTo || c.OfRun != run.ID || c.Kind != persist.Rerun {
		t.Errorf("rerun %+v, claimed %+v", again, c)
	}
}

func TestReportOfARunningRun(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	ids := h.consents(t, 3)
	run, batches := h.plan(t, 1)
	h.work(t, batches[0], finance.Rows)
	parked := claim(t, h.Store, batches[1])
	must(t, h.StartItem(ctx, batches[1], parked.Fence, ids[1], finance.Debts))
	call := newCall(debtStream(ids[1]))
	call.Scope.Run, call.Class = run.ID, finance.Throttled
	pause(t, h, finance.Pause{Bucket: "bank", For: time.Hour, Reason: "retry-after", Call: call})
	ok := newCall(debtStream(ids[0]))
	ok.Scope.Run = run.ID
	must(t, h.Record(ctx, ok))
	must(t, h.Park(ctx, batches[1], parked.Fence, persist.Parking{For: time.Hour, Reason: "retry-after"}))
	r, err := h.RunReport(ctx, run.ID)
	must(t, err)
	if !r.Running || r.Run.ID != run.ID || r.Wall <= 0 || r.ParkedUntil.Before(time.Now().Add(59*time.Minute)) || r.ParkReason != "retry-after" {
		t.Errorf("report %+v", r)
	}
	if r.Pauses != 1 || r.Paused < 59*time.Minute || r.Paused > time.Hour+time.Second || r.Calls != 2 {
		t.Errorf("%d pauses of %v, %d calls", r.Pauses, r.Paused, r.Calls)
	}
	if diff := cmp.Diff(persist.BatchCounts{Pending: 1, Parked: 1, Done: 1}, r.Batches); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]persist.Counts{{Dataset: finance.Debts, Expected: 3, Rows: 1, Missing: 2}}, r.Counts); diff != "" {
		t.Error(diff)
	}
	if _, err := h.RunReport(ctx, 1<<40); !errors.Is(err, persist.ErrNotFound) {
		t.Errorf("a run there is not: %v", err)
	}
	if r.Over.Name != run.Connection || r.Over.Parked {
		t.Errorf("the run's connection: %+v", r.Over)
	}
	if _, err := h.ParkConnection(ctx, run.Connection, finance.TokenDenied, "status 401"); err != nil {
		t.Fatal(err)
	}
	if r, err = h.RunReport(ctx, run.ID); err != nil || !r.Over.Parked || r.Over.ParkedReason != "status 401" {
		t.Errorf("the run's connection, parked: %+v, %v", r.Over, err)
	}
}

func TestRunsAreListed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	if _, ok, err := h.UnfinishedRun(ctx, "nightly"); ok || err != nil {
		t.Errorf("unfinished in an empty house: %v, %v", ok, err)
	}
	empty, _ := h.plan(t, 10)
	h.consents(t, 1)
	open, batches := h.plan(t, 10)
	if got, ok, err := h.UnfinishedRun(ctx, "nightly"); !ok || got.ID != open.ID || err != nil {
		t.Errorf("unfinished: %+v, %v, %v", got, ok, err)
	}
	for _, test := range []struct {
		name   string
		filter persist.RunFilter
		want   []int64
	}{
		{"all", persist.RunFilter{}, []int64{open.ID, empty.ID}},
		{"open", persist.RunFilter{Open: true}, []int64{open.ID}},
		{"verdict", persist.RunFilter{Verdict: persist.VerdictPartial}, []int64{empty.ID}},
		{"next page", persist.RunFilter{Before: open.ID}, []int64{empty.ID}},
		{"limit", persist.RunFilter{Limit: 1}, []int64{open.ID}},
		{"another job", persist.RunFilter{Job: "x"}, nil},
		{"another kind", persist.RunFilter{Kind: persist.Backfill}, nil},
	} {
		list, err := h.Runs(ctx, test.filter)
		must(t, err)
		var got []int64
		for _, r := range list {
			got = append(got, r.ID)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
	if ids, err := h.Unsettled(ctx); len(ids) != 0 || err != nil {
		t.Errorf("unsettled while a batch is open: %v, %v", ids, err)
	}
	h.work(t, batches[0], finance.Rows)
	if ids, err := h.Unsettled(ctx); len(ids) != 1 || ids[0] != open.ID || err != nil {
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
		want  persist.Verdict
	}{
		{finance.Spent, finance.Excused, persist.VerdictPartial},
		{finance.Spent, finance.Rows, persist.VerdictPartial},
		{finance.Spent, finance.Failed, persist.VerdictFailed},
		{finance.Unasked, finance.Rows, persist.VerdictPartial},
		{finance.Unasked, finance.Failed, persist.VerdictFailed},
		{finance.Refused, finance.Excused, persist.VerdictComplete},
		{finance.Withheld, finance.Rows, persist.VerdictComplete},
	} {
		t.Run(fmt.Sprint(test.class, test.other), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.consents(t, 2)
			run, batches := h.plan(t, 1)
			h.work(t, batches[0], finance.Excused)
			h.exec(t, "UPDATE items SET class = $1 WHERE outcome = 'excused'", test.class)
			h.work(t, batches[1], test.other)
			if v, _, err := h.Settle(t.Context(), run.ID); v != test.want || err != nil {
				t.Errorf("%q, %v; want %q", v, err, test.want)
			}
		})
	}
}
