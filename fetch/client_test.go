package fetch_test

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

func TestDoCarriesItsCall(t *testing.T) {
	p := &provider{handler: answers(answer(200, `{"a":1}`, "X-Correlation-Id", "abc\u0085"))}
	l := fetchtest.NewCallStore()
	c := client(t, options(t, served(t, p), l))
	a, err := c.Do(t.Context(), fetch.Request{Path: "v1/x", Template: "/v1/x", IDHeader: "X-Trace-ID"})
	if err != nil {
		t.Fatal(err)
	}
	call := a.Call
	if call.Correlation != "abc" || call.Class != finance.OK || call.Bytes != 7 || call.Status != 200 || call.Durable || call.Attempt != 1 || call.Duration <= 0 {
		t.Errorf("the call is %+v", call)
	}
	head := p.journal()[0].head
	if got := head.Get("X-Trace-Id"); got != call.ID.String() {
		t.Errorf("the provider saw id %q, the call is %s", got, call.ID)
	}
	if head.Get("X-Request-Id") != "" || head.Get("Authorization") != "" {
		t.Errorf("headers nobody asked for: %v", head)
	}
	if n := len(l.Calls()); n != 0 {
		t.Errorf("%d calls recorded: a data answer's call travels with its page", n)
	}
}

// The outcome table: what a status leads to, and how many calls it costs.
func TestOutcomes(t *testing.T) {
	tests := []struct {
		name     string
		script   []func(http.ResponseWriter)
		want     finance.Class
		arrivals int
		recorded []finance.Class
	}{
		{"a transient failure heals", []func(http.ResponseWriter){answer(500, ""), answer(200, "")}, finance.OK, 2, []finance.Class{finance.Transient}},
		{"retries are bounded", []func(http.ResponseWriter){answer(502, "<html>")}, finance.Transient, 3, []finance.Class{finance.Transient, finance.Transient, finance.Transient}},
		{"423 is transient", []func(http.ResponseWriter){answer(423, ""), answer(200, "")}, finance.OK, 2, []finance.Class{finance.Transient}},
		{"a throttle is no attempt", []func(http.ResponseWriter){answer(429, "", "Retry-After", "7"), answer(429, ""), answer(503, "", "Retry-After", "1"), answer(429, ""), answer(200, "")}, finance.OK, 5,
			[]finance.Class{finance.Throttled, finance.Throttled, finance.Throttled, finance.Throttled}},
		{"throttles without a time come more and more seldom", []func(http.ResponseWriter){answer(429, "")}, finance.Throttled, 10, nil},
		{"throttles are bounded", []func(http.ResponseWriter){answer(429, "", "Retry-After", "1")}, finance.Throttled, 50, nil},
		{"400 fails", []func(http.ResponseWriter){answer(400, "no")}, finance.Rejected, 1, []finance.Class{finance.Rejected}},
		{"a redirect is fatal", []func(http.ResponseWriter){answer(302, "", "Location", "/v1/y", "Retry-After", "3")}, finance.Fatal, 1, []finance.Class{finance.Fatal}},
		{"401 without tokens", []func(http.ResponseWriter){answer(401, "")}, finance.TokenDenied, 1, []finance.Class{finance.TokenDenied}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, l := &provider{handler: answers(tt.script...)}, fetchtest.NewCallStore()
				o, stop := piped(t, p, l)
				defer stop()
				o.Retry = fetch.Retry{Attempts: 3}
				c := client(t, o)
				defer c.CloseIdle()
				_, err := c.Do(t.Context(), get("x"))
				if tt.want == finance.OK && err != nil {
					t.Fatal(err)
				}
				if tt.want != finance.OK {
					wantClass(t, err, tt.want)
				}
				if n := len(p.journal()); n != tt.arrivals {
					t.Errorf("%d calls arrived, want %d", n, tt.arrivals)
				}
				if d := cmp.Diff(tt.recorded, classes(l.Calls())); tt.recorded != nil && d != "" {
					t.Errorf("recorded classes (-want +got):\n%s", d)
				}
			})
		})
	}
}

func TestRetryBudgetEndsBeforeTheAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{handler: func(_ int, w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}
		o, stop := piped(t, p, fetchtest.NewCallStore())
		defer stop()
		o.Timeout, o.Retry = 10*time.Second, fetch.Retry{Attempts: 100, Base: time.Second, Cap: time.Second, Budget: 35 * time.Second}
		began := time.Now()
		_, err := client(t, o).Do(t.Context(), get("x"))
		wantClass(t, err, finance.Transient)
		if d := time.Since(began); d > 46*time.Second || len(p.journal()) < 3 {
			t.Errorf("gave up after %s and %d attempts, with a budget of 35 s", d, len(p.journal()))
		}
	})
}

func TestReasonsGiveNobodyAway(t *testing.T) {
	p := &provider{handler: answers(answer(400, "no\nconsent for 14842249091 or 148422 49091,\x1b[31m secret hunter2-hunter2 Bearer abcdefghijkl "+strings.Repeat("x", 500)))}
	c := client(t, options(t, served(t, p), fetchtest.NewCallStore()))
	_, err := c.Do(t.Context(), get("x"))
	e := wantClass(t, err, finance.Rejected)
	for _, bad := range []string{"14842249091", "49091", "hunter2", "abcdefgh", "\n", "\x1b"} {
		if strings.Contains(e.Error(), bad) {
			t.Errorf("the error shows %q: %v", bad, e)
		}
	}
	if !strings.Contains(e.Reason, "no consent for [number]") || len(e.Reason) > 300 {
		t.Errorf("reason: %q", e.Reason)
	}
}

func TestRefusalSendsNothing(t *testing.T) {
	for _, class := range []finance.Class{finance.Refused, finance.Renewed, finance.Fenced, finance.Fatal} {
		p, l := &provider{handler: answers(answer(200, ""))}, fetchtest.NewCallStore()
		l.Refuse(func(calls.Ask) (finance.Class, string) { return class, "budget spent" })
		_, err := client(t, options(t, served(t, p), l)).Do(t.Context(), get("x"))
		if e := wantClass(t, err, class); e.Reason != "budget spent" || len(p.journal()) != 0 {
			t.Errorf("%v; %d calls arrived", e, len(p.journal()))
		}
	}
}

func TestOpeningIsPaidOncePerSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: answers(answer(500, ""), answer(200, ""))}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		o.Rate = 10
		r := get("x")
		r.Opening = true
		if _, err := client(t, o).Do(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		opening := 0
		for _, ask := range l.Asks() {
			if ask.Opening {
				opening++
			}
		}
		if opening != 2 {
			t.Errorf("%d openings paid for 2 sends", opening)
		}
	})
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		healthy := make(chan struct{})
		p := &provider{handler: func(_ int, w http.ResponseWriter, r *http.Request) {
			select {
			case <-healthy:
			default:
				w.WriteHeader(500)
			}
		}}
		l := fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		o.Retry.Attempts = 1
		var log bytes.Buffer
		o.Log = zerolog.New(zerolog.SyncWriter(&log)).Level(zerolog.WarnLevel)
		c := client(t, o)
		for range 5 {
			_, err := c.Do(t.Context(), get("x"))
			wantClass(t, err, finance.Transient)
		}
		if ps := l.Pauses(); len(ps) != 1 || ps[0].Reason != "breaker: GET /x: status 500" || ps[0].For != 30*time.Second {
			t.Fatalf("pauses: %+v", ps)
		}
		if said := log.String(); strings.Count(said, "fails again and again") != 1 || !strings.Contains(said, `"cause":"GET /x: status 500"`) {
			t.Errorf("the log says of it: %s", said)
		}
		opened := time.Now()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { _, _ = c.Do(t.Context(), get("probe")) })
		}
		wg.Go(func() {
			<-time.After(45 * time.Second)
			close(healthy)
		})
		wg.Wait()
		var times []time.Duration
		for _, a := range p.journal()[5:] {
			times = append(times, a.at.Sub(opened))
		}
		if len(times) != 20 || times[0] != 30*time.Second || times[1] != 60*time.Second || times[2] != 60*time.Second {
			t.Errorf("half-open is one probe after 30 s, then after 60 s all: %v", times)
		}
	})
}

// One consent that always fails is several attempts of several requests; the successes of others set the count back.
func TestBreakerForgivesOneBadConsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{handler: func(_ int, w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "bad") {
				w.WriteHeader(500)
			}
		}}
		l := fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		o.Retry = fetch.Retry{Attempts: 8, Base: time.Millisecond}
		c := client(t, o)
		for range 10 {
			_, err := c.Do(t.Context(), get("bad"))
			wantClass(t, err, finance.Transient)
			if _, err := c.Do(t.Context(), get("good")); err != nil {
				t.Fatal(err)
			}
		}
		if ps := l.Pauses(); len(ps) != 0 {
			t.Errorf("the breaker opened: %+v", ps)
		}
	})
}

// A provider that takes every call and answers none is left alone too, although few calls fail in a minute.
func TestBreakerOpensForSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: func(n int, w http.ResponseWriter, r *http.Request) {
			if n > 1 {
				<-r.Context().Done()
			}
		}}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		o.Timeout, o.Retry.Attempts = time.Minute, 1
		c := client(t, o)
		if _, err := c.Do(t.Context(), get("x")); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if len(l.Pauses()) > 0 {
				t.Error("opened too early")
			}
			_, err := c.Do(t.Context(), get("x"))
			wantClass(t, err, finance.Transient)
		}
		if ps := l.Pauses(); len(ps) != 1 || ps[0].Reason != "breaker: GET /x: no complete answer within 1m0s" {
			t.Errorf("pauses: %+v", ps)
		}
	})
}
