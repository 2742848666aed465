package sbanken

import (
	"strings"
	"testing"

	"syncer/calls"
	"syncer/fetch/fetchtest"
	bank "syncer/sandbox/sbanken"
)

// A bank that refuses an old startDate gives what it has. The days that it refuses are missing in the run that met them, and
// none afterwards.
func TestDaysThatTheBankRefuses(t *testing.T) {
	for _, reach := range []int{40, 100, 350, 499} {
		w := start(t, bank.Options{Reach: reach}, Settings{APIVersion: 2, CustomerHeader: "auto", PageLength: 500})
		client := fetchtest.Dial(t, Provider(), w.conn)
		consent := w.consent(1)
		s := w.rows(1, 0)
		s.Consent, s.Task = consent.ID, calls.Task{Dataset: s.Dataset, Consent: &consent}
		first := client.MustRead(t, s, "")
		missing, oldest := "", today
		for i := range first {
			missing += first[i].Partial
			for _, x := range first[i].Records.Transactions {
				oldest = min(oldest, x.BookedOn)
			}
		}
		if !strings.Contains(missing, "the provider refuses the days before "+today.AddDays(-reach).String()) {
			t.Errorf("a reach of %d days: partial %q", reach, missing)
		}
		if age := int(today - min(oldest, today)); age > reach || age < min(reach, 400)-3 {
			t.Errorf("a reach of %d days: the oldest row is %d days old", reach, age)
		}
		if calls := len(w.Entries(t)); calls > 20 {
			t.Errorf("a reach of %d days: %d calls", reach, calls)
		}
		for i, page := range client.MustRead(t, s, first[len(first)-1].Next) {
			if page.Partial != "" {
				t.Errorf("a reach of %d days: page %d of the next pass: partial %q", reach, i, page.Partial)
			}
		}
	}
}
