package jobs_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/jobs"
	"syncer/persist/queue"
	"syncer/persist/read"
)

// listOf answers with pages of two of the rows that the list has just now, newest first. A row is an id, or an id and an
// amount: "3=-99".
func listOf(rows *atomic.Value) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		all := strings.Fields(rows.Load().(string))
		page := 1
		_, _ = fmt.Sscan(r.URL.Query().Get("page"), &page)
		var shown []string
		for _, row := range all[min(len(all), page*2-2):min(len(all), page*2)] {
			id, amount, changed := strings.Cut(row, "=")
			if !changed {
				amount = "-10"
			}
			shown = append(shown, fmt.Sprintf(`{"id": %q, "day": "2026-11-10", "amount": %q, "currency": "NOK", "text": "x"}`, id, amount))
		}
		if page*2 < len(all) {
			w.Header().Set("Link", fmt.Sprintf(`<?page=%d>; rel="next"`, page+1))
		}
		fmt.Fprintf(w, `{"rows": [%s]}`, strings.Join(shown, ", "))
	}
}

// failing answers as another does, but for one page.
func failing(page string, good http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page") == page {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		good(w, r)
	}
}

const amounts = "SELECT transaction_id || '=' || amount FROM transactions WHERE removed_at IS NULL ORDER BY 1"

// A page whose rows came by another page in between is read when its old bytes return.
func TestAPageThatComesBackIsRead(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 1, "a1")
	var rows atomic.Value
	a.answers(txPath("c0", "a1"), listOf(&rows))
	n := a.start(nodeOptions{more: a})
	night := func(list string, want ...string) {
		t.Helper()
		rows.Store(list)
		if r := a.run(n, a.name); r.Run.Verdict != queue.VerdictComplete {
			t.Fatalf("%s: %s, %+v", list, r.Run.Verdict, r.NotComplete)
		}
		if diff := cmp.Diff(want, a.texts(amounts)); diff != "" {
			t.Errorf("after %s:\n%s", list, diff)
		}
	}
	night("1 2 3", "1=-10", "2=-10", "3=-10")
	night("3=-99 1", "1=-10", "2=-10", "3=-99")
	night("1 2 3", "1=-10", "2=-10", "3=-10")
	night("1 2 3", "1=-10", "2=-10", "3=-10")
	if asked := a.number("SELECT count(*) FROM calls WHERE answer_id IS NOT NULL AND dataset = 'transactions'"); asked < 2 {
		t.Errorf("%d pages were passed over: the shortcut is never taken, and nothing is proven", asked)
	}
}

// A pass that broke off goes on the next night where it was, and reads what has come to the first pages since.
func TestABrokenPassReadsWhatIsNewToo(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 1, "a1")
	var rows atomic.Value
	rows.Store("1 2 3 4 5 6")
	list := listOf(&rows)
	a.answers(txPath("c0", "a1"), failing("2", list))
	n := a.start(nodeOptions{more: a})
	if r := a.run(n, a.name); r.Run.Verdict == queue.VerdictComplete {
		t.Fatal("a page failed, and the run is complete")
	}
	a.answers(txPath("c0", "a1"), list)
	rows.Store("new 1 2 3 4 5 6")
	a.took()
	if r := a.run(n, a.name); r.Run.Verdict != queue.VerdictComplete {
		t.Fatalf("%s, %+v", r.Run.Verdict, r.NotComplete)
	}
	want := []string{"1=-10", "2=-10", "3=-10", "4=-10", "5=-10", "6=-10", "new=-10"}
	if diff := cmp.Diff(want, a.texts(amounts)); diff != "" {
		t.Error(diff)
	}
	// The list of accounts, pages 2 to 4, and of the first pages the one with something new and the one without.
	if asked := a.took(); len(asked) != 6 {
		t.Errorf("%d calls: %q", len(asked), asked)
	}
}

// A backfill writes rows that the nightly pages show too: those pages are read once more, although their bytes are known.
func TestABackfillMakesTheNightlyPagesNews(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 1, "a1")
	a.dated = true
	var rows atomic.Value
	rows.Store("1 2")
	a.answers(txPath("c0", "a1"), listOf(&rows))
	n := a.start(nodeOptions{more: a})
	run := func(list string, r read.Report, want string) {
		t.Helper()
		if got := strings.Join(a.texts(amounts), " "); r.Run.Verdict != queue.VerdictComplete || got != want {
			t.Errorf("%s: %s, %s", list, r.Run.Verdict, got)
		}
	}
	run("1 2", a.run(n, a.name), "1=-10 2=-10")
	rows.Store("1=-99 2")
	job, err := n.Job(a.name)
	a.must(err)
	plan, err := n.Backfill(t.Context(), job, jobs.BackfillSpec{Windows: jobs.Windows(finance.NewDate(2026, 11, 1), finance.NewDate(2026, 11, 20), 30)})
	runs := plan.Runs
	a.must(err)
	run("the backfill", a.settled(n, runs[0]), "1=-99 2=-10")
	rows.Store("1 2")
	run("1 2 again", a.run(n, a.name), "1=-10 2=-10")
}
