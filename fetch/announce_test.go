package fetch_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/fetch/pause"
	"syncer/finance"
)

const tenYears = 10 * 365 * 24 * time.Hour

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 4, 0, 0, time.UTC) // four minutes ahead of the server
	const date = "Sat, 21 Nov 2026 12:00:00 GMT"
	const epoch = 1795262400 // of that date
	tests := []struct {
		value       string
		date        string
		want        time.Duration
		ok, invalid bool
	}{
		{"120", date, 120 * time.Second, true, false},
		{" 5", date, 5 * time.Second, true, false},
		{"0", date, 0, true, false},
		{"86400", date, 24 * time.Hour, true, false},
		{"2.5", date, 2500 * time.Millisecond, true, false},
		{"0.493", date, 493 * time.Millisecond, true, false},
		{"0.0000000001", date, 1, true, false}, // rounded up
		{"2.4999999999999996", date, 2500 * time.Millisecond, true, false},

		{"Sat, 21 Nov 2026 12:02:00 GMT", date, 2 * time.Minute, true, false},    // IMF-fixdate
		{"Saturday, 21-Nov-26 12:02:00 GMT", date, 2 * time.Minute, true, false}, // RFC 850
		{"Sat Nov 21 12:02:00 2026", date, 2 * time.Minute, true, false},         // asctime
		{"Sat, 21 Nov 2026 12:02:00 UTC", date, 2 * time.Minute, true, false},
		{"Sat, 21 Nov 2026 13:02:00 +0100", date, 2 * time.Minute, true, false},
		{"Sat, 21 Nov 2026 12:06:00 GMT", "", 2 * time.Minute, true, false},      // no Date: our own clock
		{"Sat, 21 Nov 2026 12:06:00 GMT", "today", 2 * time.Minute, true, false}, // a broken Date: the same
		{"Sat, 21 Nov 2026 11:00:00 GMT", date, 0, true, false},                  // past
		{"Sat, 21 Nov 2099 12:00:00 GMT", date, tenYears, true, false},
		{"Fri, 31 Dec 9999 23:59:59 GMT", date, tenYears, true, false}, // no overflow

		// A Date that is minutes away is a clock that goes wrong; one that is years away is nobody's clock.
		{"Sat, 21 Nov 2026 12:02:00 GMT", "Sat, 21 Nov 2026 12:08:00 GMT", 0, true, false},
		{"Sat, 21 Nov 2026 12:06:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", 2 * time.Minute, true, false},
		{"Sat, 21 Nov 2026 12:06:00 GMT", "Fri, 20 Nov 2099 00:00:00 GMT", 2 * time.Minute, true, false},
		{"60", "Thu, 01 Jan 1970 00:00:00 GMT", time.Minute, true, false},

		{fmt.Sprint(epoch + 90), date, 90 * time.Second, true, false},
		{fmt.Sprintf("%d.25", epoch+90), date, 90250 * time.Millisecond, true, false},
		{fmt.Sprintf("%d500", epoch+90), date, 90500 * time.Millisecond, true, false},
		{fmt.Sprintf("%d500000", epoch+90), date, 90500 * time.Millisecond, true, false},
		{fmt.Sprintf("%d500000000", epoch+90), date, 90500 * time.Millisecond, true, false},
		{fmt.Sprint(epoch - 90), date, 0, true, false},
		{fmt.Sprint(epoch + 330), "", 90 * time.Second, true, false},
		{fmt.Sprint(epoch + 330), "Thu, 01 Jan 1970 00:00:00 GMT", 90 * time.Second, true, false},
		{"1000000000", date, 0, true, false}, // of 2001
		{"999999999", date, tenYears, true, false},

		{"2026-11-21T12:01:30Z", date, 90 * time.Second, true, false},
		{"2026-11-21T12:01:30.5Z", date, 90500 * time.Millisecond, true, false},
		{"2026-11-21T13:01:30+01:00", date, 90 * time.Second, true, false},
		{"2026-11-21T13:01:30+0100", date, 90 * time.Second, true, false},
		{"2026-11-21T12:01:30", date, 90 * time.Second, true, false},
		{"2026-11-21 12:01:30", date, 90 * time.Second, true, false},

		{"5s", date, 5 * time.Second, true, false},
		{"500 ms", date, 500 * time.Millisecond, true, false},
		{"90 seconds", date, 90 * time.Second, true, false},
		{"1h30m", date, 90 * time.Minute, true, false},
		{"1 hour and 30 minutes.", date, 90 * time.Minute, true, false},
		{"01:02:03", date, time.Hour + 2*time.Minute + 3*time.Second, true, false},
		{"Please try again in 3600 seconds", date, time.Hour, true, false},
		{"1, 20", date, 20 * time.Second, true, false}, // two of them, joined by a proxy
		{"1, soon", date, 0, false, true},

		{"99999999999999999999", date, 0, false, true}, // 20 digits
		{"-1", date, 0, false, true}, {"+1", date, 0, false, true}, {"1e3", date, 0, false, true},
		{"soon", date, 0, false, true}, {"", date, 0, false, true}, {"٣", date, 0, false, true}, {"3 times", date, 0, false, true},
	}
	for _, tt := range tests {
		h := http.Header{"Retry-After": {tt.value}}
		if tt.date != "" {
			h.Set("Date", tt.date)
		}
		if d, ok, invalid := pause.ParseRetryAfter(h, now); d != tt.want || ok != tt.ok || invalid != tt.invalid {
			t.Errorf("%q at %q: %s, %v, %v; want %s, %v, %v", tt.value, tt.date, d, ok, invalid, tt.want, tt.ok, tt.invalid)
		}
	}
	if _, ok, invalid := pause.ParseRetryAfter(http.Header{}, now); ok || invalid {
		t.Error("no header is neither usable nor invalid")
	}
	for _, values := range [][]string{{"1", "20"}, {"20", "soon"}} {
		if d, ok, invalid := pause.ParseRetryAfter(http.Header{"Retry-After": values}, now); d != 20*time.Second || !ok || invalid {
			t.Errorf("%q: %s, %v, %v; the longest counts", values, d, ok, invalid)
		}
	}
}

func TestAPauseInWords(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"The limit for this resource is 4/day. Please try again in 3600 seconds": time.Hour,
		"Rate limit is exceeded. Try again in 7 seconds.":                        7 * time.Second,
		"Out of call volume quota. Quota will be replenished in 01:02:03.":       time.Hour + 2*time.Minute + 3*time.Second,
		"Out of call volume quota. Quota will be replenished in 5.03:23:11.":     123*time.Hour + 23*time.Minute + 11*time.Second,
		"Quota will be replenished in 22.14:18:12":                               542*time.Hour + 18*time.Minute + 12*time.Second,
		"Try again after 2026-11-21 12:30:00 -0500":                              5*time.Hour + 30*time.Minute,
		"Limit 30 per 1m, please try again in 7m48.96s.":                         7*time.Minute + 48960*time.Millisecond,
		"rate limited, retry after 30":                                           30 * time.Second,
		"Retry-After: 2 minutes":                                                 2 * time.Minute,
		"available again at 2026-11-21T12:30:00Z":                                30 * time.Minute,
		"blocked until 2026-11-21 12:30:00 UTC.":                                 30 * time.Minute,
		"your quota resets at 1795264200":                                        30 * time.Minute,
		"wait 1,5 hours":                                                         90 * time.Minute,
		"Please wait 2 days before the next call":                                48 * time.Hour,
		"Too many requests, retry after Sat, 21 Nov 2026 12:00:30 GMT":           30 * time.Second,
		"It resets at 1795264200. Please slow down.":                             30 * time.Minute,
		"Try again in 1,500 seconds":                                             25 * time.Minute,
		"Limit reached. Resets at 17:13:10 UTC":                                  0,
		"Try again after 17:13:10 GMT":                                           0,
		"blocked until 17:13:10":                                                 0,
		"API calls quota exceeded! maximum admitted 30 per 1m.":                  0,
		"Too many requests, try again later":                                     0,
		"try again later. Error 429":                                             0,
		"retry 3 times":                                                          0,
		"":                                                                       0,
	} {
		if told, ok := pause.InWords(text, now); told.Pause != want || ok != (want > 0) {
			t.Errorf("%q: %s, %t; want %s", text, told.Pause, ok, want)
		}
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, s := range []string{"120", "-1", "9223372037", "99999999999999999999", "Sat, 21 Nov 2026 12:02:00 GMT", "Saturday, 21-Nov-26 12:02:00 GMT", "1.5", "", "1795262490.5", "2026-11-21T12:01:30Z", "1 hour and 30 minutes", "try again in 01:02:03", "1, 2"} {
		f.Add(s, "Sat, 21 Nov 2026 12:00:00 GMT")
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		d, ok, invalid := pause.ParseRetryAfter(http.Header{"Retry-After": {value}, "Date": {date}}, time.Unix(1.8e9, 0))
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
		{"two policies, the first of them spent", []string{"RateLimit", `"burst";r=0;t=6, "daily";r=900;t=40000`}, 6 * time.Second},
		{"two policies, the second spent", []string{"RateLimit", `"daily";r=900;t=40000, "burst";r=0;t=6`}, 6 * time.Second},
		{"two policies, both spent", []string{"RateLimit", `"burst";r=0;t=6, "hour";r=0;t=600`}, 10 * time.Minute},
		{"a policy with a parameter", []string{"RateLimit", `limit=100;w=60, remaining=0, reset=30`}, 30 * time.Second},
		{"two policies without a name", []string{"RateLimit", `limit=10, remaining=0, reset=60, limit=1000, remaining=900, reset=5`}, time.Minute},
		{"a policy that names its reset first", []string{"RateLimit", `"a";t=9;r=0, "b";t=5;r=3`}, 9 * time.Second},
		{"two policies, both spent, in the other order", []string{"RateLimit", `"hour";r=0;t=600, "burst";r=0;t=6`}, 10 * time.Minute},
		{"separate", []string{"RateLimit-Remaining", "0", "RateLimit-Reset", "3"}, 3 * time.Second},
		{"x", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "4"}, 4 * time.Second},
		{"x with a Unix time", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1893456009", "Date", "Tue, 01 Jan 2030 00:00:00 GMT"}, 9 * time.Second},
		{"x with a Unix time beside a Date of nobody's", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1893456009", "Date", "Thu, 01 Jan 1970 00:00:00 GMT"}, 9 * time.Second},
		{"x with a Unix time ahead", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "4102444800"}, 0},
		{"X-Rate-Limit with a date", []string{"x-rate-limit-remaining", "0", "x-rate-limit-reset", "2030-01-01T00:01:00Z"}, time.Minute},
		{"some left", []string{"X-RateLimit-Remaining", "1", "X-RateLimit-Reset", "4"}, 0},
		{"no reset", []string{"X-RateLimit-Remaining", "0"}, 0},
		{"absurd", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "86400"}, 0},
		{"malformed", []string{"RateLimit", "remaining=;;==,0 reset"}, 0},
		{"negative", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "-5"}, 0},
		{"Retry-After", []string{"Retry-After", "11"}, 0}, // see TestARetryAfterBesideDataSlows
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in2030()
				p, l := &provider{handler: answers(answer(200, "", tt.headers...))}, fetchtest.NewCallStore()
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

// in2030 lets a bubble's clock, which begins in 2000, come to a time whose Unix time has ten digits.
func in2030() { <-time.After(time.Until(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))) }

// A 429 without Retry-After says by its rate-limit headers when there is something left again.
func TestA429IsReadByItsReset(t *testing.T) {
	const date = "Tue, 01 Jan 2030 00:00:00 GMT"
	for _, tt := range []struct {
		name    string
		headers []string
		want    time.Duration
	}{
		{"seconds left", []string{"X-RateLimit-Reset", "40"}, 40 * time.Second},
		{"with a fraction", []string{"RateLimit-Reset", "1.5"}, 1500 * time.Millisecond},
		{"a Unix time", []string{"X-RateLimit-Reset", "1893456040"}, 40 * time.Second},
		{"a Unix time in milliseconds", []string{"X-Rate-Limit-Reset", "1893456040000", "Date", date}, 40 * time.Second},
		{"an instant", []string{"X-RateLimit-Reset", "2030-01-01T00:00:40Z"}, 40 * time.Second},
		{"none left", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "3600"}, time.Hour},
		{"a day's quota", []string{"RateLimit", `"day";r=0;t=86400`}, 24 * time.Hour},
		{"behind Retry-After", []string{"Retry-After", "10", "X-RateLimit-Reset", "40"}, 10 * time.Second},
		{"where Retry-After is over", []string{"Retry-After", "0", "X-RateLimit-Reset", "40"}, 40 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in2030()
				p, l := &provider{handler: answers(answer(429, "", tt.headers...), answer(200, ""))}, fetchtest.NewCallStore()
				o, stop := piped(t, p, l)
				defer stop()
				o.MaxWait = 48 * time.Hour
				if _, err := client(t, o).Do(t.Context(), get("x")); err != nil {
					t.Fatal(err)
				}
				j := p.journal()
				if d := j[1].at.Sub(j[0].at); d != tt.want {
					t.Errorf("called again after %s, want %s", d, tt.want)
				}
			})
		})
	}
	for _, headers := range [][]string{
		{"X-RateLimit-Remaining", "5", "X-RateLimit-Reset", "3600"}, // it was refused for something else
		{"X-RateLimit-Reset", "86400000"},                           // a thousand days
	} {
		a := fetch.Answer{Status: 429, Header: http.Header{}}
		for i := 0; i < len(headers); i += 2 {
			a.Header.Set(headers[i], headers[i+1])
		}
		if got := a.Announced().Pause; got != 0 {
			t.Errorf("%q: %s is believed", headers, got)
		}
	}
}

// Some servers send a Retry-After with every answer, to say how often to ask. That is no refusal.
func TestARetryAfterBesideDataSlows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inside, most atomic.Int32
		p, l := &provider{}, fetchtest.NewCallStore()
		p.handler = func(_ int, w http.ResponseWriter, _ *http.Request) {
			if n := inside.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-time.After(time.Second)
			inside.Add(-1)
			w.Header().Set("Retry-After", "3600")
		}
		o, stop := piped(t, p, l)
		defer stop()
		var log bytes.Buffer
		o.Log = zerolog.New(zerolog.SyncWriter(&log))
		c := client(t, o)
		if _, err := c.Do(t.Context(), get("x")); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				a, err := c.Do(t.Context(), get("x"))
				if err != nil || a.Call.Durable || a.Call.RetryAfter != time.Hour {
					t.Errorf("%v, %+v", err, a)
				}
			})
		}
		wg.Wait()
		if most.Load() != 1 || time.Since(began) != 10*time.Second {
			t.Errorf("%d calls at once, all within %s; want one at a time", most.Load(), time.Since(began))
		}
		if len(l.Pauses()) > 0 || strings.Count(log.String(), "one at a time") != 1 {
			t.Errorf("pauses %v, log %s", l.Pauses(), &log)
		}
		<-time.After(2 * time.Hour)
		for range 5 {
			wg.Go(func() {
				if _, err := c.Do(t.Context(), get("x")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if most.Load() != 5 {
			t.Errorf("%d calls at once after that hour, want all five", most.Load())
		}
	})
}

// A 200 that is a refusal closes the gate, as a 429 would.
func TestARetryAfterBesideARefusalInA200(t *testing.T) {
	for name, refusal := range map[string]func(http.ResponseWriter){
		"in the header":  answer(200, `{"error":"rate_limit_exceeded"}`, "Retry-After", "60"),
		"in a member":    answer(200, `{"error":"rate_limit_exceeded","retry_after":60}`),
		"in its words":   answer(200, `{"error":"rate_limit_exceeded","message":"try again in 1 minute"}`),
		"of a 429":       answer(429, `{"error":"slow","retry_after":"60"}`),
		"of a 429, said": answer(429, `{"detail":"Please try again in 60 seconds"}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, l := &provider{handler: answers(refusal, answer(200, "{}"))}, fetchtest.NewCallStore()
				o, stop := piped(t, p, l)
				defer stop()
				if _, err := client(t, o).Do(t.Context(), get("x")); err != nil {
					t.Fatal(err)
				}
				j := p.journal()
				if d := j[1].at.Sub(j[0].at); len(j) != 2 || d != time.Minute {
					t.Errorf("%d calls, the second after %s", len(j), d)
				}
				if pauses := l.Pauses(); len(pauses) != 1 || pauses[0].For != time.Minute {
					t.Errorf("the store was told of %v", pauses)
				}
			})
		})
	}
}

// A Date that can't be right makes a pause hang on our own clock, and whoever has the wrong one must know.
func TestADateThatCantBeRightIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in2030()
		var log bytes.Buffer
		until := "Tue, 01 Jan 2030 00:00:30 GMT"
		p, l := &provider{handler: answers(
			answer(429, "", "Date", "Thu, 01 Jan 1970 00:00:00 GMT", "Retry-After", until),
			answer(429, "", "Date", "Thu, 01 Jan 1970 00:00:00 GMT", "Retry-After", "30"), answer(200, ""))}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		o.Log = zerolog.New(&log).Level(zerolog.WarnLevel)
		if _, err := client(t, o).Do(t.Context(), get("x")); err != nil {
			t.Fatal(err)
		}
		j := p.journal()
		if d := j[2].at.Sub(j[0].at); d != time.Minute {
			t.Errorf("two pauses of half a minute took %s", d)
		}
		if n := strings.Count(log.String(), "measured by our own clock"); n != 1 {
			t.Errorf("%d warnings, want one, for the pause that a moment told: %s", n, &log)
		}
	})
}

// A server that writes its local time as if it were GMT writes it in both headers.
func TestADateOfAnotherZoneMeasuresItsOwnMoments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		date := func(at time.Time) string { return at.UTC().Format(http.TimeFormat) }
		server := time.Now().Add(-time.Hour)
		p := &provider{handler: answers(
			answer(429, "", "Date", date(server), "Retry-After", date(server.Add(20*time.Second))), answer(200, ""))}
		o, stop := piped(t, p, fetchtest.NewCallStore())
		defer stop()
		if _, err := client(t, o).Do(t.Context(), get("x")); err != nil {
			t.Fatal(err)
		}
		if d := p.journal()[1].at.Sub(p.journal()[0].at); d != 20*time.Second {
			t.Errorf("called again after %s", d)
		}
	})
}

func TestRetryAfterIsMeasuredAgainstTheServersClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		date := func(at time.Time) string { return at.UTC().Format(http.TimeFormat) }
		server := time.Now().Add(4 * time.Minute)
		p := &provider{handler: answers(
			answer(503, "", "Date", date(server), "Retry-After", date(server.Add(90*time.Second))), answer(200, ""))}
		o, stop := piped(t, p, fetchtest.NewCallStore())
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
		p, l := &provider{handler: answers(answer(502, "", "Retry-After", "90"), answer(200, ""))}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		var seen []pause.Announcement
		o.Driver.Classify = func(_ *fetch.Request, a *fetch.Answer) fetch.Meaning {
			a.Header = http.Header{}
			seen = append(seen, a.Announced())
			if a.Status == http.StatusOK {
				return fetch.Meaning{Class: finance.OK}
			}
			return fetch.Meaning{Class: fetch.ByStatus(a)}
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
	for value, said := range map[string]bool{"soon hunter2-hunter2 " + strings.Repeat("x", 5000): true, "-1": true, "1.5": false, "0": false} {
		var log bytes.Buffer
		p := &provider{handler: func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header()["Retry-After"] = []string{value}
		}}
		o := options(t, served(t, p), fetchtest.NewCallStore())
		o.Log = zerolog.New(&log).Level(zerolog.WarnLevel)
		if _, err := client(t, o).Do(t.Context(), get("x")); err != nil {
			t.Fatal(err)
		}
		if got := log.String(); strings.Contains(got, "retry_after") != said || strings.Contains(got, "hunter2") || len(got) > 1000 {
			t.Errorf("%.20q: logged %q", value, got)
		}
	}
}
