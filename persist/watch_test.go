package persist_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/persist/read"
)

// TestAWatchTellsWhatAReportTells looks at a run in every state that its batches come to, with one Watch from the beginning.
func TestAWatchTellsWhatAReportTells(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 4)
	run, batches := h.plan(t, 2, finance.Debts, finance.Transactions)
	if len(batches) != 2 {
		t.Fatalf("%d batches, want 2", len(batches))
	}
	watch := h.Read.Watch(run.ID)
	looks := func(when string) {
		t.Helper()
		want, err := h.Read.Report(t.Context(), run.ID)
		must(t, err)
		var got read.Report
		for until := time.Now().Add(time.Minute); ; { // the calls are counted at intervals
			got, err = watch.Look(t.Context())
			must(t, err)
			if got.Calls == want.Calls || time.Now().After(until) {
				break
			}
		}
		told := func(r read.Report) string {
			return fmt.Sprintf("%+v, %d calls, %+v, %s", r.Counts, r.Calls, r.Batches, r.Run.Verdict)
		}
		if diff := cmp.Diff(told(want), told(got)); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
	}
	looks("planned")
	c := claim(t, h.Store, batches[0])
	looks("claimed")
	items, err := h.Queue.Items(t.Context(), batches[0])
	must(t, err)
	decide := func(batch, fence int64, i int, o finance.Outcome) {
		t.Helper()
		item := items[i]
		must(t, h.Queue.DecideItem(t.Context(), batch, fence, item.Consent.ID, item.Dataset, decision(o)))
		h.exec(t, `UPDATE items SET records = 7, inserted = 4, updated = 2, removed = 1, quarantined = 3, figures = 9
			WHERE batch_id = $1 AND consent_id = $2 AND dataset = $3`, batch, item.Consent.ID, item.Dataset)
		call := newCall(debtStream(item.Consent.ID))
		call.Task.Run = run.ID
		must(t, h.Admit.Record(t.Context(), call))
	}
	decide(batches[0], c.Fence, 0, finance.Rows)
	looks("one is decided")
	must(t, h.Queue.Release(t.Context(), batches[0], c.Fence))
	looks("given back")
	c = claim(t, h.Store, batches[0])
	decide(batches[0], c.Fence, 1, finance.Failed)
	decide(batches[0], c.Fence, 2, finance.Partial)
	decide(batches[0], c.Fence, 3, finance.Excused)
	looks("all of a batch are decided")
	must(t, h.Queue.Finish(t.Context(), batches[0], c.Fence))
	looks("a batch is done")
	looks("nothing has changed")
	h.work(t, batches[1], finance.Rows, finance.Empty, finance.Rows, finance.Failed)
	// It bears an end that lies before the last look: its transaction took so long.
	h.exec(t, "UPDATE batches SET finished_at = finished_at - interval '30 s' WHERE id = $1", batches[1])
	looks("the other one is done, too")
	_, _, err = h.Queue.Settle(t.Context(), run.ID)
	must(t, err)
	looks("settled")
	h.exec(t, "UPDATE items SET records = records + 1")
	looks("settled, and something was changed since")
}

// TestALookCostsWhatIsAtWork compares the first look at a large run, which counts all of its items, with those that follow.
// SYNCER_TEST_ITEMS is how large it is.
func TestALookCostsWhatIsAtWork(t *testing.T) {
	h := newFixture(t)
	h.consents(t, 1)
	items := 100_000
	if text := os.Getenv("SYNCER_TEST_ITEMS"); text != "" {
		n, err := strconv.Atoi(text)
		must(t, err)
		items = n
	}
	run, _ := h.plan(t, 1)
	h.exec(t, `INSERT INTO batches (run_id, seq, state, claims, finished_at)
		SELECT $1, n, 'done', 1, now() - interval '1 hour' FROM generate_series(2, $2::int / 100) n`, run.ID, items)
	h.exec(t, `INSERT INTO items (batch_id, consent_id, dataset, outcome, finished_at)
		SELECT b.id, 1000 * b.id + n, 'debt', 'rows', now() FROM batches b, generate_series(1, 100) n WHERE b.state = 'done'`)
	h.exec(t, "VACUUM ANALYZE items, batches")
	watch := h.Read.Watch(run.ID)
	look := func() time.Duration {
		began := time.Now()
		r, err := watch.Look(t.Context())
		must(t, err)
		if c := r.Counts[0]; c.Rows != items-100 || c.Expected != items-100+1 || c.Missing != 1 {
			t.Fatalf("%+v", c)
		}
		return time.Since(began)
	}
	first := look()
	next := look()
	for range 4 {
		next = min(next, look())
	}
	began := time.Now()
	_, err := h.Read.Report(t.Context(), run.ID)
	must(t, err)
	report := time.Since(began)
	t.Logf("%d items: the first look took %v, the next ones %v, a report %v", items, first, next, report)
	if next > first/4 {
		t.Errorf("a look took %v, and the first one, which counts all, %v", next, first)
	}
}
