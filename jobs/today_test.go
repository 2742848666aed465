package jobs

import (
	"testing"
	"time"

	"syncer/finance"
)

// Between midnight in Oslo and midnight in UTC the day has begun for a Norwegian provider, whatever the job's zone.
func TestTodayIsTheProvidersDay(t *testing.T) {
	t.Parallel()
	oslo, err := time.LoadLocation("Europe/Oslo")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		now  string
		zone *time.Location
		want finance.Date
	}{
		{"2026-06-30T21:59:59Z", oslo, finance.NewDate(2026, 6, 30)},
		{"2026-06-30T22:00:00Z", oslo, finance.NewDate(2026, 7, 1)},
		{"2026-06-30T22:00:00Z", nil, finance.NewDate(2026, 6, 30)},
		{"2026-12-31T22:59:59Z", oslo, finance.NewDate(2026, 12, 31)},
		{"2026-12-31T23:00:00Z", oslo, finance.NewDate(2027, 1, 1)},
		{"2026-12-31T23:00:00Z", time.UTC, finance.NewDate(2026, 12, 31)},
		{"2028-02-28T23:30:00Z", oslo, finance.NewDate(2028, 2, 29)},
	} {
		now, err := time.Parse(time.RFC3339, tt.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := (&Connection{Zone: tt.zone}).today(now); got != tt.want {
			t.Errorf("%s in %v is %s, want %s", tt.now, tt.zone, got, tt.want)
		}
	}
}
