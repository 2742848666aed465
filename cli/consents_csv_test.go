package cli

import (
	"strings"
	"testing"
	"time"
)

// A day in a file of consents begins and ends where the provider is.
func TestADayOfAConsentEndsWhereTheProviderIs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		zone, from, until, begins, ends string
	}{
		{"Europe/Oslo", "2026-06-30", "2026-06-30", "2026-06-29T22:00:00Z", "2026-06-30T22:00:00Z"},
		{"Europe/Oslo", "2026-01-31", "2026-01-31", "2026-01-30T23:00:00Z", "2026-01-31T23:00:00Z"},
		{"Europe/Oslo", "2026-03-29", "2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"}, // a day of 23 hours
		{"Europe/Helsinki", "2026-10-25", "2026-10-25", "2026-10-24T21:00:00Z", "2026-10-25T22:00:00Z"},
		{"UTC", "2026-06-30", "2026-06-30", "2026-06-30T00:00:00Z", "2026-07-01T00:00:00Z"},
		{"Europe/Oslo", "2026-06-30T12:00:00Z", "2026-06-30T13:00:00+02:00", "", ""},
		{"Europe/Oslo", "2026-06-30T12:00:00Z", "2026-06-30T15:00:00+02:00", "2026-06-30T12:00:00Z", "2026-06-30T13:00:00Z"},
	} {
		zone, err := time.LoadLocation(tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		file, err := readConsents(strings.NewReader("external_id,valid_from,valid_until\none,"+tt.from+","+tt.until+"\n"), zone)
		if err != nil {
			t.Fatal(err)
		}
		if tt.ends == "" {
			if len(file.bad) != 1 {
				t.Errorf("%s to %s is no window", tt.from, tt.until)
			}
			continue
		}
		if len(file.good) != 1 {
			t.Fatalf("%+v", file.bad)
		}
		begins, ends := file.good[0].ValidFrom.UTC().Format(time.RFC3339), file.good[0].ValidUntil.UTC().Format(time.RFC3339)
		if begins != tt.begins || ends != tt.ends {
			t.Errorf("%s to %s in %s: %s to %s, want %s to %s", tt.from, tt.until, tt.zone, begins, ends, tt.begins, tt.ends)
		}
	}
}
