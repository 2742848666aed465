package calls_test

import (
	"testing"
	"time"

	"syncer/calls"
)

const oslo = "Europe/Oslo"

// at is an instant, written with its seconds or without.
func at(t *testing.T, text string) time.Time {
	t.Helper()
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		moment, err = time.Parse("2006-01-02T15:04Z07:00", text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

// The day turns where the wall shows it, and what may be counted to either of two days lies between From
// and Until.
func TestQuotaResets(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, zone, moment string
		resets             time.Duration
		first, last        string // of the next reset, without the doubt
	}{
		{"midnight", oslo, "2026-11-29T12:00Z", 0, "2026-11-29T23:00Z", "2026-11-29T23:00Z"},
		{"in the morning", oslo, "2026-11-29T12:00Z", 6*time.Hour + 30*time.Minute, "2026-11-30T05:30Z", "2026-11-30T05:30Z"},
		{"later today", "UTC", "2026-11-29T12:00Z", 18 * time.Hour, "2026-11-29T18:00Z", "2026-11-29T18:00Z"},
		{"within the doubt it is this one", "UTC", "2026-11-29T00:00:09Z", 0, "2026-11-29T00:00Z", "2026-11-29T00:00Z"},
		{"behind it the next", "UTC", "2026-11-29T00:00:10Z", 0, "2026-11-30T00:00Z", "2026-11-30T00:00Z"},
		{"a day of 23 hours", oslo, "2026-03-29T00:00Z", 0, "2026-03-29T22:00Z", "2026-03-29T22:00Z"},
		{"a day of 25 hours", oslo, "2026-10-25T00:00Z", 0, "2026-10-25T23:00Z", "2026-10-25T23:00Z"},
		{"a time that is left out", oslo, "2026-03-29T00:00Z", 150 * time.Minute, "2026-03-29T00:30Z", "2026-03-29T01:30Z"},
		{"just behind what is left out", oslo, "2026-03-29T00:00Z", 3 * time.Hour, "2026-03-29T01:00Z", "2026-03-29T01:00Z"},
		{"the day after it", oslo, "2026-03-29T02:00Z", 150 * time.Minute, "2026-03-30T00:30Z", "2026-03-30T00:30Z"},
		{"a time that stands twice", oslo, "2026-10-25T00:00Z", 150 * time.Minute, "2026-10-25T00:30Z", "2026-10-25T01:30Z"},
		{"between its two", oslo, "2026-10-25T01:00Z", 150 * time.Minute, "2026-10-25T00:30Z", "2026-10-25T01:30Z"},
		{"behind both", oslo, "2026-10-25T02:00Z", 150 * time.Minute, "2026-10-26T01:30Z", "2026-10-26T01:30Z"},
		{"an hour of half an hour", "Australia/Lord_Howe", "2026-10-03T12:00Z", 135 * time.Minute, "2026-10-03T15:15Z", "2026-10-03T15:45Z"},
		{"a day that is left out", "Pacific/Apia", "2011-12-29T20:00Z", 0, "2011-12-29T10:00Z", "2011-12-30T10:00Z"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(test.zone)
			if err != nil {
				t.Fatal(err)
			}
			q := calls.Quota{PerDay: 1, Resets: test.resets, Zone: zone}
			got := q.Next(at(t, test.moment))
			first, last := got.From.Add(10*time.Second), got.Until.Add(-10*time.Second)
			if !first.Equal(at(t, test.first)) || !last.Equal(at(t, test.last)) {
				t.Errorf("got %s to %s, want %s to %s", first.UTC(), last.UTC(), test.first, test.last)
			}
		})
	}
}

// Whatever the time and the zone, the resets come in their order, a day apart, around the moment.
func TestQuotaResetsStandInOrder(t *testing.T) {
	t.Parallel()
	zones := []string{
		"UTC", "Europe/Oslo", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Auckland",
	}
	for _, name := range zones {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for minutes := 0; minutes < 24*60; minutes += 45 {
			q := calls.Quota{PerDay: 1, Resets: time.Duration(minutes) * time.Minute, Zone: zone}
			for moment := at(t, "2026-01-01T00:00:00Z"); moment.Year() == 2026; moment = moment.Add(7 * time.Hour) {
				turns := q.Turns(moment)
				for i := 1; i < len(turns); i++ {
					if d := turns[i].Until.Sub(turns[i-1].Until); d < 22*time.Hour || d > 26*time.Hour {
						t.Fatalf("%s, %d minutes after midnight: resets at %s and %s",
							name, minutes, turns[i-1].Until, turns[i].Until)
					}
				}
				next := q.Next(moment)
				if !next.Until.After(moment) || next.Until.Sub(moment) > 26*time.Hour {
					t.Fatalf("%s, %d minutes after midnight: the reset next to %s is at %s",
						name, minutes, moment, next.Until)
				}
			}
		}
	}
}

// Without a zone the wall is that of UTC.
func TestQuotaWithoutAZone(t *testing.T) {
	t.Parallel()
	got := calls.Quota{PerDay: 1}.Next(at(t, "2026-11-29T12:00:00Z"))
	if want := at(t, "2026-11-30T00:00:10Z"); !got.Until.Equal(want) {
		t.Errorf("got %s, want %s", got.Until, want)
	}
}
