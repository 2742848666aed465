package fetchtest

import (
	"strings"
	"testing"
	"time"

	"syncer/fetch"
	"syncer/finance"
)

// older proves that an answer whose records were made before those of the last one brings nothing, and
// proves nothing. Where records tell no such time, nothing is to be proven.
func (h Harness) older(t *testing.T) {
	h.each(t, func(t *testing.T, b *Client, s fetch.Stream) {
		s.Reported = finance.Reported{}
		for _, page := range b.MustRead(t, s, "") {
			for i := range page.Records.Debts {
				if d := &page.Records.Debts[i]; !d.ReportedAt.IsZero() {
					s.Reported.Note(d.ID, d.ReportedAt.Add(time.Hour))
				}
			}
		}
		if len(s.Reported) == 0 {
			return
		}
		said := false
		for _, page := range h.bench(t).MustRead(t, s, "") {
			if page.Whole != nil || page.Plain() && page.Records.Len() > 0 {
				t.Error("a page of an older answer proves something, or would be passed over")
			}
			if len(page.Records.Debts) > 0 {
				t.Errorf("%d records of it are taken", len(page.Records.Debts))
			}
			said = said || strings.Contains(page.Partial, "older than the last one")
		}
		if !said {
			t.Error("nobody says that the answer is older than the last one")
		}
	})
}
