package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type testSettings struct {
	Window   time.Duration     `yaml:"window" jsonschema_description:"How far one request reaches."`
	Version  int               `yaml:"version"`
	Scopes   []string          `yaml:"scopes"`
	Single   bool              `yaml:"single_use"`
	Share    float64           `yaml:"share"`
	Headers  map[string]string `yaml:"headers"`
	Feed     *testFeed         `yaml:"feed"`
	Limit    uint8             `yaml:"limit"`
	Untagged string
	Internal string `yaml:"-"`
}

type testFeed struct {
	Page int `yaml:"page"`
}

func connectionWith(t *testing.T, settings string) Connection {
	t.Helper()
	doc := "connections:\n  a:\n    provider: x\n    credentials: {s: env:S}\n    timeout: &t 7s\n" + settings
	c, err := Parse([]byte(doc), "s.yaml", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	return c.Connections["a"]
}

func TestDecodeSettings(t *testing.T) {
	conn := connectionWith(t, `    settings:
      window: *t
      version: 2
      scopes: [a, b]
      single_use: true
      headers: {x-y: "1"}
      feed: {page: 3}
      untagged: word
`)
	got := testSettings{Share: 0.5, Version: 1}
	if err := conn.DecodeSettings(&got); err != nil {
		t.Fatal(err)
	}
	want := testSettings{Window: 7 * time.Second, Version: 2, Scopes: []string{"a", "b"}, Single: true, Share: 0.5,
		Headers: map[string]string{"x-y": "1"}, Feed: &testFeed{3}, Untagged: "word"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestDecodeSettingsAbsent(t *testing.T) {
	for _, text := range []string{"", "    settings:\n", "    settings: {}\n"} {
		got := testSettings{Version: 1}
		if err := connectionWith(t, text).DecodeSettings(&got); err != nil || got.Version != 1 {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	if err := (Connection{}).DecodeSettings(&testSettings{}); err != nil {
		t.Errorf("a connection that was not read from a file: %v", err)
	}
}

func TestDecodeSettingsIsStrict(t *testing.T) {
	conn := connectionWith(t, `    settings:
      windw: 3d
      version: two
      internal: x
      limit: 256
      feed: {page: 1, pages: 2, page: 3}
`)
	err := conn.DecodeSettings(&testSettings{})
	want := `s.yaml:7:7: connections.a.settings.windw: no such key; did you mean "window"?
s.yaml:8:16: connections.a.settings.version: want a whole number, got "two"
s.yaml:9:7: connections.a.settings.internal: no such key
s.yaml:10:14: connections.a.settings.limit: want a whole number that isn't negative, got "256"
s.yaml:11:23: connections.a.settings.feed.pages: no such key; did you mean "page"?
s.yaml:11:33: connections.a.settings.feed.page: this key is already on line 11`
	if err == nil {
		t.Fatal("accepted")
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestDecodeSettingsWantsAStruct(t *testing.T) {
	for _, into := range []any{nil, testSettings{}, (*testSettings)(nil), new(int)} {
		if err := connectionWith(t, "").DecodeSettings(into); err == nil {
			t.Errorf("%T was accepted", into)
		}
	}
}
