package persist_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/persist/read"
)

// The first day that a stream was asked for is kept, and a history that begins earlier is a gap, until backfills cover it.
func TestHistoryGap(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 3)
	w := newWriter(h.pool)
	day := finance.NewDate(2026, 11, 20)
	committed := func(s finance.Stream, since finance.Date, midPass bool) {
		t.Helper()
		p := newPage(s, "p")
		p.Since, p.MidPass = since, midPass
		commitAll(t, w, p)
	}
	gap := func(since finance.Date, want read.HistoryGap, purposes ...string) {
		t.Helper()
		got, err := h.Read.HistoryGap(t.Context(), "bank", since, purposes)
		must(t, err)
		if got.Streams == 0 {
			got = read.HistoryGap{}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("since %s: %s", since, diff)
		}
	}
	a, b, ended := transactionsStream(ids[0], "a"), transactionsStream(ids[1], "b"), transactionsStream(ids[2], "c")
	committed(a, 0, true)
	committed(a, day, false)
	committed(a, day+30, false) // the first one is kept
	committed(b, day-10, false)
	committed(ended, day+100, false)
	h.exec(t, `UPDATE consents SET status = 'revoked', ended_at = now() WHERE id = $1`, ids[2])
	h.exec(t, `UPDATE consents SET purpose = 'credit' WHERE id = $1`, ids[0])
	at, err := w.StreamState(t.Context(), a)
	must(t, err)
	if at.Since != day {
		t.Errorf("the first day of a is %s, want %s", at.Since, day)
	}

	gap(day, read.HistoryGap{})
	gap(day-1, read.HistoryGap{}) // calendars differ by a day
	gap(day-2, read.HistoryGap{Streams: 1, From: day - 2, To: day - 1})
	gap(day-40, read.HistoryGap{Streams: 2, From: day - 40, To: day - 1})
	gap(day-40, read.HistoryGap{Streams: 1, From: day - 40, To: day - 1}, "credit", "other")

	fill := func(s finance.Stream, from, to finance.Date, midPass bool) {
		t.Helper()
		s.Span = from.String() + ".." + to.String()
		committed(s, 0, midPass)
	}
	fill(a, day-40, day-21, false)
	fill(a, day-20, day-1, true)
	gap(day-40, read.HistoryGap{Streams: 2, From: day - 40, To: day - 1})
	fill(a, day-20, day-1, false)
	gap(day-40, read.HistoryGap{Streams: 1, From: day - 40, To: day - 11})
	gap(day-39, read.HistoryGap{Streams: 1, From: day - 39, To: day - 11}) // the next night
	gap(day-50, read.HistoryGap{Streams: 2, From: day - 50, To: day - 1})

	for days, calls := range map[int]int{1: 3, 90: 3, 91: 6, 720: 24} {
		g := read.HistoryGap{Streams: 3, From: day.AddDays(-days), To: day - 1}
		if got := g.Calls(); got != calls {
			t.Errorf("%d days: %d calls, want %d", days, got, calls)
		}
	}
}
