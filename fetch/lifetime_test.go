package fetch

import (
	"encoding/json"
	"testing"
	"time"

	"syncer/calls"
)

func TestParseLifetime(t *testing.T) {
	for in, want := range map[string]time.Duration{
		`3600`: time.Hour, `"3600"`: time.Hour, `3600.0`: time.Hour, `"3600.0"`: time.Hour, `1e3`: 1000 * time.Second,
		`0.5`: 500 * time.Millisecond, ``: 5 * time.Minute, `null`: 5 * time.Minute, `0`: 5 * time.Minute,
		`"0"`: 5 * time.Minute, `""`: 5 * time.Minute, `1e11`: 24 * time.Hour, `1e999`: 24 * time.Hour, `86401`: 24 * time.Hour,
		`-1`: -1, `"-3600"`: -1, `true`: -1, `{}`: -1, `"soon"`: -1, `"NaN"`: -1, `-1e999`: -1,
	} {
		got, err := parseLifetime(json.RawMessage(in))
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%s: %s, %v; want %s", in, got, err, want)
		}
	}
}

func FuzzParseLifetime(f *testing.F) {
	for _, s := range []string{`3600`, `"3600.0"`, `null`, `-1`, `1e999`, `"0x10"`, `"Inf"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if d, err := parseLifetime(json.RawMessage(in)); err == nil && (d < 0 || d > longestLifetime) {
			t.Errorf("%q: %s", in, d)
		}
	})
}

func TestLifespanLeavesShortTokensUsable(t *testing.T) {
	asked := time.Unix(1.8e9, 0)
	for _, life := range []time.Duration{time.Second, 5 * time.Second, time.Minute, 5 * time.Minute, time.Hour, 24 * time.Hour} {
		early := min(max(time.Minute, life/10), life/5)
		for range 100 {
			got := lifespan(calls.Token{AccessToken: "t"}, asked, life)
			ahead := got.Expiry.Sub(got.RefreshAt)
			if got.Expiry != asked.Add(life) || ahead > early || ahead < early*3/4-1 {
				t.Fatalf("life %s: replaced %s ahead, want at most %s and at least three quarters of that", life, ahead, early)
			}
		}
	}
}
