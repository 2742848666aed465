package fetch_test

import (
	"fmt"
	"strings"
	"testing"

	"syncer/fetch"
	"syncer/finance"
)

// TestAPageThatIsMostlyUnreadable fails the pass before it: no single record is to blame.
func TestAPageThatIsMostlyUnreadable(t *testing.T) {
	for _, c := range []struct {
		rejects, kept, seen int
		fails               bool
	}{
		{4, 0, 0, false}, // a few are no proof
		{5, 0, 0, true},
		{5, 5, 0, false},
		{6, 5, 0, true},
		{5, 0, 40, false}, // most were read, and are not kept
		{21, 3, 40, true},
	} {
		t.Run(fmt.Sprintf("%d of %d, %d kept", c.rejects, c.seen, c.kept), func(t *testing.T) {
			client, _, store := leads(t, func(string) string { return "end" })
			pages, err := drain(t, client, fetch.Stream{}, "a", follow(false, func(*fetch.Answer) (fetch.Page, error) {
				p := fetch.Page{Done: true, Seen: c.seen, Rejects: make([]finance.Reject, c.rejects)}
				p.Rejects[0] = finance.Reject{Place: 3, Reason: "not a date"}
				for i := range c.kept {
					p.Records.Transactions = append(p.Records.Transactions, finance.Transaction{ID: fmt.Sprint(i)})
				}
				return p, nil
			}))
			if c.fails != (fetch.ClassOf(err) == finance.Malformed) || c.fails != (len(pages) == 0) {
				t.Fatalf("%d pages, error %v", len(pages), err)
			}
			if !c.fails {
				return
			}
			if !strings.Contains(err.Error(), "at place 3: not a date") {
				t.Errorf("the error does not say what is wrong: %v", err)
			}
			if call := store.Calls()[0]; call.Class != finance.Malformed {
				t.Errorf("the call is recorded as %s", call.Class)
			}
		})
	}
}
