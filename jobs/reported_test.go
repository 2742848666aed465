package jobs

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/write"
)

func TestWhatIsRememberedOfTimes(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	times := func(days map[string]int) finance.Reported {
		r := finance.Reported{}
		for id, day := range days {
			r.Note(id, time.Date(2026, 11, day, 0, 0, 0, 0, time.UTC))
		}
		return r
	}
	page := func(days map[string]int) fetch.Page {
		var p fetch.Page
		for id, day := range days {
			debt := finance.Debt{ID: id}
			if day > 0 { // else its time is not told
				debt.ReportedAt = time.Date(2026, 11, day, 0, 0, 0, 0, time.UTC)
			}
			p.Records.Debts = append(p.Records.Debts, debt)
		}
		return p
	}
	lacking := page(map[string]int{"b": 5})
	lacking.Partial = "something"
	type days = map[string]int
	for _, c := range []struct {
		what  string
		last  days
		pages []fetch.Page // the last one ends a pass that has read all
		want  days         // nil: as before
	}{
		{"nothing is told", nil, []fetch.Page{page(nil)}, nil},
		{"the first time", nil, []fetch.Page{page(days{"a": 1})}, days{"a": 1}},
		{"one has gone", days{"a": 1, "b": 2}, []fetch.Page{page(days{"a": 3})}, days{"a": 3}},
		{"all have gone", days{"a": 1}, []fetch.Page{page(nil)}, nil},
		{"as it was", days{"a": 1}, []fetch.Page{{Unchanged: true}}, nil},
		{"two pages", days{"z": 1}, []fetch.Page{page(days{"a": 3}), page(days{"b": 4})}, days{"a": 3, "b": 4}},
		{"a page was not decoded", days{"z": 1},
			[]fetch.Page{{Unchanged: true}, page(days{"b": 4})}, days{"z": 1, "b": 4}},
		{"what was held back is not forgotten", days{"a": 4}, []fetch.Page{lacking}, days{"a": 4, "b": 5}},
		{"a time that lies far ahead", days{"a": 4}, []fetch.Page{page(days{"a": 22})}, days{"a": 4}},
		{"a time is not told any more", days{"a": 4, "b": 2, "c": 3}, []fetch.Page{page(days{"a": 0, "b": 5})},
			days{"a": 4, "b": 5}},
		{"none is told any more", days{"a": 4, "b": 2}, []fetch.Page{page(days{"a": 0})}, days{"a": 4}},
	} {
		r := newReports(write.StreamState{Reported: times(c.last)})
		var got finance.Reported
		for i, p := range c.pages {
			got = r.add(p, i == len(c.pages)-1, clock)
		}
		want := times(c.want)
		if c.want == nil {
			want = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
}
