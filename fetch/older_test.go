package fetch

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
)

// made is a debt that was made at an hour; 0: its time is not told. A key of two characters was made here.
func made(id string, hour int) finance.Debt {
	d := finance.Debt{ID: id, Creditor: id}
	d.Made = len(id) > 1
	if hour > 0 {
		d.ReportedAt = time.Date(2026, 11, 1, hour, 0, 0, 0, time.UTC)
	}
	return d
}

func TestWhatIsOlderIsHeldBack(t *testing.T) {
	t.Parallel()
	type hours = map[string]int
	for _, c := range []struct {
		what string
		last hours // empty: nothing is known
		page []finance.Debt
		kept string // ids
		says string // empty: the page is as it was
	}{
		{"nothing is known", nil, []finance.Debt{made("a", 3)}, "a", ""},
		{"the same times", hours{"a": 3, "b": 4}, []finance.Debt{made("a", 3), made("b", 4)}, "ab", ""},
		{"newer", hours{"a": 3}, []finance.Debt{made("a", 4)}, "a", ""},
		{"no time is told", hours{"a": 3}, []finance.Debt{made("a", 0)}, "a", ""},
		{"the newest is not there", hours{"a": 3, "b": 9}, []finance.Debt{made("a", 3)}, "a", ""},
		{"an old one that is not known", hours{"a": 3}, []finance.Debt{made("a", 3), made("b", 1)}, "ab", ""},
		{"older", hours{"a": 3, "b": 4}, []finance.Debt{made("a", 2), made("b", 3)}, "",
			"2 of 2 records have gone back, one of them from 2026-11-01T04:00:00Z to 2026-11-01T03:00:00Z; nothing"},
		{"older, with one that has gone since", hours{"a": 3}, []finance.Debt{made("a", 2), made("z", 2)}, "",
			"1 of 2 records has gone back"},
		{"older, and one as it was", hours{"a": 3, "b": 4}, []finance.Debt{made("a", 2), made("b", 4)}, "",
			"1 of 2 records has gone back"},
		{"the key of one that has gone", hours{"a1": 5, "a2": 3}, []finance.Debt{made("a1", 3)}, "a1", ""},
		{"the key of one that has gone, and the next one's", hours{"a1": 5, "a2": 3, "a3": 2},
			[]finance.Debt{made("a1", 3), made("a2", 2)}, "a1a2", ""},
		{"a new one has the key now", hours{"a1": 5}, []finance.Debt{made("a1", 1), made("a2", 5)}, "a1a2", ""},
		{"a time that another has still", hours{"a1": 3, "a2": 5}, []finance.Debt{made("a1", 3), made("a2", 3)}, "",
			"1 of 2 records has gone back"},
		{"keys that are numbered", hours{"a1": 5, "a2": 6}, []finance.Debt{made("a1", 3), made("a2", 4)}, "",
			"2 of 2 records have gone back"},
		{"all of another day", hours{"a": 5, "b": 5}, []finance.Debt{made("a", 4), made("b", 4)}, "",
			"2 of 2 records have gone back"},
		{"one is older, others newer", hours{"a": 3, "b": 4},
			[]finance.Debt{made("a", 2), made("b", 5), made("n", 5), made("m", 4), made("o", 0)}, "bn",
			"only 2 that are newer were stored, and nothing was removed"},
		{"one is older, one is newer", hours{"a": 3, "b": 4}, []finance.Debt{made("a", 2), made("b", 5)}, "b",
			"1 of 2 records has gone back, from 2026-11-01T03:00:00Z to 2026-11-01T02:00:00Z; " +
				"only one that is newer was stored, and nothing was removed"},
	} {
		s := Stream{Reported: finance.Reported{}}
		for id, hour := range c.last {
			s.Reported.Note(id, made(id, hour).ReportedAt)
		}
		page := Page{Records: finance.Records{Debts: c.page}, Whole: &finance.Whole{}}
		for range 2 { // a connector vets, and Walk does once more
			if err := s.Vet(t.Context(), &page); err != nil {
				t.Fatal(err)
			}
		}
		kept := ""
		for i := range page.Records.Debts {
			kept += page.Records.Debts[i].ID
		}
		if diff := cmp.Diff(c.kept, kept); diff != "" {
			t.Errorf("%s: kept (-want +got):\n%s", c.what, diff)
		}
		if !strings.Contains(page.Partial, c.says) || (page.Partial == "") != (c.says == "") {
			t.Errorf("%s: %q, want %q", c.what, page.Partial, c.says)
		}
		if (page.Whole != nil) != (c.says == "") || page.Plain() != (c.says == "") {
			t.Errorf("%s: whole is %v, plain %t", c.what, page.Whole, page.Plain())
		}
	}
}
