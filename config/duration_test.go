package config

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "30s": 30 * time.Second, "1h30m": 90 * time.Minute, "10d": 240 * time.Hour,
		"1w": 168 * time.Hour, "1w2d3h": 219 * time.Hour, "1.5d": 36 * time.Hour, "250ms": 250 * time.Millisecond,
		"730d": 730 * 24 * time.Hour, "106751d": 106751 * 24 * time.Hour,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "30", "-1s", "+1s", "1y", "d", "1d-2h", "1 d", " 1d", "1..5d", ".d", "1e3s", "1e3d",
		"106752d", "99999999999w", "15250w2d", "inf", "NaNd", "1d ", "9223372036854775807w"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, got)
		}
	}
}

func TestDurationRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]int64{1, int64(time.Millisecond), int64(time.Second), int64(time.Minute), int64(time.Hour), int64(day), int64(week)}).Draw(t, "unit")
		d := Duration(rapid.Int64Range(0, math.MaxInt64/unit).Draw(t, "n") * unit)
		var back Duration
		if err := back.UnmarshalText([]byte(d.String())); err != nil || back != d {
			t.Fatalf("%d ns is written %q and read as %d ns, %v", int64(d), d, int64(back), err)
		}
	})
}

func TestDurationsAdd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringMatching(`[0-9]{1,4}(ms|s|m|h|d|w)`)
		a, b := part.Draw(t, "a"), part.Draw(t, "b")
		da, errA := ParseDuration(a)
		db, errB := ParseDuration(b)
		sum, err := ParseDuration(a + b)
		if errA != nil || errB != nil || err != nil || sum != da+db {
			t.Fatalf("%s + %s = %v, %v; want %v", a, b, sum, err, da+db)
		}
	})
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "512": 512, "1B": 1, "512KiB": 512 << 10, "32MiB": 32 << 20, "1 GiB": 1 << 30,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "32MB", "32M", "-1", "1.5MiB", "9999999999GiB", "99999999999999999999", "8 589 934 592"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", text, got)
		}
	}
}

func TestSizeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom(sizeUnits).Draw(t, "unit").bytes
		s := Size(rapid.Int64Range(0, math.MaxInt64/int64(unit)).Draw(t, "n")) * unit
		var back Size
		if err := back.UnmarshalText([]byte(s.String())); err != nil || back != s {
			t.Fatalf("%d bytes are written %q and read as %d, %v", int64(s), s, int64(back), err)
		}
	})
}
