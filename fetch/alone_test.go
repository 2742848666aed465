package fetch_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// ofAccountOf is a request for an account of a consent.
func ofAccountOf(consent int64, account string) fetch.Request {
	r := get("x")
	r.Task = calls.Task{Consent: &finance.Consent{ID: consent}, Dataset: finance.Transactions}
	r.Account, r.Query = account, url.Values{"consent": {string(rune('0' + consent))}, "account": {account}}
	return r
}

// reaching makes the driver say whom a pause holds up.
func reaching(o *fetch.Options, reach fetch.Reach) {
	o.Driver.Alone = true
	o.Driver.Classify = func(*fetch.Request, *fetch.Answer) fetch.Meaning { return fetch.Meaning{Pauses: reach} }
}

// turnsAway answers the first call for an account of a consent with a pause.
func turnsAway(p *provider, status int, retryAfter, consent, account string) {
	var once sync.Once
	p.handler = func(_ int, w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); q.Get("consent") != consent || q.Get("account") != account {
			return
		}
		once.Do(func() {
			w.Header().Set("Retry-After", retryAfter)
			w.WriteHeader(status)
		})
	}
}

// A pause holds up whom it is for, in every process, and nobody else.
func TestAPauseOfOneAlone(t *testing.T) {
	type who struct {
		consent int64
		account string
	}
	for name, tt := range map[string]struct {
		status int
		reach  fetch.Reach
		waits  []who
		goes   []who
	}{
		"a consent's":                 {429, fetch.ReachConsent, []who{{1, "a"}, {1, "b"}, {1, ""}}, []who{{2, "a"}, {2, ""}, {0, ""}}},
		"an account's":                {429, fetch.ReachAccount, []who{{1, "a"}}, []who{{1, "b"}, {1, ""}, {2, "a"}}},
		"everybody's":                 {429, fetch.ReachAll, []who{{1, "a"}, {1, "b"}, {2, "a"}}, nil},
		"a consent's, by a 503":       {503, fetch.ReachConsent, []who{{1, "a"}, {1, "b"}}, []who{{2, "a"}}},
		"a consent's, through a word": {500, fetch.ReachConsent, []who{{1, "b"}}, []who{{2, "b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, l := &provider{}, fetchtest.NewCallStore()
				o, stop := piped(t, p, l)
				defer stop()
				reaching(&o, tt.reach)
				turnsAway(p, tt.status, "600", "1", "a")
				one, other := client(t, o), client(t, o)
				began := time.Now()
				var wg sync.WaitGroup
				call := func(c *fetch.Client, w who, least, most time.Duration) {
					wg.Go(func() {
						r := get("x")
						if w.consent != 0 {
							r = ofAccountOf(w.consent, w.account)
						}
						_, err := c.Do(t.Context(), r)
						if d := time.Since(began); err != nil || d < least || d > most {
							t.Errorf("%+v was answered after %s, %v; want %s to %s", w, d, err, least, most)
						}
					})
				}
				call(one, who{1, "a"}, 10*time.Minute, 11*time.Minute) // is told
				<-time.After(time.Second)
				for _, c := range []*fetch.Client{one, other} {
					for _, w := range tt.waits {
						call(c, w, 10*time.Minute, 11*time.Minute)
					}
					for _, w := range tt.goes {
						call(c, w, 0, 2*time.Second)
					}
				}
				wg.Wait()
			})
		})
	}
}

// A pause that is longer than anybody waits for fails the one that it is for, and the error says that it is nobody else's.
func TestALongPauseOfOneAloneFailsThatOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		reaching(&o, fetch.ReachConsent)
		turnsAway(p, 429, "7200", "1", "a")
		for _, c := range []*fetch.Client{client(t, o), client(t, o)} {
			for _, account := range []string{"a", "b"} {
				_, err := c.Do(t.Context(), ofAccountOf(1, account))
				e := wantClass(t, err, finance.Throttled)
				if !e.Alone || e.Again || e.Wait < 2*time.Hour-time.Second || !strings.Contains(e.Reason, "no call for this one alone before 2000-01-01 02:00:00Z") {
					t.Errorf("%+v", e)
				}
			}
		}
		if n := len(p.journal()); n != 1 {
			t.Errorf("%d calls, want the one that was told", n)
		}
		if _, err := client(t, o).Do(t.Context(), ofAccountOf(2, "a")); err != nil {
			t.Error(err)
		}
		if pauses := l.Pauses(); len(pauses) != 1 || !strings.HasSuffix(pauses[0].Alone, "#consent 1") {
			t.Errorf("%+v", pauses)
		}
	})
}

// In its first turn a consent that is to wait alone gives its place to the others.
func TestOneAloneIsPutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		reaching(&o, fetch.ReachConsent)
		turnsAway(p, 429, "600", "1", "a")
		c := client(t, o)
		r := ofAccountOf(1, "a")
		r.Opening, r.Task.OneTry = true, true
		began := time.Now()
		_, err := c.Do(t.Context(), r)
		if e := wantClass(t, err, finance.Throttled); !e.Again || !e.Alone || time.Since(began) > time.Second {
			t.Errorf("%+v after %s", e, time.Since(began))
		}
		r.Task.OneTry = false
		if _, err := c.Do(t.Context(), r); err != nil || time.Since(began) < 10*time.Minute {
			t.Errorf("its second turn: %v after %s", err, time.Since(began))
		}
	})
}

// What a provider says holds for its address: a connection that moves begins with an open gate, and is turned away when it
// comes back.
func TestAGateBelongsToAnOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: pauseOn(1, "86400")}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		_, err := client(t, o).Do(t.Context(), get("x"))
		wantClass(t, err, finance.Throttled)
		moved := o
		for _, base := range []string{"http://other.example/v1", "http://api.example:8080/v1"} {
			moved.Driver = driver(t, base)
			if _, err := client(t, moved).Do(t.Context(), get("x")); err != nil {
				t.Errorf("at %s: %v", base, err)
			}
		}
		for _, base := range []string{"http://api.example/v1", "http://API.example/v2"} {
			moved.Driver = driver(t, base)
			_, err = client(t, moved).Do(t.Context(), get("x"))
			wantClass(t, err, finance.Throttled)
		}
	})
}

// A pause of days that an operator ends in another process is over in this one too.
func TestAPauseOfDaysCanBeEnded(t *testing.T) {
	for name, reach := range map[string]fetch.Reach{"everybody's": fetch.ReachAll, "a consent's": fetch.ReachConsent} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, l := &provider{}, fetchtest.NewCallStore()
				o, stop := piped(t, p, l)
				defer stop()
				reaching(&o, reach)
				turnsAway(p, 429, "315360000", "1", "a")
				c := client(t, o)
				for range 2 {
					_, err := c.Do(t.Context(), ofAccountOf(1, "a"))
					wantClass(t, err, finance.Throttled)
				}
				l.Resume()
				if _, err := c.Do(t.Context(), ofAccountOf(1, "a")); err != nil {
					t.Error(err)
				}
				if n := len(p.journal()); n != 2 {
					t.Errorf("%d calls, want the one that was told and the one that asked again", n)
				}
			})
		})
	}
}

// One alone that is refused and told no time is soon given up: nobody else waits to know when it may be asked for again.
func TestOneAloneWithoutATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{}, fetchtest.NewCallStore()
		p.handler = func(_ int, w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("consent") == "1" {
				w.WriteHeader(429)
			}
		}
		o, stop := piped(t, p, l)
		defer stop()
		reaching(&o, fetch.ReachConsent)
		c := client(t, o)
		began := time.Now()
		_, err := c.Do(t.Context(), ofAccountOf(1, "a"))
		if e := wantClass(t, err, finance.Throttled); !e.Alone || e.Told != fetch.ToldByNobody || time.Since(began) < 7*time.Second {
			t.Errorf("%+v after %s", e, time.Since(began))
		}
		if n := len(p.journal()); n != 4 {
			t.Errorf("%d calls were refused, want 4", n)
		}
		began = time.Now()
		if _, err := client(t, o).Do(t.Context(), ofAccountOf(2, "a")); err != nil || time.Since(began) > time.Second {
			t.Errorf("another consent: %v after %s", err, time.Since(began))
		}
	})
}

// The same of a pause that the token endpoint has told, which is remembered with the failure to get a token.
func TestAPauseOfDaysOfTheTokenEndpointCanBeEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{}, fetchtest.NewCallStore()
		asked := 0
		p.handler = func(_ int, w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/token" {
				return
			}
			if asked++; asked == 1 {
				w.Header().Set("Retry-After", "315360000")
				w.WriteHeader(429)
				return
			}
			_, _ = w.Write([]byte(`{"access_token":"t","expires_in":3600}`))
		}
		o, stop := piped(t, p, l)
		defer stop()
		withToken(&o)
		c := client(t, o)
		for range 3 {
			_, err := c.Do(t.Context(), get("x"))
			if e := wantClass(t, err, finance.Throttled); e.Wait < 9*365*24*time.Hour {
				t.Errorf("to be parked for %s", e.Wait)
			}
			<-time.After(time.Minute)
		}
		if asked != 1 {
			t.Errorf("the token endpoint was called %d times, inside its pause", asked)
		}
		l.Resume()
		if _, err := c.Do(t.Context(), get("x")); err != nil {
			t.Error(err)
		}
	})
}

// The name of an account's gate is stored and shown, and a person's number may be an account's id.
func TestAnAccountsGateIsNamedByAKeyedFingerprint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		reaching(&o, fetch.ReachAccount)
		o.MaxWait = time.Second
		o.Fingerprint = func(text string) string {
			if strings.Contains(text, "15088512909") {
				return "keyed"
			}
			return "another"
		}
		turnsAway(p, 429, "600", "1", "15088512909")
		_, err := client(t, o).Do(t.Context(), ofAccountOf(1, "15088512909"))
		wantClass(t, err, finance.Throttled)
		if got := l.Pauses()[0].Alone; !strings.HasSuffix(got, "#consent 1 account keyed") {
			t.Errorf("the gate is named %q", got)
		}
	})
}
