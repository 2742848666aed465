package vipps

import (
	"fmt"
	"strings"
	"testing"

	"syncer/calls"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	vendor "syncer/sandbox/vipps"
)

// Dates that lie too far back are refused, or not there. What is given is read; what is refused is missing in the run that
// met it, and none afterwards.
func TestDatesThatAreRefused(t *testing.T) {
	for _, o := range []vendor.Options{
		{Reach: 7}, {Reach: 70}, {Reach: 70, Open404: true}, {Reach: 70, ReachStatus: 404}, {Reach: 70, ReachStatus: 404, Open404: true},
	} {
		t.Run(fmt.Sprintf("%d days, %d, %t", o.Reach, o.ReachStatus, o.Open404), func(t *testing.T) {
			o.Days = 100
			w := start(t, o, settings(func(s *Settings) { s.ReadBy = byDates }))
			client := fetchtest.Dial(t, Provider(), w.conn)
			consent := w.consent(1)
			s := w.rows(1)
			s.Since = today.AddDays(-100)
			s.Consent, s.Task = consent.ID, calls.Task{Dataset: s.Dataset, Consent: &consent}
			first := client.MustRead(t, s, "")
			rows, partial := byKey(first)
			days := map[finance.Date]bool{}
			for _, x := range rows {
				days[x.BookedOn] = true
			}
			for day := today.AddDays(-o.Reach); day < today; day++ {
				if !days[day] {
					t.Errorf("nothing of %s was read", day)
				}
			}
			missing := "the provider refuses the days before " + today.AddDays(-o.Reach).String()
			if strings.Count(partial, missing) != 2 || strings.Count(partial, "balance") > 0 {
				t.Errorf("partial %q, want twice %q", partial, missing)
			}
			if calls := len(w.Entries(t)); calls > 2*(o.Reach+15) {
				t.Errorf("%d calls", calls)
			}
			if _, partial := byKey(client.MustRead(t, s, first[len(first)-1].Next)); partial != "" {
				t.Errorf("the next pass is partial: %q", partial)
			}
		})
	}
}
