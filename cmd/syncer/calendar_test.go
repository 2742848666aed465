package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"syncer/fetch"
	"syncer/fetch/dbnordics"
	"syncer/fetch/rest"
	"syncer/fetch/vipps"
)

// Every provider says in which calendar its days begin and end.
func TestEveryProviderHasACalendar(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"norskgjeld": "Europe/Oslo", "sbanken": "Europe/Oslo", "vipps": "Europe/Oslo", "dbnordics": "Europe/Stockholm",
		"cambio": "Europe/Stockholm", "rest": "Europe/Oslo",
	}
	dir := t.TempDir()
	text, err := fs.ReadFile(rest.Examples(), "fjordbank.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bank.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range providers() {
		c := fetch.Connection{Name: "test", Settings: p.Settings(), Dir: dir}
		if s, ok := c.Settings.(*rest.Settings); ok {
			s.Description = "bank.yaml"
		}
		zone, err := p.ZoneOf(c)
		if p.Zone == nil || err != nil || zone.String() != want[p.Name] {
			t.Errorf("%s: %v, %v; want %s", p.Name, zone, err, want[p.Name])
		}
	}
}

// One provider serves several countries by a setting.
func TestACalendarIsASettingWhereAProviderHasSeveral(t *testing.T) {
	t.Parallel()
	for _, p := range providers() {
		settings := p.Settings()
		switch s := settings.(type) {
		case *vipps.Settings:
			s.TimeZone = "Europe/Helsinki"
		case *dbnordics.Settings:
			s.TimeZone = "Europe/Helsinki"
		default:
			continue
		}
		if zone, err := p.ZoneOf(fetch.Connection{Name: "test", Settings: settings}); err != nil || zone.String() != "Europe/Helsinki" {
			t.Errorf("%s: %v, %v", p.Name, zone, err)
		}
		switch s := settings.(type) {
		case *vipps.Settings:
			s.TimeZone = "Local"
		case *dbnordics.Settings:
			s.TimeZone = "Local"
		}
		if _, err := p.ZoneOf(fetch.Connection{Name: "test", Settings: settings}); err == nil || !strings.Contains(err.Error(), "time_zone: no time zone \"Local\"") {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
}

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
