package oauthtest

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"syncer/fetch"
	"syncer/finance"
)

var machine = Client{ID: "machine", Secret: "machine+secret/1%", Method: Basic, Scopes: []string{"debt.read"}}

// many calls the API from so many callers at once.
func many(t *testing.T, n int, benches ...*bench) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := benches[i%len(benches)].Probe(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// statuses counts what the server answered at a path.
func statuses(s *Server, path string) map[int]int {
	out := map[int]int{}
	for _, a := range s.Arrivals(path) {
		out[a.Status]++
	}
	return out
}

func TestARevokedTokenIsReplacedOnceForAllCallers(t *testing.T) {
	s := Serve(t, machine)
	o, one := options(t, s, ask(s, machine, fetch.BasicEscaped))
	open(t, o, one)
	// A second process with the same store.
	two := &bench{store: one.store, log: one.log}
	o.Driver.Connect = func(c *fetch.Client) fetch.Connector { two.reader = &reader{client: c}; return two.reader }
	open(t, o, two)

	many(t, 64, one, two)
	if n := s.Asked("client_credentials"); n != 1 {
		t.Errorf("%d token requests for the first calls of two processes, want 1", n)
	}
	if err := s.EndTokens(t.Context()); err != nil {
		t.Fatal(err)
	}
	many(t, 64, one, two)
	if n := s.Asked("client_credentials"); n != 2 {
		t.Errorf("%d token requests after one revocation, want 2", n)
	}
	got := statuses(s, apiPath)
	if got[200] != 128 || got[401] < 1 || got[401] > 64 {
		t.Errorf("answers at the API: %v, want 128 good ones, and each caller refused at most once", got)
	}
	wantSilence(t, s, one, nil)
}

// A server that takes no token at all is asked for one more, once, and then the connection is to be parked.
func TestATokenThatIsNeverTakenIsAskedForTwice(t *testing.T) {
	s := Serve(t, machine)
	s.OnToken = func(string) {
		if err := s.EndTokens(t.Context()); err != nil {
			t.Error(err)
		}
	}
	o, b := options(t, s, ask(s, machine, fetch.BasicEscaped))
	err := open(t, o, b).Probe(t.Context())
	wantClass(t, err, finance.TokenDenied)
	if tokens, calls := s.Asked("client_credentials"), len(s.Arrivals(apiPath)); tokens != 2 || calls != 2 {
		t.Errorf("%d token requests and %d calls, want 2 and 2", tokens, calls)
	}
	wantSilence(t, s, b, err)
}

// While no new token can be had, the refused one is not sent again, and what is told is that there is no new one: a
// refusal would park the connection.
func TestARefusedTokenIsNotSentAgainWhileTheTokenEndpointIsDown(t *testing.T) {
	s := Serve(t, machine)
	o, b := options(t, s, ask(s, machine, fetch.BasicEscaped))
	if err := open(t, o, b).Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.EndTokens(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Lose = func(string) bool { return true }
	for range 3 {
		wantClass(t, b.Probe(t.Context()), finance.Transient)
	}
	if got := statuses(s, apiPath); got[401] != 1 {
		t.Errorf("answers at the API: %v, want one refusal", got)
	}
}

// fosite goes by the clock, and so its tokens end in a bubble as they do in the world.
func TestTokensAreReplacedBeforeTheForeignServerEndsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(t, "http://foreign.example", machine)
		o, b := options(t, s, ask(s, machine, fetch.BasicEscaped))
		defer bubbled(s, &o, b)()
		open(t, o, b)
		for range 60 {
			many(t, 4, b)
			<-time.After(time.Minute)
		}
		synctest.Wait()
		if n := s.Asked("client_credentials"); n < 60/int(TokenLife.Minutes()) || n > 8 {
			t.Errorf("%d tokens of %s in an hour", n, TokenLife)
		}
		if got := statuses(s, apiPath); got[200] != 240 || len(got) != 1 {
			t.Errorf("answers at the API: %v, want 240 good ones", got)
		}
		<-time.After(TokenLife + time.Second) // idle for longer than a token lives
		many(t, 64, b)
		if got := statuses(s, apiPath); got[401] != 0 {
			t.Errorf("%d calls with a token that had ended", got[401])
		}
	})
}
