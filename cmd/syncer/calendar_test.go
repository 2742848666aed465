package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"syncer/config"
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

// `syncer init --provider NAME` has something to write for every provider: a connection and a job.
func TestEveryProviderHasASample(t *testing.T) {
	t.Parallel()
	none := string(config.Sample("none"))
	for _, p := range providers() {
		sample := string(config.Sample(p.Name))
		for _, section := range []string{"connections:", "jobs:"} {
			_, ours, _ := strings.Cut(sample, "\n"+section)
			_, empty, _ := strings.Cut(none, "\n"+section)
			if section == "connections:" {
				ours, _, _ = strings.Cut(ours, "\njobs:")
				empty, _, _ = strings.Cut(empty, "\njobs:")
			}
			if ours == empty {
				t.Errorf("config/sample.yaml has nothing for %s below %s", p.Name, section)
			}
		}
	}
}
