package report

import (
	"testing"
	"time"
)

// A consent that ends at midnight holds for no moment of the day that begins then.
func TestTheLastDayOfAConsent(t *testing.T) {
	t.Parallel()
	oslo, err := time.LoadLocation("Europe/Oslo")
	if err != nil {
		t.Fatal(err)
	}
	midnight := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	inOslo := time.Date(2027, 1, 1, 0, 0, 0, 0, oslo)
	for _, tt := range []struct {
		end  time.Time
		zone *time.Location
		want string
	}{
		{midnight, time.UTC, "2026-12-31"},
		{inOslo, oslo, "2026-12-31"},
		{inOslo, time.UTC, "2026-12-31"},
		{midnight, oslo, "2027-01-01"},
		{midnight.Add(time.Minute), time.UTC, "2027-01-01"},
	} {
		if got := LastDay(tt.end, tt.zone); got != tt.want {
			t.Errorf("%s in %s: %s, want %s", tt.end, tt.zone, got, tt.want)
		}
	}
}
