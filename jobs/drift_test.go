package jobs_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"syncer/finance"
	"syncer/persist/queue"
	"syncer/persist/read"
)

// A text that has moved to another member is null in every row, and each row may be right. The run says
// so, in the log once and in its report; its verdict is what the data proves. A night of the same bytes
// says nothing, and does not end it; nor does a backfill, whose days may have held other things.
func TestDriftIsSaid(t *testing.T) {
	t.Parallel()
	const consents, rows = 24, 10
	a := newAggregator(t, consents, "a1")
	log := &lines{}
	n := a.start(nodeOptions{more: a, log: zerolog.New(log)})
	texts := func(member string) {
		for c := range consents {
			id := fmt.Sprintf("c%d", c)
			a.answers(txPath(id, "a1"), func(w http.ResponseWriter, _ *http.Request) {
				var list []string
				for i := range rows {
					list = append(list, fmt.Sprintf(`{"id": "%s-%d", "day": "2026-11-10", "amount": "-10.00", `+
						`"currency": "NOK", %q: "purchase"}`, id, i, member))
				}
				fmt.Fprintf(w, `{"rows": [%s]}`, strings.Join(list, ","))
			})
		}
	}
	night := func(what string, drifts ...string) read.Report {
		t.Helper()
		r := a.run(n, a.name)
		if r.Run.Verdict != queue.VerdictComplete {
			t.Errorf("%s: %s: %+v", what, r.Run.Verdict, r.NotComplete)
		}
		var got []string
		for _, d := range r.Drifts {
			got = append(got, d.Kind+"."+d.Member)
		}
		if diff := cmp.Diff(drifts, got); diff != "" {
			t.Errorf("%s: drifts (-want +got):\n%s", what, diff)
		}
		return r
	}
	listed := func(want int) {
		t.Helper()
		list, err := a.store.Read.Drifts(t.Context())
		a.must(err)
		if len(list) != want {
			t.Errorf("%d drifts are listed, want %d: %v", len(list), want, list)
		}
	}
	texts("text")
	night("the first")
	night("a quiet one")
	texts("description")
	r := night("the drift", "transactions.text")
	want := fmt.Sprintf("transactions.text: in %d of %d records of the run before, "+
		"in none of %d records of %d consents",
		consents*rows, consents*rows, consents*rows, consents)
	if r.Drifts[0].String() != want {
		t.Errorf("%s, want %s", r.Drifts[0], want)
	}
	const said = "members that most records had are in no record of this run: "
	a.eventually("the log has the drift", func() bool { return len(log.with(said+want)) == 1 })
	if n := a.number("SELECT count(*) FROM transactions WHERE text IS NULL"); n != consents*rows {
		t.Errorf("%d rows are without a text: the drift is none", n)
	}
	night("a quiet one behind it")
	listed(1)
	texts("text")
	// Most of the runs before it had extra.description in no record.
	night("mended")
	listed(0)
	if all := log.with(said); len(all) != 1 {
		t.Errorf("the log says it %d times: %v", len(all), all)
	}
}

// The drift of a whole connector is said of each of its members, also where its batches count side by side.
func TestDriftOfAWholeConnector(t *testing.T) {
	t.Parallel()
	const consents, debts = 20, 10
	a := newAggregator(t, consents)
	a.datasets = []finance.Dataset{finance.Debts}
	n := a.start(nodeOptions{more: a, batchSize: 3})
	answer := func(record string) {
		for c := range consents {
			a.answers(fmt.Sprintf("c%d/debt", c), func(w http.ResponseWriter, _ *http.Request) {
				var list []string
				for i := range debts {
					list = append(list, fmt.Sprintf(`{"id": "%d", %s}`, i, record))
				}
				fmt.Fprintf(w, `{"debts": [%s]}`, strings.Join(list, ","))
			})
		}
	}
	answer(`"creditor": "Fjord", "balance": 5, "made": "2026-11-10T04:00:00Z"`)
	a.run(n, a.name)
	answer(`"lender": "Fjord", "amount": 5, "at": "2026-11-10T04:00:00Z"`)
	r := a.run(n, a.name)
	var got []string
	for _, d := range r.Drifts {
		got = append(got, fmt.Sprintf("%s %d of %d", d.Member, d.Records, d.Consents))
	}
	want := []string{"balance 200 of 20", "creditor 200 of 20", "reported_at 200 of 20"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: (-want +got):\n%s", r.Run.Verdict, diff)
	}
}

// A member that had no column and has one now is read as before, and not missing.
func TestAColumnForAMemberIsNoDrift(t *testing.T) {
	t.Parallel()
	const consents, rows = 20, 10
	a := newAggregator(t, consents, "a1")
	for c := range consents {
		a.answers(txPath(fmt.Sprintf("c%d", c), "a1"), func(w http.ResponseWriter, _ *http.Request) {
			var list []string
			for i := range rows {
				list = append(list, fmt.Sprintf(`{"id": "%d", "day": "2026-11-10", "amount": "-10.00", `+
					`"currency": "NOK", "ref": "R"}`, i))
			}
			fmt.Fprintf(w, `{"rows": [%s]}`, strings.Join(list, ","))
		})
	}
	first := a.start(nodeOptions{more: a})
	a.run(first, a.name)
	first.stop()
	a.columns = "\n      code: ref"
	n := a.start(nodeOptions{more: a})
	for _, night := range []string{"the first with the column", "the next"} {
		if r := a.run(n, a.name); len(r.Drifts) > 0 || r.Run.Verdict != queue.VerdictComplete {
			t.Errorf("%s: %s, %v", night, r.Run.Verdict, r.Drifts)
		}
	}
	if n := a.number("SELECT count(*) FROM transactions WHERE code = 'R'"); n != consents*rows {
		t.Errorf("%d rows have it", n)
	}
	if n := a.number("SELECT count(DISTINCT reader) FROM run_members WHERE reader LIKE 'rest-%'"); n != 2 {
		t.Errorf("the counts are of %d descriptions", n)
	}
	if n := a.number("SELECT count(*) FROM batches WHERE counted <> 1 OR claims <> 1"); n != 0 {
		t.Errorf("%d claims have not told what they read", n)
	}
}
