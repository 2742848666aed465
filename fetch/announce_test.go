package fetch_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

const tenYears = 10 * 365 * 24 * time.Hour

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 10, 0, 0, time.UTC) // ten minutes ahead of the server
	const date = "Sat, 21 Nov 2026 12:00:00 GMT"
	tests := []struct {
		value       string
		date        string
		want        time.Duration
		ok, invalid bool
	}{
		{"120", date, 120 * time.Second, true, false},
		{"0", date, 0, true, false},
		{"86400", date, 24 * time.Hour, true, false},
		{"Sat, 21 Nov 2026 12:02:00 GMT", date, 2 * time.Minute, true, false},    // IMF-fixdate
		{"Saturday, 21-Nov-26 12:02:00 GMT", date, 2 * time.Minute, true, false}, // RFC 850
		{"Sat Nov 21 12:02:00 2026", date, 2 * time.Minute, true, false},         // asctime
		{"Sat, 21 Nov 2026 12:12:00 GMT", "", 2 * time.Minute, true, false},      // no Date: our own clock
		{"Sat, 21 Nov 2026 12:12:00 GMT", "today", 2 * time.Minute, true, false}, // a broken Date: the same
		{"Sat, 21 Nov 2026 11:00:00 GMT", date, 0, true, false},                  // past
		{"Sat, 21 Nov 2099 12:00:00 GMT", date, tenYears, true, false},           // parked
		{"Fri, 31 Dec 9999 23:59:59 GMT", date, tenYears, true, false},           // no overflow
		{"1000000000", date, tenYears, true, false},                              // parked
		{"9223372037", date, tenYears, true, false},                              // seconds that overflow a Duration
		{"999999999999999999", date, tenYears, true, false},                      // and more of them
		{"99999999999999999999", date, 0, false, true},                           // 20 digits
		{"-1", date, 0, false, true}, {"+1", date, 0, false, true}, {"1.5", date, 0, false, true},
		{"1e3", date, 0, false, true}, {"soon", date, 0, false, true}, {"", date, 0, false, true},
		{"1, 2", date, 0, false, true}, {" 5", date, 0, false, true}, {"5s", date, 0, false, true}, {"٣", date, 0, false, true},
	}
	for _, tt := range tests {
		h := http.Header{"Retry-After": {tt.value}}
		if tt.date != "" {
			h.Set("Date", tt.date)
		}
		if d, ok, invalid := fetch.ParseRetryAfter(h, now); d != tt.want || ok != tt.ok || invalid != tt.invalid {
			t.Errorf("%q: %s, %v, %v; want %s, %v, %v", tt.value, d, ok, invalid, tt.want, tt.ok, tt.invalid)
		}
	}
	if _, ok, invalid := fetch.ParseRetryAfter(http.Header{}, now); ok || invalid {
		t.Error("no header is neither usable nor invalid")
	}
	if _, ok, invalid := fetch.ParseRetryAfter(http.Header{"Retry-After": {"1", "2"}}, now); ok || !invalid {
		t.Error("two headers are invalid")
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, s := range []string{"120", "-1", "9223372037", "99999999999999999999", "Sat, 21 Nov 2026 12:02:00 GMT", "Saturday, 21-Nov-26 12:02:00 GMT", "1.5", ""} {
		f.Add(s, "Sat, 21 Nov 2026 12:00:00 GMT")
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		d, ok, invalid := fetch.ParseRetryAfter(http.Header{"Retry-After": {value}, "Date": {date}}, time.Unix(1.8e9, 0))
		if d < 0 || d > tenYears || ok == invalid || !ok && d != 0 {
			t.Errorf("%q, %q: %s, %v, %v", value, date, d, ok, invalid)
		}
	})
}

// Rate-limit headers close the gate after an answer that is itself good, and can do nothing but that.
func TestRateLimitHeadersOnlySlow(t *testing.T) {
	tests := []struct {
		name    string
		headers []string
		want    time.Duration
	}{
		{"old draft", []string{"RateLimit", "limit=10, remaining=0, reset=5"}, 5 * time.Second},
		{"new draft", []string{"RateLimit", `"default";r=0;t=7`}, 7 * time.Second},
		{"separate", []string{"RateLimit-Remaining", "0", "RateLimit-Reset", "3"}, 3 * time.Second},
		{"x", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "4"}, 4 * time.Second},
		{"x with a Unix time", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1893456009", "Date", "Tue, 01 Jan 2030 00:00:00 GMT"}, 9 * time.Second},
		{"x with a Unix time ahead", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "4102444800"}, 0},
		{"X-Rate-Limit with a date", []string{"x-rate-limit-remaining", "0", "x-rate-limit-reset", "2000-01-01T00:01:00Z"}, time.Minute},
		{"some left", []string{"X-RateLimit-Remaining", "1", "X-RateLimit-Reset", "4"}, 0},
		{"no reset", []string{"X-RateLimit-Remaining", "0"}, 0},
		{"absurd", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "86400"}, 0},
		{"malformed", []string{"RateLimit", "remaining=;;==,0 reset"}, 0},
		{"negative", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "-5"}, 0},
		{"Retry-After on a 200", []string{"Retry-After", "11"}, 11 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // its clock begins at 2000-01-01T00:00:00Z
				p, l := &provider{handler: answers(answer(200, "", tt.headers...))}, fetchtest.NewLedger()
				o, stop := piped(t, p, l)
				defer stop()
				c := client(t, o)
				for i := range 2 {
					a, err := c.Do(t.Context(), get("x"))
					if err != nil {
						t.Fatal(err)
					}
					if i == 0 && a.Call.Durable != (tt.want > 0) {
						t.Errorf("durable: %v; the pause records its call, the page must not do it again", a.Call.Durable)
					}
				}
				j := p.journal()
				if d := j[1].at.Sub(j[0].at); d != tt.want {
					t.Errorf("the next call came after %s, want %s", d, tt.want)
				}
			})
		})
	}
}

func TestRetryAfterIsMeasuredAgainstTheServersClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		date := func(at time.Time) string { return at.UTC().Format(http.TimeFormat) }
		server := time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)
		p := &provider{handler: answers(
			answer(503, "", "Date", date(server), "Retry-After", date(server.Add(90*time.Second))), answer(200, ""))}
		o, stop := piped(t, p, fetchtest.NewLedger())
		defer stop()
		if _, err := client(t, o).Do(t.Context(), get("x")); err != nil {
			t.Fatal(err)
		}
		if d := p.journal()[1].at.Sub(p.journal()[0].at); d != 90*time.Second {
			t.Errorf("called again after %s", d)
		}
	})
}

// The headers are read once, when they arrive: what a connector's code does to them later changes no pause.
func TestAnAnnouncementTravelsWithItsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: answers(answer(502, "", "Retry-After", "90"), answer(200, ""))}, fetchtest.NewLedger()
		o, stop := piped(t, p, l)
		defer stop()
		var seen []fetch.Announcement
		o.Driver.Classify = func(_ *fetch.Request, a *fetch.Answer) fetch.Verdict {
			a.Header = http.Header{}
			seen = append(seen, a.Announced())
			if a.Status == http.StatusOK {
				return fetch.Verdict{Class: finance.OK}
			}
			return fetch.Verdict{Class: fetch.ByStatus(a)}
		}
		if _, err := client(t, o).Do(t.Context(), get("x")); err != nil {
			t.Fatal(err)
		}
		if p := l.Pauses(); len(p) != 1 || p[0].For != 90*time.Second || p[0].Call.Class != finance.Throttled {
			t.Errorf("%+v", p)
		}
		if len(seen) != 2 || seen[0].Pause != 90*time.Second || !seen[0].ByRetryAfter() || !seen[0].Asked || seen[1].Pause != 0 || seen[1].Asked {
			t.Errorf("%+v", seen)
		}
	})
}

// An announcement that can't be read is not obeyed, so somebody has to know that the provider makes one.
func TestAnUnreadableRetryAfterIsLogged(t *testing.T) {
	for value, said := range map[string]bool{"soon hunter2-hunter2 " + strings.Repeat("x", 5000): true, "-1": true, "1.5": true, "0": false} {
		var log bytes.Buffer
		p := &provider{handler: func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header()["Retry-After"] = []string{value}
		}}
		o := options(t, served(t, p), fetchtest.NewLedger())
		o.Log = zerolog.New(&log).Level(zerolog.WarnLevel)
		if _, err := client(t, o).Do(t.Context(), get("x")); err != nil {
			t.Fatal(err)
		}
		if got := log.String(); strings.Contains(got, "retry_after") != said || strings.Contains(got, "hunter2") || len(got) > 1000 {
			t.Errorf("%.20q: logged %q", value, got)
		}
	}
}
