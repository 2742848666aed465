package vipps

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
)

// nights reads pass after pass, and gives what each said is missing and what it asked for.
func nights(t *testing.T, s *script, by string, since finance.Date, n int) (partials []string, asked [][]string, rows int) {
	t.Helper()
	r, in, at, all := play(t, s, settings(func(s *Settings) { s.ReadBy = by })), stream("410001"), "", map[string]finance.Transaction{}
	in.Since = since
	before := 0
	for range n {
		pages := r.mustRead(t, in, at)
		at = pages[len(pages)-1].Next
		got, partial := byKey(pages)
		for id, x := range got {
			all[id] = x
		}
		partials = append(partials, partial)
		var paths []string
		for _, path := range s.data()[before:] {
			if _, rest, ok := strings.Cut(path, "/funds/"); ok {
				paths = append(paths, rest)
			}
		}
		asked, before = append(asked, paths), len(s.data())
	}
	return partials, asked, len(all)
}

// TestABreakIsReadAgain: an answer that has lost a row is healed by the next run, which reads from before it. A break
// that is the provider's own is told twice and then left.
func TestABreakIsReadAgain(t *testing.T) {
	a, b, c, d := on(move("a", 0, 5, 5)), on(move("b", 5, 1, 6)), on(move("c", 6, 1, 7)), on(move("d", 7, 1, 8))
	first := func(at string) string {
		return "the running balance of funds breaks 1 times, first at row " + at + " of its answer, booked " + today.String() + ": rows may be missing or doubled; all rows were kept; "
	}
	const next, last = "the next run reads from there once more", "this was the second reading"
	fees := page(caughtUp)
	for name, x := range map[string]struct {
		answers  []answer
		partials []string
		asked    [][]string
		rows     int
	}{
		"a row that one answer has lost": {
			[]answer{feedPage("MQ==", false, a), feedPage("Mg==", false, c), feedPage("Mw==", true, d), fees,
				feedPage("Mg==", false, b, c), feedPage("Mw==", true, d), fees, feedPage("Mw==", true), fees},
			[]string{first("0") + next, "", ""},
			[][]string{{"feed", "feed?cursor=MQ%3D%3D", "feed?cursor=Mg%3D%3D"}, {"feed?cursor=MQ%3D%3D", "feed?cursor=Mg%3D%3D"}, {"feed?cursor=Mw%3D%3D"}}, 4,
		},
		"a row that the provider has lost": {
			[]answer{feedPage("MQ==", true, a, c), fees, feedPage("MQ==", true, a, c), fees, feedPage("MQ==", true), fees},
			[]string{first("1") + next, first("1") + last, ""},
			[][]string{{"feed"}, {"feed"}, {"feed?cursor=MQ%3D%3D"}}, 2,
		},
		"two breaks, read again from the first": {
			[]answer{feedPage("MQ==", false, b, d), feedPage("Mg==", true, a), fees, feedPage("MQ==", false, b, c), feedPage("Mg==", true, d), fees},
			[]string{first("1") + next + first("0") + next, ""},
			[][]string{{"feed", "feed?cursor=MQ%3D%3D"}, {"feed", "feed?cursor=MQ%3D%3D"}}, 4,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{answers: x.answers}
			partials, asked, rows := nights(t, s, byFeed, 0, len(x.partials))
			if diff := cmp.Diff(x.partials, partials) + cmp.Diff(x.asked, asked); diff != "" || rows != x.rows {
				t.Errorf("%d rows: %s", rows, diff)
			}
		})
	}
}

func TestABrokenDayIsReadAgain(t *testing.T) {
	dates := func(days ...int) (paths []string) {
		for _, back := range days {
			paths = append(paths, "dates/"+today.AddDays(-back).String())
		}
		return paths
	}
	day := func(rows ...string) answer { return datePage("false", "null", rows...) }
	a, b, c := move("a", 0, 5, 5), move("b", 5, 1, 6), move("c", 6, 1, 7)
	open := page(openDate)
	s := &script{answers: []answer{
		day(a), day(c), open, open, // the day before yesterday, yesterday without its first row, today, the fees
		day(b, c), open, open,
		open, open,
	}}
	partials, asked, rows := nights(t, s, byDates, today.AddDays(-2), 3)
	if diff := cmp.Diff([][]string{dates(2, 1, 0), dates(1, 0), dates(0)}, asked); diff != "" || rows != 3 {
		t.Errorf("%d rows: %s", rows, diff)
	}
	if !strings.HasPrefix(partials[0], "the running balance of funds breaks 1 times") || partials[1]+partials[2] != "" {
		t.Errorf("%q", partials)
	}
	// A break between two days that stays is told twice: the second reading knows the balance before the day.
	s = &script{answers: []answer{day(a), day(c), open, open, day(c), open, open, open, open}}
	partials, _, rows = nights(t, s, byDates, today.AddDays(-2), 3)
	if rows != 2 || !strings.HasSuffix(partials[1], "this was the second reading") || partials[2] != "" {
		t.Errorf("%d rows, %q", rows, partials)
	}
	// The first day of all has nothing before it, and is read again although the oldest day wanted moves on.
	s = &script{answers: []answer{day(a, c), open, open, day(a, b, c), open, open}}
	if partials, asked, rows = nights(t, s, byDates, today.AddDays(-1), 2); rows != 3 || partials[1] != "" {
		t.Errorf("%d rows, %q, asked %q", rows, partials, asked)
	}
}
