package fetch_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// forConsent is a call for one consent.
func forConsent(id int64, path string) fetch.Request {
	r := get(path)
	r.Task = calls.Task{Consent: &finance.Consent{ID: id}}
	return r
}

// down is a provider that answers 500 where the path begins with "down", and 202 where it begins with "later".
func down() *provider {
	return &provider{handler: func(_ int, w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "later") {
			w.WriteHeader(202)
		}
		if strings.Contains(r.URL.Path, "down") {
			w.WriteHeader(500)
		}
	}}
}

// withBreaker runs a test with one attempt a request, and a store that has seen the breaker's pauses.
func withBreaker(t *testing.T, test func(*testing.T, *fetch.Client, *fetchtest.CallStore)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := fetchtest.NewCallStore()
		o, stop := piped(t, down(), l)
		defer stop()
		o.Retry.Attempts = 1
		test(t, client(t, o), l)
	})
}

// Many consents may fail in a row before a provider is taken for down: they may be one bank's of many.
func TestBreakerLetsManyConsentsFail(t *testing.T) {
	withBreaker(t, func(t *testing.T, c *fetch.Client, l *fetchtest.CallStore) {
		for id := range int64(63) {
			_, err := c.Do(t.Context(), forConsent(id+1, "down"))
			wantClass(t, err, finance.Transient)
		}
		if len(l.Pauses()) != 0 {
			t.Fatal("it opened before 64 consents had failed")
		}
		_, err := c.Do(t.Context(), forConsent(64, "down"))
		wantClass(t, err, finance.Transient)
		if len(l.Pauses()) != 1 {
			t.Errorf("64 consents have failed in a row: %d pauses", len(l.Pauses()))
		}
	})
}

// A provider that answers that it is not ready yet, for however many, is not down.
func TestBreakerStaysClosedForWhatIsNotReady(t *testing.T) {
	withBreaker(t, func(t *testing.T, c *fetch.Client, l *fetchtest.CallStore) {
		for range 2 {
			for id := range int64(70) {
				_, err := c.Do(t.Context(), forConsent(id+1, "later"))
				wantClass(t, err, finance.Transient)
			}
		}
		if n := len(l.Pauses()); n != 0 {
			t.Errorf("%d pauses", n)
		}
	})
}

// Consents that have failed before may not go on failing while nobody is answered well.
func TestBreakerOpensForRepetitionsWhereNobodyIsAnswered(t *testing.T) {
	withBreaker(t, func(t *testing.T, c *fetch.Client, l *fetchtest.CallStore) {
		for id := range int64(5) {
			_, _ = c.Do(t.Context(), forConsent(id+1, "down"))
		}
		if len(l.Pauses()) != 0 {
			t.Fatal("five consents that fail once are no provider that is down")
		}
		_, _ = c.Do(t.Context(), forConsent(1, "down"))
		if len(l.Pauses()) != 1 {
			t.Errorf("a repetition, where five have failed and nobody was answered: %d pauses", len(l.Pauses()))
		}
	})
}

// The same when somebody was answered well, but not for a minute.
func TestBreakerOpensForRepetitionsAMinuteAfterTheLastGoodAnswer(t *testing.T) {
	withBreaker(t, func(t *testing.T, c *fetch.Client, l *fetchtest.CallStore) {
		if _, err := c.Do(t.Context(), forConsent(99, "good")); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for id := range int64(20) {
				_, _ = c.Do(t.Context(), forConsent(id+1, "down"))
			}
		}
		if len(l.Pauses()) != 0 {
			t.Fatal("it opened at once: those that are left may be one bank's")
		}
		<-time.After(time.Minute)
		_, _ = c.Do(t.Context(), forConsent(1, "down"))
		if len(l.Pauses()) != 1 {
			t.Errorf("nobody was answered for a minute: %d pauses", len(l.Pauses()))
		}
	})
}

// That a feed is answered says nothing of the data.
func TestBreakerOpensWhereOnlyTheFeedIsAnswered(t *testing.T) {
	withBreaker(t, func(t *testing.T, c *fetch.Client, l *fetchtest.CallStore) {
		if _, err := c.Do(t.Context(), get("feed")); err != nil {
			t.Fatal(err)
		}
		for id := range int64(5) {
			_, _ = c.Do(t.Context(), forConsent(id+1, "down"))
		}
		_, _ = c.Do(t.Context(), forConsent(1, "down"))
		if len(l.Pauses()) != 1 {
			t.Errorf("no consent was ever answered: %d pauses", len(l.Pauses()))
		}
	})
}

// What fails again and again says nothing of the provider while others are answered.
func TestBreakerForgivesRepetitionsWhereOthersAreAnswered(t *testing.T) {
	withBreaker(t, func(t *testing.T, c *fetch.Client, l *fetchtest.CallStore) {
		for id := range int64(20) {
			_, _ = c.Do(t.Context(), forConsent(id+1, "down"))
		}
		if _, err := c.Do(t.Context(), forConsent(99, "good")); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			for id := range int64(20) {
				_, err := c.Do(t.Context(), forConsent(id+1, "down"))
				wantClass(t, err, finance.Transient)
			}
		}
		if len(l.Pauses()) != 0 {
			t.Errorf("it opened: %+v", l.Pauses())
		}
	})
}

// A consent that was answered a moment ago and then fails, for one of its accounts, is no sign of a provider that is down.
func TestBreakerForgivesAnAccountThatFails(t *testing.T) {
	withBreaker(t, func(t *testing.T, c *fetch.Client, l *fetchtest.CallStore) {
		for id := range int64(10) {
			if _, err := c.Do(t.Context(), forConsent(id+1, "good")); err != nil {
				t.Fatal(err)
			}
		}
		for id := range int64(10) {
			_, _ = c.Do(t.Context(), forConsent(id+1, "down"))
			_, _ = c.Do(t.Context(), forConsent(id+1, "down"))
		}
		if len(l.Pauses()) != 0 {
			t.Errorf("it opened: %+v", l.Pauses())
		}
		<-time.After(5 * time.Minute) // then it is no moment ago any more
		for id := range int64(5) {
			_, _ = c.Do(t.Context(), forConsent(id+50, "down"))
		}
		_, _ = c.Do(t.Context(), forConsent(1, "down"))
		if len(l.Pauses()) != 1 {
			t.Errorf("five new ones have failed, and one that was answered long ago: %d pauses", len(l.Pauses()))
		}
	})
}

// With one try the first call of a stream is not repeated, and whoever asked is told that it may be asked again. Then the
// first try counts.
func TestOneTryOfAnOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := down(), fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		o.Retry = fetch.Retry{Attempts: 3, Base: time.Millisecond}
		c := client(t, o)
		for _, tt := range []struct {
			opening, oneTry bool
			tried, calls    int
		}{{true, true, 0, 1}, {true, false, 0, 3}, {true, false, 1, 2}, {false, true, 0, 3}, {false, false, 1, 3}} {
			r := forConsent(1, "down")
			r.Opening, r.Task.OneTry, r.Task.Tried = tt.opening, tt.oneTry, tt.tried
			before := len(p.journal())
			_, err := c.Do(t.Context(), r)
			wantClass(t, err, finance.Transient)
			failure := err.(*fetch.Error)
			if got := len(p.journal()) - before; got != tt.calls || failure.Again != (tt.calls == 1) {
				t.Errorf("opening %v, one try %v: %d calls, again %v", tt.opening, tt.oneTry, got, failure.Again)
			}
		}
	})
}
