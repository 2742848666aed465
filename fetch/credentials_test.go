package fetch_test

import (
	"errors"
	"fmt"
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

// lender gives tokens that tell what they were asked for with, and knows which of them it has given.
type lender struct {
	mu     sync.Mutex
	secret string // the only one it takes; empty: any
	given  int
	asked  []string // the secrets that it was asked with
	dead   map[string]bool
}

func (s *lender) handle(_ int, w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.HasPrefix(r.URL.Path, "/token") {
		id, secret, _ := r.BasicAuth()
		s.asked = append(s.asked, secret)
		if s.secret != "" && secret != s.secret {
			w.WriteHeader(401)
			fmt.Fprint(w, `{"error":"invalid_client"}`)
			return
		}
		s.given++
		fmt.Fprintf(w, `{"access_token":%q,"expires_in":3600}`, strings.Join([]string{id, secret, strings.ReplaceAll(r.PostFormValue("scope"), " ", "+"), r.Host + r.URL.Path, fmt.Sprint(s.given)}, "|"))
		return
	}
	if s.dead[r.Header.Get("Authorization")] {
		w.WriteHeader(401)
	}
}

// rotate makes the lender take another secret only, and ends all tokens that came by the old one.
func (s *lender) rotate(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secret = secret
}

// proof is what a client proves itself with.
type proof struct{ id, secret, scope, tokenHost, base string }

func (p proof) options(o fetch.Options) fetch.Options {
	o.Driver.Base = &url.URL{Scheme: "http", Host: p.base, Path: "/v1"}
	o.Connection.Credentials = map[string]fetch.Secret{"secret": fetch.NewSecret(p.secret)}
	o.Driver.Token = func(fetch.TokenKey) (fetch.TokenRequest, error) {
		return fetch.TokenRequest{URL: "http://" + p.tokenHost + "/token", Style: fetch.BasicRaw, ID: p.id, Secret: fetch.NewSecret(p.secret), Scopes: []string{p.scope}}, nil
	}
	return o
}

// Whatever changes of what a token belongs to, the old token is not sent; and two configurations side by
// side, as in a rolling deploy, keep a token each.
func TestATokenIsSentOnlyWithWhatItBelongsTo(t *testing.T) {
	old := proof{id: "me", secret: "old-secret", scope: "read", tokenHost: "auth.example", base: "api.example"}
	for name, change := range map[string]func(*proof){
		"client":        func(p *proof) { p.id = "you" },
		"secret":        func(p *proof) { p.secret = "new-secret" },
		"scope":         func(p *proof) { p.scope = "read write" },
		"token address": func(p *proof) { p.tokenHost = "login.example" },
		"origin":        func(p *proof) { p.base = "api2.example" },
		"port":          func(p *proof) { p.base = "api.example:8080" },
		"nothing":       func(*proof) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, l := &lender{}, fetchtest.NewCallStore()
				p := &provider{handler: s.handle}
				o, stop := piped(t, p, l)
				defer stop()
				changed := old
				change(&changed)
				tokens := map[proof]string{}
				for round := range 3 {
					for _, who := range []proof{old, changed} {
						c := client(t, who.options(o)) // a process of its own, each time
						if _, err := c.Do(t.Context(), get("x")); err != nil {
							t.Fatal(err)
						}
						sent := p.journal()[len(p.journal())-1].head.Get("Authorization")
						want := fmt.Sprintf("Bearer %s|%s|%s|%s/token|", who.id, who.secret, strings.ReplaceAll(who.scope, " ", "+"), who.tokenHost)
						if !strings.HasPrefix(sent, want) {
							t.Errorf("round %d: %s was sent", round, sent)
						}
						if tokens[who] == "" {
							tokens[who] = sent
						}
						if tokens[who] != sent {
							t.Errorf("round %d: its token was thrown out: %s, then %s", round, tokens[who], sent)
						}
					}
				}
				want := 2
				if changed == old {
					want = 1
				}
				if s.given != want || len(l.TokenKeys()) != want {
					t.Errorf("%d tokens were given and %d are kept, want %d", s.given, len(l.TokenKeys()), want)
				}
				for _, key := range l.TokenKeys() {
					if strings.Contains(key, "secret") {
						t.Errorf("the key %q tells a secret", key)
					}
				}
			})
		})
	}
}

// A fingerprint is made with the installation's key, so that nobody can guess a secret from it.
func TestFingerprintsAreKeyed(t *testing.T) {
	l := fetchtest.NewCallStore()
	p := &provider{handler: (&lender{}).handle}
	who := proof{id: "me", secret: "old-secret", scope: "read"}
	who.base = strings.TrimPrefix(served(t, p), "http://")
	who.tokenHost = who.base
	o := who.options(options(t, "http://"+who.base, l))
	o.Fingerprint = func(text string) string {
		if !strings.Contains(text, "me") {
			t.Errorf("the fingerprint of %q says nothing of the client", text)
		}
		return "keyed"
	}
	c := client(t, o)
	if _, err := c.Do(t.Context(), get("x")); err != nil {
		t.Fatal(err)
	}
	if keys := l.TokenKeys(); len(keys) != 1 || keys[0] != "bank\nkeyed\n\n" {
		t.Errorf("kept by %q", keys)
	}
	if c.Credentials() != "keyed" {
		t.Errorf("the credentials are known by %q", c.Credentials())
	}
	for _, ask := range l.Asks() {
		if ask.Credentials != "keyed" {
			t.Errorf("asked for with %q", ask.Credentials)
		}
	}
}

// rotating is a client whose secret lies in a file that changes.
type rotating struct {
	mu     sync.Mutex
	secret string
	broken error
	read   int
}

func (f *rotating) put(secret string, broken error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.secret, f.broken = secret, broken
}

func (f *rotating) options(o fetch.Options) fetch.Options {
	who := proof{id: "me", secret: f.secret, scope: "read", tokenHost: "auth.example", base: "api.example"}
	o = who.options(o)
	o.Driver.Header = map[string]fetch.Secret{"X-Api-Key": fetch.NewSecret(f.secret)}
	o.Reread = func() (map[string]fetch.Secret, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.read++
		return map[string]fetch.Secret{"secret": fetch.NewSecret(f.secret)}, f.broken
	}
	o.Open = func(c fetch.Connection) (fetch.Driver, error) {
		now := who
		now.secret = c.Credentials["secret"].Reveal()
		d := now.options(fetch.Options{}).Driver
		d.Header = map[string]fetch.Secret{"X-Api-Key": c.Credentials["secret"]}
		return d, nil
	}
	return o
}

// A secret that is rotated costs one refused call at most, at the token endpoint, and no item.
func TestARotatedSecretIsReadAgainWhenItIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, file := &lender{secret: "one"}, &rotating{secret: "one"}
		p := &provider{handler: s.handle}
		o, stop := piped(t, p, fetchtest.NewCallStore())
		defer stop()
		c := client(t, file.options(o))
		do := func() error { _, err := c.Do(t.Context(), get("x")); return err }
		if err := do(); err != nil {
			t.Fatal(err)
		}
		before := c.Credentials()
		for n, secret := range []string{"two", "three"} {
			s.rotate(secret)
			s.mu.Lock()
			s.dead = map[string]bool{p.journal()[len(p.journal())-1].head.Get("Authorization"): true}
			s.mu.Unlock()
			file.put(secret, nil)
			var wg sync.WaitGroup
			for range 32 {
				wg.Go(func() {
					if err := do(); err != nil {
						t.Errorf("rotation %d: %v", n+1, err)
					}
				})
			}
			wg.Wait()
			last := p.journal()[len(p.journal())-1].head
			if !strings.HasPrefix(last.Get("Authorization"), "Bearer me|"+secret+"|") || last.Get("X-Api-Key") != secret {
				t.Errorf("rotation %d: sent %q and %q", n+1, last.Get("Authorization"), last.Get("X-Api-Key"))
			}
			if now := c.Credentials(); now == before {
				t.Errorf("rotation %d: the credentials are known by the same name", n+1)
			}
			before = c.Credentials()
		}
		if len(s.asked) > 5 { // one, then for each rotation the old one at most once and the new one once
			t.Errorf("asked with %q", s.asked)
		}
	})
}

// A file that changes is read within ten seconds although nothing was refused. One that is met while it is
// being written changes nothing.
func TestARotatedSecretIsReadAgainAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, file := &lender{}, &rotating{secret: "one"}
		p := &provider{handler: s.handle}
		o, stop := piped(t, p, fetchtest.NewCallStore())
		defer stop()
		var log fetchtest.Log
		o.Log = o.Log.Output(&log)
		c := client(t, file.options(o))
		sent := func() string {
			t.Helper()
			if _, err := c.Do(t.Context(), get("x")); err != nil {
				t.Fatal(err)
			}
			return p.journal()[len(p.journal())-1].head.Get("X-Api-Key")
		}
		for _, step := range []struct {
			secret string
			broken error
			after  time.Duration
			want   string
		}{
			{"one", nil, 0, "one"}, {"two", nil, 11 * time.Second, "two"}, {"", errors.New("empty"), 11 * time.Second, "two"},
			{"three", nil, 11 * time.Second, "three"},
		} {
			file.put(step.secret, step.broken)
			<-time.After(step.after)
			if got := sent(); got != step.want {
				t.Errorf("with %q in the file %q was sent, want %q", step.secret, got, step.want)
			}
		}
		before := file.read
		for range 100 {
			sent()
		}
		if file.read != before {
			t.Errorf("read %d times for 100 calls in a moment", file.read-before)
		}
	})
}

// What is refused and stays refused is told once, with the credentials that it was refused to: the park is
// for them alone.
func TestTheErrorNamesTheRefusedCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, tt := range map[string]struct {
			status int
			path   string
			class  finance.Class
			named  bool
		}{
			"a secret that is refused":   {401, "/token", finance.Fatal, true},
			"a token that is refused":    {401, "/v1/x", finance.TokenDenied, true},
			"an API key that is refused": {403, "/v1/x", finance.Fatal, true},
			"a redirect":                 {302, "/v1/x", finance.Fatal, false},
			"a record that there is not": {404, "/v1/x", finance.Rejected, false},
		} {
			s, file := &lender{}, &rotating{secret: "one"}
			p := &provider{handler: func(n int, w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == tt.path {
					w.Header().Set("Location", "/elsewhere")
					w.WriteHeader(tt.status)
					return
				}
				s.handle(n, w, r)
			}}
			o, stop := piped(t, p, fetchtest.NewCallStore())
			o = file.options(o)
			o.Driver.Classify = func(_ *fetch.Request, a *fetch.Answer) fetch.Meaning {
				if a.Status == 403 {
					return fetch.Meaning{Class: finance.Fatal, Reason: "wrong key"}
				}
				return fetch.Meaning{Class: fetch.ByStatus(a)}
			}
			c := client(t, o)
			_, err := c.Do(t.Context(), get("x"))
			e := wantClass(t, err, tt.class)
			if named := e.Credentials == c.Credentials(); named != tt.named || !tt.named && e.Credentials != "" {
				t.Errorf("%s: credentials %q", name, e.Credentials)
			}
			stop()
		}
	})
}

// A store that refuses the old credentials lets the new ones through: the file is read before anybody is
// refused.
func TestParkedCredentialsAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l, file := &lender{}, fetchtest.NewCallStore(), &rotating{secret: "one"}
		p := &provider{handler: s.handle}
		o, stop := piped(t, p, l)
		defer stop()
		c := client(t, file.options(o))
		parked := c.Credentials()
		l.Refuse(func(ask calls.Ask) (finance.Class, string) {
			if ask.Credentials == parked {
				return finance.Fatal, "parked"
			}
			return "", ""
		})
		_, err := c.Do(t.Context(), get("x"))
		if e := wantClass(t, err, finance.Fatal); !e.Unasked || len(p.journal()) != 0 {
			t.Errorf("%+v after %d calls", e, len(p.journal()))
		}
		file.put("two", nil)
		if _, err := c.Do(t.Context(), get("x")); err != nil {
			t.Error(err)
		}
	})
}

// A token that dies twice while many callers wait for their turn: nobody who waits sends what was refused to
// another, so nobody's refresh is spent on old news, and none of them fails.
func TestARefusedTokenWithManyCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := newIssuer(time.Hour), fetchtest.NewCallStore()
		p, o, stop := tokened(t, s, l)
		defer stop()
		o.Concurrency = 4
		p.handler = func(n int, w http.ResponseWriter, r *http.Request) {
			before := s.denials()
			s.handle(n, w, r)
			if r.URL.Path != "/token" && s.denials() == before { // a refusal is quick
				<-time.After(50 * time.Millisecond)
			}
		}
		c := client(t, o)
		var wg sync.WaitGroup
		for range 192 {
			wg.Go(func() {
				if _, err := c.Do(t.Context(), get("x")); err != nil {
					t.Error(err)
				}
			})
		}
		for _, after := range []time.Duration{210, 60, 500, 55} { // each kills the token that is in use, also twice in a row
			<-time.After(after * time.Millisecond)
			s.revoke()
		}
		wg.Wait()
		if n := p.count("/token"); n != 5 || s.denied > 4*o.Concurrency {
			t.Errorf("%d tokens for one that died four times, %d calls refused with %d at a time", n, s.denied, o.Concurrency)
		}
	})
}

// Another process has been refused the token, and has a new one in the store: that refusal is no news either.
func TestATokenThatAnotherProcessReplacedSpendsNoRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := newIssuer(time.Hour), fetchtest.NewCallStore()
		p, o, stop := tokened(t, s, l)
		defer stop()
		one, two := client(t, o), client(t, o)
		for _, c := range []*fetch.Client{one, two} {
			if _, err := c.Do(t.Context(), get("x")); err != nil {
				t.Fatal(err)
			}
		}
		s.revoke()
		if _, err := one.Do(t.Context(), get("x")); err != nil { // and now the store has tok-2
			t.Fatal(err)
		}
		dead := false
		p.handler = func(n int, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer tok-2" && !dead {
				dead = true // which dies at this very moment
				s.revoke()
			}
			s.handle(n, w, r)
		}
		if _, err := two.Do(t.Context(), get("x")); err != nil {
			t.Error(err)
		}
		if s.denied != 3 || p.count("/token") != 3 {
			t.Errorf("%d calls denied, %d tokens", s.denied, p.count("/token"))
		}
	})
}
