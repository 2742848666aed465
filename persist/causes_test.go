package persist_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"syncer/finance"
	"syncer/persist/plan"
	"syncer/persist/queue"
	"syncer/persist/read"
)

// likeFailures gives a run n items that have failed alike, and some of other causes.
func likeFailures(t *testing.T, h *fixture, n int) queue.Run {
	t.Helper()
	ids := h.consents(t, n)
	run, _ := h.plan(t, 500, finance.Debts)
	h.exec(t, `UPDATE items SET outcome = 'failed', class = 'transient', started_at = now(),
			finished_at = now() + (consent_id - $1) * interval '1 ms',
			correlation_id = 'trace-' || md5(consent_id::text),
			call_id = gen_random_uuid(),
			reason = 'status 500: no answer of the register for ' || gen_random_uuid() || ' at ' || now() || ' (trace-' || md5(consent_id::text) || ')'`,
		ids[0])
	for i, change := range []string{
		`outcome = 'rows', class = NULL, reason = NULL`,
		`outcome = NULL, class = NULL, reason = NULL, finished_at = NULL`,
		`outcome = 'excused', class = 'spent', reason = 'daily reads spent: next at 2026-11-21T02:30:00Z'`,
		`outcome = 'excused', class = 'spent', reason = 'daily reads spent: next at 2026-11-21T14:30:00Z'`,
		`outcome = 'partial', class = 'malformed', reason = 'records could not be read and are in quarantine: 3'`,
	} {
		h.exec(t, `UPDATE items SET `+change+` WHERE consent_id = $1`, ids[i])
	}
	return run
}

func TestLikeFailuresAreOneCause(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	const n = 3000
	run := likeFailures(t, h, n)
	r, err := h.Read.Report(t.Context(), run.ID)
	must(t, err)
	got := ""
	for _, c := range r.Causes.List {
		got += fmt.Sprintf("%s %s %d; ", c.Outcome, c.Class, c.Items)
	}
	if want := fmt.Sprintf("failed transient %d; partial malformed 1; excused spent 2;   1; ", n-5); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if r.Causes.Items != n-1 || r.Causes.More != 0 || r.Causes.Unread != 2 {
		t.Errorf("%+v", r.Causes)
	}
	alike := r.Causes.List[0]
	if alike.First.Consent >= alike.Newest.Consent || alike.Newest.Consent-alike.First.Consent != n-6 ||
		alike.First.Correlation == "" || alike.First.Call.IsZero() || !alike.First.At.Before(alike.Newest.At) {
		t.Errorf("the first is %+v, the newest %+v", alike.First, alike.Newest)
	}
	plan, err := h.Read.RerunCauses(t.Context(), run.ID, plan.Selection{Partial: true})
	must(t, err)
	if plan.Items != 1 || len(plan.List) != 1 || plan.List[0].Outcome != finance.Partial {
		t.Errorf("a rerun of the partial ones takes %+v", plan)
	}
	own, err := h.Read.OwnCauses(t.Context(), run.ID)
	must(t, err)
	if own.Items != n-1 {
		t.Errorf("of its own the run has %d items that are not complete", own.Items)
	}
}

func TestCausesThatAllDifferAreCounted(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	const n = 1500
	run := likeFailures(t, h, n)
	// Words without a digit, so each reason is a kind of its own.
	h.exec(t, `UPDATE items SET reason = translate(consent_id::text, '0123456789', 'abcdefghij') WHERE outcome = 'failed'`)
	r, err := h.Read.Report(t.Context(), run.ID)
	must(t, err)
	listed := 0
	for _, c := range r.Causes.List {
		listed += c.Items
	}
	if len(r.Causes.List) != read.ListedCauses || r.Causes.More == 0 || listed+r.Causes.MoreItems != n-1 {
		t.Errorf("%d causes with %d items are listed, %d with %d are not", len(r.Causes.List), listed, r.Causes.More, r.Causes.MoreItems)
	}
	if r.Causes.List[0].Items < 400 {
		t.Errorf("those beyond the bound of memory are not counted as one: %+v", r.Causes.List[0])
	}
}

// The list of items is handed on while it is read, and who has enough of it ends it.
func TestItemsAreGivenOneAfterTheOther(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	run := likeFailures(t, h, 30)
	given, enough := 0, errors.New("enough")
	var last finance.Outcome
	err := h.Read.EachNotComplete(t.Context(), run, func(i read.OpenItem) error {
		given++
		last = i.Outcome
		return nil
	})
	if err != nil || given != 29 || last != "" {
		t.Errorf("%d items, the last is %q: %v", given, last, err)
	}
	err = h.Read.EachNotComplete(t.Context(), run, func(read.OpenItem) error { return enough })
	if !errors.Is(err, enough) {
		t.Errorf("it went on: %v", err)
	}
	must(t, h.Read.EachNotComplete(t.Context(), run, func(read.OpenItem) error { return nil }))
}

// Ten thousand items with long reasons are grouped and listed in the memory of a few. It is not parallel, since it looks at the
// memory of the whole process.
func TestItemsAreNotHeldInMemory(t *testing.T) {
	h := newFixture(t)
	h.consents(t, 1)
	run, _ := h.plan(t, 10, finance.Debts)
	const items, reason = 10_000, 2_000
	h.exec(t, `INSERT INTO items (batch_id, consent_id, dataset, outcome, class, reason, finished_at)
		SELECT (SELECT max(id) FROM batches), 1000000 + n, 'debt', 'failed', 'rejected', repeat('word ', $2 / 5) || n, now()
		FROM generate_series(1, $1::int) n`, items, reason)
	inUse := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before, most, given := inUse(), 0, 0
	must(t, h.Read.EachNotComplete(t.Context(), run, func(read.OpenItem) error {
		if given++; given%2_000 == 0 {
			most = max(most, inUse()-before)
		}
		return nil
	}))
	if given != items+1 || most > items*reason/4 {
		t.Errorf("%d items of %d bytes take %d bytes of memory", given, reason, most)
	}
	causes, err := h.Read.OwnCauses(t.Context(), run.ID)
	must(t, err)
	if causes.Items != items+1 || len(causes.List) != 2 {
		t.Errorf("%d items of %d causes", causes.Items, len(causes.List))
	}
	t.Logf("%d bytes of reasons, at most %d bytes of memory", items*reason, most)
}
