package sbanken

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/fetch"
	"syncer/finance"
)

// archived and reserved are rows of the recent list.
func archived(id int, day string) string {
	return fmt.Sprintf(`{"transactionId":"%d","accountingDate":"%s","amount":-1.000,"text":"a","source":"Archive"}`, id, day)
}

func reserved(text, day string) string {
	return fmt.Sprintf(`{"accountingDate":"%s","amount":-1.000,"text":"%s","transactionTypeCode":946,"isReservation":true,"source":"AccountStatement"}`, day, text)
}

func listBody(available int, rows ...string) string {
	return fmt.Sprintf(`{"availableItems":%d,"items":[%s]}`, available, strings.Join(rows, ","))
}

func decoded(t *testing.T, at position, body string) (fetch.Page, position) {
	t.Helper()
	page, err := decodePage(t, at, body)
	if err != nil {
		t.Fatal(err)
	}
	c, err := readCursor(page.Next, today)
	if err != nil {
		t.Fatal(err)
	}
	if c.Pass == nil {
		return page, position{}
	}
	return page, *c.Pass
}

func ids(p fetch.Page) (out []string) {
	for _, x := range p.Records.Transactions {
		out = append(out, x.ID)
	}
	return out
}

func TestEitherSignOfAMovedListCounts(t *testing.T) {
	window := position{List: archive, From: finance.NewDate(2026, 11, 1), To: finance.NewDate(2026, 11, 10), Index: 2, Total: 4, Last: "2"}
	for name, c := range map[string]struct {
		body  string
		moved bool
		tries int // readings of the same window, where it is not halved
	}{
		"at rest":        {listBody(4, archived(2, "2026-11-05"), archived(3, "2026-11-04"), archived(4, "2026-11-03")), false, 0},
		"another total":  {listBody(5, archived(2, "2026-11-05"), archived(3, "2026-11-04"), archived(4, "2026-11-03")), true, 0},
		"another row":    {listBody(4, archived(1, "2026-11-05"), archived(2, "2026-11-04"), archived(3, "2026-11-03")), true, 0},
		"nothing more":   {listBody(4), false, 1},
		"only the known": {listBody(4, archived(2, "2026-11-05")), false, 1},
	} {
		_, next := decoded(t, window, c.body)
		halved := next.From == window.From && next.To < window.To && next.Index == 0
		if halved != c.moved || next.Tries != c.tries {
			t.Errorf("%s: goes on at %+v", name, next)
		}
	}
}

func TestTheWindowIsFilteredHere(t *testing.T) {
	at := position{List: archive, From: finance.NewDate(2026, 11, 1), To: finance.NewDate(2026, 11, 10)}
	page, _ := decoded(t, at, listBody(3, archived(1, "2026-11-11"), archived(2, "2026-11-10"), archived(3, "2026-10-31")))
	if diff := cmp.Diff([]string{"2"}, ids(page)); diff != "" {
		t.Error(diff)
	}
}

func TestTheRecentSetSpansPages(t *testing.T) {
	at := position{List: recent, From: finance.NewDate(2026, 10, 21), Over: finance.NewDate(2026, 11, 10), Tail: 1}
	first, next := decoded(t, at, listBody(4, reserved("coffee", "2026-11-19"), archived(9, "2026-11-12")))
	if first.Whole != nil || first.Done || next.Seen != 1 {
		t.Fatalf("the first page: whole %v, done %t, next %+v", first.Whole, first.Done, next)
	}
	last, _ := decoded(t, next, listBody(4, archived(9, "2026-11-12"), reserved("coffee", "2026-11-19"), reserved("tea", "2026-11-11")))
	if !last.Done || last.Whole == nil {
		t.Fatal("the last page declares nothing whole")
	}
	if diff := cmp.Diff(&finance.Whole{Prefix: "recent-"}, last.Whole); diff != "" {
		t.Error(diff)
	}
	got := ids(last)
	if len(got) != 2 || got[0] != strings.TrimSuffix(ids(first)[0], "-0")+"-1" {
		t.Errorf("the twin on the next page has the id %v, its sister %v", got, ids(first))
	}
	broken, _ := decoded(t, next, listBody(4, archived(9, "2026-11-12"), reserved("tea", "2026-11-11"), `{"amount":"x"}`))
	if broken.Whole != nil || len(broken.Rejects) != 1 {
		t.Errorf("with a broken row: whole %v, rejects %v", broken.Whole, broken.Rejects)
	}
}

func TestAnOldYearThatIsCutOffIsNotDeclaredWhole(t *testing.T) {
	january := finance.NewDate(2027, 1, 5)
	for name, c := range map[string]struct{ row, want string }{
		"shown":   {reserved("x", "2026-12-30"), "recent-"},
		"cut off": {reserved("x", "2027-01-02"), "recent-2027-"},
	} {
		p := &pass{
			settings: paged, cursor: cursor{V: 1}, at: position{List: recent, From: january.AddDays(-30), Over: january},
			stream: fetch.Stream{Stream: finance.Stream{Account: "A"}, Today: january},
		}
		page, err := p.decode(&fetch.Answer{Body: []byte(listBody(1, c.row))})
		if err != nil || page.Whole == nil || page.Whole.Prefix != c.want {
			t.Errorf("%s: whole %+v, error %v", name, page.Whole, err)
		}
	}
}

func TestWindowsNeverCrossAYear(t *testing.T) {
	p := &pass{settings: paged, stream: fetch.Stream{Today: today, Since: finance.NewDate(2024, 3, 5)}}
	var got []string
	for at := p.begin(); ; at = p.window(at.To + 1) {
		p.at = at
		got = append(got, p.query().Get("startDate")+" "+p.query().Get("endDate"))
		if at.To == today {
			break
		}
	}
	if diff := cmp.Diff([]string{"2024-03-05 2024-12-31", "2025-01-01 2025-12-31", "2026-01-01 2026-11-20"}, got); diff != "" {
		t.Error(diff)
	}
	p.settings.APIVersion = 1
	if p.query().Has("endDate") {
		t.Error("generation 1 answers an endDate of today with 500")
	}
}

func TestAPageIsKnownOnlyAtItsCursor(t *testing.T) {
	c := &connector{settings: paged}
	s := fetch.Stream{Stream: finance.Stream{Dataset: finance.Transactions, Account: "A"}, Today: today}
	at := position{List: archive, From: finance.NewDate(2026, 11, 1), To: today}
	one, err1 := c.transactions(t.Context(), s, cursor{V: 1, Pass: &at}.String())
	two, err2 := c.transactions(t.Context(), s, cursor{V: 1, Through: today.AddDays(-30), Pass: &at}.String())
	last, err3 := c.transactions(t.Context(), s, cursor{V: 1, Pass: &position{List: recent, From: at.From, Over: at.From}}.String())
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	if one.Version == two.Version {
		t.Error("what follows a page differs, but its key does not")
	}
	if one.Set != "" || last.Set != recent {
		t.Error("the recent list is one set, the archive is not")
	}
}

// A pass that is taken up in the recent list after a night has read the archive up to the day of its beginning, and says so.
func TestAPassThatEndsBehind(t *testing.T) {
	for through, behind := range map[finance.Date]bool{today: false, today - 1: true} {
		p := &pass{
			settings: paged, cursor: cursor{V: 1, Through: through}, at: position{List: recent, From: today.AddDays(-30), Over: today},
			stream: fetch.Stream{Stream: finance.Stream{Account: "A"}, Today: today},
		}
		page, err := p.decode(&fetch.Answer{Body: []byte(listBody(0))})
		if err != nil || !page.Done || page.Behind != behind {
			t.Errorf("read up to %s: done %t, behind %t, %v", through, page.Done, page.Behind, err)
		}
	}
}
