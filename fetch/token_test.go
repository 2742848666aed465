package fetch_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// issuer answers /token with tok-1, tok-2 and so on, each good for ttl, and every other path with 200 for a token
// that is still good and 401 for any other.
type issuer struct {
	mu     sync.Mutex
	ttl    time.Duration
	issued int
	good   map[string]time.Time
	denied int
}

func (s *issuer) handle(_ int, w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/token" {
		s.issued++
		token := fmt.Sprintf("tok-%d", s.issued)
		s.good[token] = time.Now().Add(s.ttl)
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"bearer","expires_in":"%.1f"}`, token, s.ttl.Seconds())
		return
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !time.Now().Before(s.good[token]) {
		s.denied++
		w.WriteHeader(401)
	}
}

func (s *issuer) denials() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.denied
}

func (s *issuer) revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.good = map[string]time.Time{}
}

func newIssuer(ttl time.Duration) *issuer { return &issuer{ttl: ttl, good: map[string]time.Time{}} }

// tokened is a client whose provider issues tokens, inside a bubble.
func tokened(t *testing.T, s *issuer, l *fetchtest.CallStore) (*provider, fetch.Options, func()) {
	p := &provider{handler: s.handle}
	o, stop := piped(t, p, l)
	withToken(&o)
	return p, o, stop
}

func TestManyCallersAcrossAnExpiryAskForOneToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := newIssuer(10*time.Minute), fetchtest.NewCallStore()
		p, o, stop := tokened(t, s, l)
		defer stop()
		one, two := client(t, o), client(t, o) // two processes
		all := func() {
			var wg sync.WaitGroup
			for i := range 64 {
				wg.Go(func() {
					if _, err := []*fetch.Client{one, two}[i%2].Do(t.Context(), get("x")); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			synctest.Wait()
		}
		all()
		<-time.After(8 * time.Minute)
		all()
		if n := p.count("/token"); n != 1 {
			t.Errorf("%d token calls before the first token needed to be replaced", n)
		}
		<-time.After(2 * time.Minute) // it has ended
		all()
		if n := p.count("/token"); n != 2 || s.denied != 0 {
			t.Errorf("%d token calls for two tokens, %d data calls denied", n, s.denied)
		}
		for _, c := range l.Calls() {
			if c.Purpose != calls.ForToken || !strings.HasPrefix(c.Bucket, "bank/token@http") || c.Path != "/token" || c.Class != finance.OK {
				t.Errorf("recorded: %+v", c)
			}
		}
	})
}

func TestATokenIsReplacedAheadOfItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newIssuer(20 * time.Second)
		p, o, stop := tokened(t, s, fetchtest.NewCallStore())
		defer stop()
		c := client(t, o)
		for range 120 { // two minutes
			if _, err := c.Do(t.Context(), get("x")); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Second)
		}
		synctest.Wait()
		if n := p.count("/token"); n < 6 || n > 8 || s.denied != 0 {
			t.Errorf("%d tokens of 20 s in two minutes, %d calls denied", n, s.denied)
		}
	})
}

// A wait at the gate may outlast the token (airbyte#13660 was that bug).
func TestATokenThatEndsDuringAWaitIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newIssuer(60 * time.Second)
		p, o, stop := tokened(t, s, fetchtest.NewCallStore())
		defer stop()
		told := false
		p.handler = func(n int, w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/token" && !told {
				told = true
				w.Header().Set("Retry-After", "90")
				w.WriteHeader(429)
				return
			}
			s.handle(n, w, r)
		}
		if _, err := client(t, o).Do(t.Context(), get("x")); err != nil {
			t.Fatal(err)
		}
		if s.denied != 0 || p.count("/token") != 2 {
			t.Errorf("%d calls denied, %d token calls", s.denied, p.count("/token"))
		}
	})
}

// So may the wait for a slot.
func TestATokenThatEndsBeforeItsSlotIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newIssuer(60 * time.Second)
		_, o, stop := tokened(t, s, fetchtest.NewCallStore())
		defer stop()
		o.Rate = 0.01
		c := client(t, o)
		for range 3 {
			if _, err := c.Do(t.Context(), get("x")); err != nil {
				t.Fatal(err)
			}
		}
		if s.denied != 0 {
			t.Errorf("%d calls were sent with a token that had ended", s.denied)
		}
	})
}

// Callers that learn late that the old token is refused must not throw the new one away.
func TestOnlyTheRefusedTokenIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newIssuer(time.Hour)
		p, o, stop := tokened(t, s, fetchtest.NewCallStore())
		defer stop()
		o.Tokens = nil
		c := client(t, o)
		if _, err := c.Do(t.Context(), get("x")); err != nil {
			t.Fatal(err)
		}
		s.revoke()
		p.handler = func(n int, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer tok-1" {
				<-time.After(time.Duration(n) * time.Second)
			}
			s.handle(n, w, r)
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if _, err := c.Do(t.Context(), get("x")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := p.count("/token"); n != 2 {
			t.Errorf("%d token calls, want 2", n)
		}
	})
}

func TestARevokedTokenIsReplacedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := newIssuer(time.Hour), fetchtest.NewCallStore()
		p, o, stop := tokened(t, s, l)
		defer stop()
		c := client(t, o)
		if _, err := c.Do(t.Context(), get("x")); err != nil {
			t.Fatal(err)
		}
		s.revoke()
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				if _, err := c.Do(t.Context(), get("x")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := p.count("/token"); n != 2 {
			t.Errorf("%d token calls, want 2", n)
		}
		p.handler = func(n int, w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				s.handle(n, w, r)
			} else {
				w.WriteHeader(401)
			}
		}
		before := len(p.journal())
		_, err := c.Do(t.Context(), get("x"))
		wantClass(t, err, finance.TokenDenied)
		if n := len(p.journal()) - before; n != 3 {
			t.Errorf("%d calls; want the refused one, one refresh, one retry", n)
		}
	})
}

func TestFailingTokenEndpointIsNotHammered(t *testing.T) {
	tests := []struct {
		name   string
		answer func(http.ResponseWriter)
		want   finance.Class
		most   int
	}{
		{"invalid_client", answer(401, `{"error":"invalid_client","error_description":"hunter2-hunter2 is wrong"}`), finance.Fatal, 1},
		{"a secret echoed", answer(400, `hunter2-hunter2 is wrong`), finance.Transient, 3},
		{"a page with 400", answer(400, `<html><head><title>HTTP Status 400</title></head></html>`), finance.Transient, 3},
		{"a page with 403", answer(403, `<html>Forbidden</html>`), finance.Transient, 3},
		{"nothing with 404", answer(404, ``), finance.Transient, 3},
		{"Spring's 404", answer(404, `{"timestamp":"2026-11-21T02:00:00Z","status":404,"error":"Not Found","path":"/token"}`), finance.Transient, 3},
		{"not modified", answer(304, ``), finance.Transient, 3},
		{"401 without a word", answer(401, `<html>`), finance.Fatal, 2},
		{"an end before the beginning", answer(200, `{"access_token":"t","expires_in":-1}`), finance.Transient, 3},
		{"an end that is none", answer(200, `{"access_token":"t","expires_in":{"in":3600}}`), finance.Transient, 3},
		{"another kind of token", answer(200, `{"access_token":"t","token_type":"mac"}`), finance.Transient, 3},
		{"a token of a megabyte", answer(200, `{"access_token":"`+strings.Repeat("t", 1<<20)+`"}`), finance.Transient, 3},
		{"a page of a megabyte", answer(200, `<html>`+strings.Repeat("x", 1<<20)), finance.Transient, 3},
		{"more than is taken", answer(200, strings.Repeat("x", 3<<20)), finance.Transient, 3},
		{"an encoding nobody asked for", answer(200, `x`, "Content-Encoding", "br"), finance.Transient, 3},
		{"invalid_scope", answer(400, `{"error":"invalid_scope"}`), finance.Fatal, 1},
		{"an error in a 200", answer(200, `{"error":"unauthorized_client"}`), finance.Fatal, 1},
		{"a token for two lines", answer(200, `{"access_token":"a\r\nb"}`), finance.Transient, 3},
		{"down", answer(500, ``), finance.Transient, 3},
		{"Keycloak's bad moment", answer(500, `{"error":"unknown_error"}`), finance.Transient, 3},
		{"Spring's bad moment", answer(503, `{"timestamp":"2026-11-21T02:00:00Z","status":503,"error":"Service Unavailable","path":"/token"}`), finance.Transient, 3},
		{"a gateway's bad moment", answer(502, `{"error":"bad_gateway"}`), finance.Transient, 3},
		{"too slow", answer(408, `{"error":"Request Timeout"}`), finance.Transient, 3},
		{"locked", answer(423, `{"error":"locked"}`), finance.Transient, 3},
		{"too early", answer(425, `{"error":"too_early"}`), finance.Transient, 3},
		{"wrong credentials in a 500", answer(500, `{"error":"invalid_client"}`), finance.Fatal, 1},
		{"a pause with words", answer(503, `{"error":"Service Unavailable"}`, "Retry-After", "7200"), finance.Throttled, 1},
		{"html", answer(200, `<html>`), finance.Transient, 3},
		{"long pause", answer(429, ``, "Retry-After", "7200"), finance.Throttled, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, o, stop := tokened(t, newIssuer(time.Hour), fetchtest.NewCallStore())
				defer stop()
				var log bytes.Buffer
				o.Log, o.MaxBody = zerolog.New(zerolog.SyncWriter(&log)), 2<<20
				p.handler = answers(tt.answer)
				c := client(t, o)
				var wg sync.WaitGroup
				for range 64 {
					wg.Go(func() {
						_, err := c.Do(t.Context(), get("x"))
						e := wantClass(t, err, tt.want)
						if strings.Contains(e.Error(), "hunter2") || tt.want == finance.Throttled && e.Wait < 7199*time.Second {
							t.Errorf("error: %v", e)
						}
					})
				}
				wg.Wait()
				if n := p.count("/token"); n > tt.most || n != len(p.journal()) {
					t.Errorf("64 callers made %d token calls, %d calls in all", n, len(p.journal()))
				}
				if strings.Contains(log.String(), "hunter2") {
					t.Error("the log shows the secret")
				}
			})
		})
	}
}

func TestACallerMayLeaveWhileAnotherFetchesTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newIssuer(time.Hour)
		p, o, stop := tokened(t, s, fetchtest.NewCallStore())
		defer stop()
		p.handler = func(n int, w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				<-time.After(20 * time.Second)
			}
			s.handle(n, w, r)
		}
		c := client(t, o)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.Do(t.Context(), get("x")); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := c.Do(ctx, get("x"))
		wantClass(t, err, finance.Interrupted)
		if time.Since(began) > time.Second {
			t.Errorf("it could leave only after %s", time.Since(began))
		}
		wg.Wait()
	})
}

func TestTokenStyles(t *testing.T) {
	const id, secret = "my id:ø", "p+%&ss word!"
	tests := []struct {
		style      fetch.TokenStyle
		user, pass string // of the Authorization header
		form       string
	}{
		{fetch.BasicEscaped, "my+id%3A%C3%B8", "p%2B%25%26ss+word%21", "audience=api&grant_type=client_credentials&scope=a+b"},
		{fetch.BasicRaw, "my id", "ø:p+%&ss word!", "audience=api&grant_type=client_credentials&scope=a+b"},
		{fetch.InParams, "", "", "audience=api&client_id=my+id%3A%C3%B8&client_secret=p%2B%25%26ss+word%21&grant_type=client_credentials&scope=a+b"},
		{fetch.InHeaders, "", "", "audience=api&grant_type=client_credentials&scope=a+b"},
	}
	for _, tt := range tests {
		var form, user, pass, key string
		p := &provider{handler: func(_ int, w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				_ = r.ParseForm()
				form, key = r.PostForm.Encode(), r.Header.Get("Ocp-Apim-Subscription-Key")
				user, pass, _ = r.BasicAuth()
				fmt.Fprint(w, `{"access_token":"t"}`)
			}
		}}
		o := options(t, served(t, p), fetchtest.NewCallStore())
		o.Driver.Token = func(fetch.TokenKey) (fetch.TokenRequest, error) {
			return fetch.TokenRequest{
				URL: o.Driver.Base.String() + "/token", Style: tt.style, ID: id, Secret: fetch.NewSecret(secret),
				Params: url.Values{"audience": {"api"}}, Scopes: []string{"a", "b"},
				Header: map[string]fetch.Secret{"Ocp-Apim-Subscription-Key": fetch.NewSecret("sub")},
			}, nil
		}
		if _, err := client(t, o).Do(t.Context(), get("x")); err != nil {
			t.Fatal(err)
		}
		if form != tt.form || user != tt.user || pass != tt.pass || key != "sub" {
			t.Errorf("style %d: form %s, user %q, password %q, key %q", tt.style, form, user, pass, key)
		}
	}
}

func TestTokenRequestWithoutBody(t *testing.T) {
	var form, kind string
	p := &provider{handler: func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			body, _ := io.ReadAll(r.Body)
			form, kind = string(body), r.Header.Get("Content-Type")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"unauthorized_client","trace_id":"t-1","correlation_id":"c-1"}`)
		}
	}}
	store := fetchtest.NewCallStore()
	o := options(t, served(t, p), store)
	o.Driver.Token = func(fetch.TokenKey) (fetch.TokenRequest, error) {
		return fetch.TokenRequest{URL: o.Driver.Base.String() + "/token", Style: fetch.InHeaders}, nil
	}
	if _, err := client(t, o).Do(t.Context(), get("x")); fetch.ClassOf(err) != finance.Fatal {
		t.Fatal(err)
	}
	if form != "" || kind != "" {
		t.Errorf("body %q of type %q was sent", form, kind)
	}
	if calls := store.Calls(); len(calls) != 1 || calls[0].Correlation != "c-1" {
		t.Errorf("calls %+v", calls)
	}
}

// Some providers answer 401 for a consent that is over. Such a consent is called once and once again, and
// doesn't cost a token each; the others are all answered.
func TestDeadConsentsSpendFewTokens(t *testing.T) {
	for _, callers := range []int{1, 8} {
		synctest.Test(t, func(t *testing.T) {
			const dead, living, most = 40, 100, 16 // of which one each would be 40 and more
			s, l := newIssuer(time.Hour), fetchtest.NewCallStore()
			p, o, stop := tokened(t, s, l)
			defer stop()
			p.handler = func(n int, w http.ResponseWriter, r *http.Request) {
				<-time.After(50 * time.Millisecond) // without any, nobody could tell which of two calls was sent first
				if strings.Contains(r.URL.Path, "dead") {
					w.WriteHeader(401)
					return
				}
				s.handle(n, w, r)
			}
			c := client(t, o)
			work := make(chan string)
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for path := range work {
						_, err := c.Do(t.Context(), get(path))
						if strings.HasPrefix(path, "dead") != (fetch.ClassOf(err) == finance.TokenDenied) {
							t.Errorf("%d callers, %s: %v", callers, path, err)
						}
					}
				})
			}
			for i := range living {
				work <- fmt.Sprintf("living-%d", i)
				if i < dead {
					work <- fmt.Sprintf("dead-%d", i)
				}
			}
			close(work)
			wg.Wait()
			for i := range dead {
				if n := p.count(fmt.Sprintf("/v1/dead-%d", i)); n == 0 || n > 2 {
					t.Errorf("%d callers: dead-%d was called %d times", callers, i, n)
				}
			}
			if n := p.count("/token"); n > most {
				t.Errorf("%d callers: %d tokens", callers, n)
			}
		})
	}
}
