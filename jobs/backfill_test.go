package jobs_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/jobs"
	"syncer/persist/queue"
)

// daysAsked are the ranges of days that an aggregator was asked for.
type daysAsked struct {
	mu     sync.Mutex
	ranges []string
	fails  bool
}

func (d *daysAsked) serve(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ranges = append(d.ranges, r.URL.Query().Get("from")+".."+r.URL.Query().Get("to"))
	if d.fails {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"rows": []}`))
}

func (d *daysAsked) fail(yes bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails = yes
}

func (d *daysAsked) took() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer func() { d.ranges = nil }()
	return slices.Clone(d.ranges)
}

// A window is read from its first day on, however often it was read before; a nightly stream goes on
// behind its position. Windows that are proven are not read again, unless somebody wants them all.
func TestABackfillBeginsAtItsFirstDay(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 1, "a1")
	a.dated = true
	var days daysAsked
	a.answers(txPath("c0", "a1"), days.serve)
	n := a.start(nodeOptions{more: a})
	job, err := n.Job(a.name)
	a.must(err)
	windows := jobs.Windows(finance.NewDate(2026, 9, 1), finance.NewDate(2026, 10, 20), 30)
	both := []string{"2026-09-01..2026-09-30", "2026-10-01..2026-10-20"}
	backfill := func(what string, again bool, want []string, verdicts ...queue.Verdict) {
		t.Helper()
		plan, err := n.Backfill(t.Context(), job, jobs.BackfillSpec{Windows: windows, Again: again})
		a.must(err)
		var got []queue.Verdict
		for _, run := range plan.Runs {
			got = append(got, a.settled(n, run).Run.Verdict)
		}
		asked := days.took()
		slices.Sort(asked) // side by side, where two batches are worked
		if diff := cmp.Diff(want, asked); diff != "" {
			t.Errorf("%s asked for (-want +got):\n%s", what, diff)
		}
		if diff := cmp.Diff(verdicts, got); diff != "" {
			t.Errorf("%s came to (-want +got):\n%s", what, diff)
		}
	}
	backfill("the first", false, both, queue.VerdictComplete, queue.VerdictComplete)
	backfill("the same", false, nil)
	backfill("the same again", true, both, queue.VerdictComplete, queue.VerdictComplete)
	days.fail(true)
	backfill("one that fails", true, both, queue.VerdictFailed, queue.VerdictFailed)
	days.fail(false)
	backfill("the rest of it", false, both, queue.VerdictComplete, queue.VerdictComplete)
	backfill("what is left", false, nil)
}

// What the jobs of a connection take of a consent's reads in a day.
func TestReadsADay(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	job := func(expr string, datasets ...finance.Dataset) jobs.Job {
		j := jobs.Job{Datasets: datasets}
		if expr != "" {
			var err error
			if j.Schedule, err = jobs.ParseSchedule(expr, time.UTC); err != nil {
				t.Fatal(err)
			}
		}
		return j
	}
	for want, all := range map[int][]jobs.Job{
		0: nil,
		2: {job("", finance.Accounts, finance.Transactions)},
		3: {job("30 2 * * *", finance.Transactions), job("0 */12 * * *", finance.Accounts)},
		1: {job("30 2 * * 1", finance.Transactions)}, // tomorrow is a Monday
	} {
		if got := jobs.ReadsADay(all, now); got != want {
			t.Errorf("%d reads a day, want %d", got, want)
		}
	}
	if got := jobs.ReadsADay([]jobs.Job{job("30 2 * * 3", finance.Transactions)}, now); got != 0 {
		t.Errorf("%d reads on a day on which the job does not fire", got)
	}
}

// The windows of a consent are read one right after the other, oldest first, and a run that comes
// meanwhile goes before those that are not begun. Nobody waits for a sweep.
func TestTheNightGoesBeforeTheWindows(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 1, "a1")
	a.dated = true
	var days daysAsked
	reached, goOn := make(chan struct{}), make(chan struct{})
	var first sync.Once
	a.answers(txPath("c0", "a1"), func(w http.ResponseWriter, r *http.Request) {
		first.Do(func() {
			close(reached)
			<-goOn
		})
		days.serve(w, r)
	})
	n := a.start(nodeOptions{more: a, sweep: time.Hour})
	job, err := n.Job(a.name)
	a.must(err)
	windows := jobs.Windows(finance.NewDate(2026, 1, 1), finance.NewDate(2026, 6, 29), 15)
	plan, err := n.Backfill(t.Context(), job, jobs.BackfillSpec{Windows: windows})
	a.must(err)
	<-reached
	night := a.fire(n, a.name)
	a.eventually("the night stands in line", func() bool {
		return a.number("SELECT count(*) FROM batches WHERE run_id = $1 AND asked_at IS NOT NULL", night.ID) == 1
	})
	close(goOn)
	for _, run := range append(plan.Runs, night) {
		if r := a.settled(n, run); r.Run.Verdict != queue.VerdictComplete {
			t.Errorf("run %d: %s %+v", run.ID, r.Run.Verdict, r.NotComplete)
		}
	}
	asked := days.took()
	var want []string
	for _, w := range windows {
		want = append(want, w.From.String()+".."+w.To.String())
	}
	if len(asked) < 2 || len(asked) != len(want)+1 {
		t.Fatalf("asked for %d ranges of days: %q", len(asked), asked)
	}
	if diff := cmp.Diff(want, slices.Delete(slices.Clone(asked), 1, 2)); diff != "" {
		t.Errorf("windows, without what was asked second (-want +got):\n%s", diff)
	}
	const gaps = `SELECT (1000 * percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM gap)))::int FROM (
		SELECT claimed_at - lag(finished_at) OVER (ORDER BY claimed_at) AS gap FROM batches) x`
	if ms := a.number(gaps); ms > 500 {
		t.Errorf("between two windows lie %d ms", ms)
	}
}
