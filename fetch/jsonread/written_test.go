package jsonread

import (
	"testing"
	"time"
)

func TestAmountsAsPeopleWriteThem(t *testing.T) {
	for _, c := range []struct{ text, mark, want string }{ // no want: refused
		{"575,40", ",", "575.4"},
		{"1.234,50", ",", "1234.5"},
		{"1 234 567,5", ",", "1234567.5"},
		{"1\u00a0234,50", ",", "1234.5"},
		{"1\u202f234,50", ",", "1234.5"},
		{"1'234.50", ".", "1234.5"},
		{"1,234.50", ".", "1234.5"},
		{"+50,00", ",", "50"},
		{"-50,00", ",", "-50"},
		{"\u221250,00", ",", "-50"},
		{" - 1.234,50 ", ",", "-1234.5"},
		{"007,50", ",", "7.5"},
		{"0,00", ",", "0"},
		{"12", ",", "12"},
		{"1.234", ",", "1234"},
		{"0,1234567890123456789", ",", "0.1234567890123456789"},
		{"575.40", ",", ""}, // whose comma was forgotten, or whose point is one
		{"1,50", ".", ""},
		{"1.23,50", ",", ""},
		{"1.2345,50", ",", ""},
		{"1234.567,50", ",", ""},
		{".234,50", ",", ""},
		{"1.234 567,50", ",", ""},
		{"1,234,567", ",", ""},
		{",50", ",", ""},
		{"50,", ",", ""},
		{"", ",", ""},
		{"-", ",", ""},
		{"+-50,00", ",", ""},
		{"--50,00", ",", ""},
		{"1e3", ",", ""},
		{"50,00-", ",", ""},
		{"kr 50,00", ",", ""},
		{"12345678901234567890,5", ",", ""},
	} {
		a, ok := WrittenAmount(c.text, c.mark)
		if got := a.String(); ok != (c.want != "") || got != c.want {
			t.Errorf("%q with %q: %q, %t; want %q", c.text, c.mark, got, ok, c.want)
		}
	}
}

func TestAPlusInAText(t *testing.T) {
	for text, want := range map[string]string{
		`"+50.00"`: "50", `"+0"`: "0", `"50.00"`: "50", `"-50.00"`: "-50", `"+-1"`: "", `"++1"`: "", `"+"`: "", `"+ 1"`: "", `+1`: "",
	} {
		s := Scan([]byte(text))
		a := s.Amount()
		if err := s.End(); (err == nil) != (want != "") || a.String() != want {
			t.Errorf("%s: %q, %v; want %q", text, a, err, want)
		}
	}
}

func TestInstantsAsPeopleWriteThem(t *testing.T) {
	at := time.Date(2026, time.November, 20, 10, 30, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-11-20T10:30:00Z":          at,
		"2026-11-20T12:30:00+02:00":     at,
		"2026-11-20T10:30:00.000+0000":  at,
		"2026-11-20T12:30:00+0200":      at,
		"2026-11-20T12:30:00+02":        at,
		"2026-11-20T07:00:00-0330":      at,
		"2026-11-20 10:30:00Z":          at,
		"2026-11-20t10:30:00Z":          at,
		"2026-11-20T10:30:00.25Z":       at.Add(250 * time.Millisecond),
		"2026-11-20T10:30:00.25+0000":   at.Add(250 * time.Millisecond),
		"2026-11-20T10:30:00":           {}, // nobody can tell when that was
		"2026-11-20":                    {},
		"20.11.2026 10:30":              {},
		"2026-11-20T10:30:00+0200 CEST": {},
		"2026-13-20T10:30:00Z":          {},
		"0000-06-01T10:30:00Z":          {},
		"":                              {},
	} {
		got, err := ParseInstant(text)
		if (err == nil) == want.IsZero() || !got.Equal(want) {
			t.Errorf("%q: %s, %v; want %s", text, got, err, want)
		}
	}
}

func TestInstantsAtTheEndsOfTheCalendar(t *testing.T) {
	for text, want := range map[string]time.Time{
		"0001-01-01T00:00:00Z":      {},
		"0001-01-01T00:00:00+0100":  {},
		"0001-01-01T00:00:00-01:00": time.Date(1, time.January, 1, 1, 0, 0, 0, time.UTC),
		"9999-12-31T23:59:59-01:00": {},
		"9999-12-31T23:59:59Z":      time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC),
	} {
		s := Scan([]byte(`"` + text + `"`))
		if got := s.Time(); s.End() != nil || !got.Equal(want) {
			t.Errorf("%s: %s, %v; want %s", text, got, s.End(), want)
		}
	}
}
