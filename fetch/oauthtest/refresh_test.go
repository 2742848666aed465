package oauthtest

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// given is a client of one consent that a person has given.
type given struct {
	*bench
	s      *Server
	opt    fetch.Options
	grants *fetchtest.Grants
	code   string // that it was given with
}

const consent = 7

// give takes a person through the flow and keeps what they gave.
func give(t *testing.T) *given {
	t.Helper()
	g := &given{s: Serve(t, portal), grants: fetchtest.NewGrants()}
	g.opt, g.bench = flowOptions(t, g.s, portal, fetch.BasicEscaped)
	g.opt.Grants = g.grants
	open(t, g.opt, g.bench)
	g.key.Consent = consent
	g.code = g.give(t, consent)
	return g
}

// give takes a person through the flow and keeps what they gave as that of a consent.
func (g *given) give(t *testing.T, consent int64) (code string) {
	t.Helper()
	a := begin(t, g.bench)
	answer := g.browse(t, a.Link())
	got, err := a.Finish(t.Context(), answer)
	if err != nil {
		t.Fatal(err)
	}
	g.grants.Give(consent, got.Refresh)
	return answer.Get("code")
}

// another is a second process with the same stores.
func (g *given) another(t *testing.T) *bench {
	t.Helper()
	b := &bench{store: g.store, log: g.log}
	o := g.opt
	o.Driver.Connect = func(c *fetch.Client) fetch.Connector { b.reader = &reader{client: c, key: g.key}; return b.reader }
	return open(t, o, b)
}

func (g *given) kept(t *testing.T) string {
	t.Helper()
	refresh, _ := g.grants.Refresh(consent)
	return refresh.Reveal()
}

// post makes a token request as somebody does who has our secret.
func (g *given) post(t *testing.T, form url.Values) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.s.Issuer+tokenPath, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(portal.ID), url.QueryEscape(portal.Secret))
	resp, err := g.browser.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func (g *given) wantOver(t *testing.T, b *bench) {
	t.Helper()
	err := b.Probe(t.Context())
	e := wantClass(t, err, finance.ConsentOver)
	if e.Consent != finance.ConsentReauthRequired || !strings.Contains(e.Reason, "invalid_grant") {
		t.Errorf("the consent is %q: %v", e.Consent, e)
	}
	if g.kept(t) != "" {
		t.Error("the refused refresh token is kept")
	}
	wantSilence(t, g.s, b, err)
}

// Each access token is used only once the refresh token that came with it is kept.
func TestARotatedRefreshTokenIsKeptBeforeUse(t *testing.T) {
	g := give(t)
	var used []string
	g.s.OnToken = func(access string) {
		used = append(used, access)
		for _, i := range g.s.Issued() {
			if i.Access == access && i.Refresh != g.kept(t) {
				t.Error("the access token arrives before its refresh token is kept")
			}
		}
	}
	for round := range 4 {
		me, err := g.me(t.Context(), g.key)
		if err != nil {
			t.Fatal(err)
		}
		if me.Subject != Subject || me.Client != portal.ID || len(me.Scopes) != 3 || len(me.Audiences) != 1 {
			t.Errorf("the token is %+v", me)
		}
		if n := g.s.Asked("refresh_token"); n != round+1 || g.grants.Saved() != n {
			t.Errorf("round %d: %d refreshes, %d saved", round, n, g.grants.Saved())
		}
		if err := g.s.EndTokens(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(used) != 4+3 { // three were refused before they were replaced
		t.Errorf("%d calls at the API", len(used))
	}
	wantSilence(t, g.s, g.bench, nil)
}

func TestManyRefreshersMakeOneRefresh(t *testing.T) {
	g := give(t)
	two := g.another(t)
	for round := 1; round <= 3; round++ {
		many(t, 64, g.bench, two)
		if n := g.s.Asked("refresh_token"); n != round || g.grants.Saved() != round {
			t.Fatalf("round %d: %d refreshes, %d saved", round, n, g.grants.Saved())
		}
		if err := g.s.EndTokens(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// A consent has one refresh token, whatever its access tokens are asked for: two refreshes at once would be reuse.
func TestOneGrantIsRefreshedOnceForAllKeys(t *testing.T) {
	g := give(t)
	two := g.another(t)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			key := fetch.TokenKey{Consent: consent}
			if i%4 > 1 {
				key.Audience, key.Scope = "https://api.example", "accounts.read"
			}
			if _, err := []*bench{g.bench, two}[i%2].me(t.Context(), key); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := statuses(g.s, tokenPath); got[400] != 0 {
		t.Errorf("answers of the token endpoint: %v: the server has seen a refresh token twice", got)
	}
}

// Whoever has copied a refresh token and uses it makes the server end the whole family: ours too, at the next refresh.
func TestReuseEndsTheConsent(t *testing.T) {
	g := give(t)
	stolen := g.kept(t)
	if err := g.Probe(t.Context()); err != nil { // rotates
		t.Fatal(err)
	}
	if status := g.post(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {stolen}}); status != 400 {
		t.Fatalf("the server takes an old refresh token: status %d", status)
	}
	before := g.s.Asked("refresh_token")
	g.wantOver(t, g.bench) // its access token has ended as well
	for range 3 {
		wantClass(t, g.Probe(t.Context()), finance.ConsentOver)
		wantClass(t, g.another(t).Probe(t.Context()), finance.ConsentOver)
	}
	if n := g.s.Asked("refresh_token") - before; n != 1 {
		t.Errorf("%d refreshes of an ended family, want 1", n)
	}
}

// The thief came first: we are the ones who use the old token, and the server ends the family of both.
func TestAStolenRefreshTokenEndsTheConsent(t *testing.T) {
	g := give(t)
	if status := g.post(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {g.kept(t)}}); status != 200 {
		t.Fatalf("status %d", status)
	}
	g.wantOver(t, g.bench)
}

// A code that comes a second time makes the server take back what it gave for the first (RFC 6749 section 4.1.2).
func TestAReplayedCodeEndsTheConsent(t *testing.T) {
	g := give(t)
	if err := g.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status := g.post(t, url.Values{"grant_type": {"authorization_code"}, "code": {g.code}, "redirect_uri": {callback}}); status != 400 {
		t.Fatalf("the server takes a code twice: status %d", status)
	}
	g.wantOver(t, g.bench)
}

// The server has rotated and its answer is lost. Nobody has the new token, and the old one is reuse: the consent is
// over, which is told at once and after one repetition.
func TestALostRotationEndsTheConsent(t *testing.T) {
	g := give(t)
	var asked atomic.Int32
	g.s.Lose = func(string) bool { return asked.Add(1) == 1 }
	g.wantOver(t, g.bench)
	if n := g.s.Asked("refresh_token"); n != 2 {
		t.Errorf("%d refreshes, want the lost one and the refused one", n)
	}
}

func TestOneEndedGrantLeavesTheOthers(t *testing.T) {
	g := give(t)
	const other = consent + 1
	g.give(t, other)
	if status := g.post(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {g.kept(t)}}); status != 200 {
		t.Fatalf("status %d", status)
	}
	g.wantOver(t, g.bench)
	if _, err := g.me(t.Context(), fetch.TokenKey{Consent: other}); err != nil {
		t.Error(err)
	}
	g.give(t, consent) // the person consents again, and the next process reads
	if err := g.another(t).Probe(t.Context()); err != nil {
		t.Error(err)
	}
}

// A process that begins with many consents at once asks where to refresh them once.
func TestEndpointsAreDiscoveredOnceForAllConsents(t *testing.T) {
	g := give(t)
	const consents = 16
	for i := range consents {
		g.give(t, int64(100+i))
	}
	two, before := g.another(t), len(g.s.Arrivals(metadataPath))
	var wg sync.WaitGroup
	for i := range consents {
		wg.Go(func() {
			if _, err := two.me(t.Context(), fetch.TokenKey{Consent: int64(100 + i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(g.s.Arrivals(metadataPath)) - before; n != 1 {
		t.Errorf("a process has asked for the metadata %d times", n)
	}
}

// An API that refuses what one person has granted, while the grant itself is good, says nothing of the connection: of
// class token the error would park it for everybody. And it does not end the consent, which only the authorization
// server can say for sure.
func TestATokenOfOneConsentThatIsNeverTakenFailsThatItem(t *testing.T) {
	g := give(t)
	g.s.OnToken = func(string) {
		if err := g.s.EndTokens(t.Context()); err != nil {
			t.Error(err)
		}
	}
	err := g.Probe(t.Context())
	wantClass(t, err, finance.Rejected)
	if n, calls := g.s.Asked("refresh_token"), len(g.s.Arrivals(apiPath)); n != 2 || calls != 2 || g.kept(t) == "" {
		t.Errorf("%d refreshes, %d calls, the grant is kept: %t", n, calls, g.kept(t) != "")
	}
	wantSilence(t, g.s, g.bench, err)
}

// Over an hour of fosite's clock, which ends the old access token with each refresh, everybody is served, each token
// is refreshed about once in its life, and no refresh token is shown twice. After a month of silence the grant is over.
func TestAGrantIsReadForAnHourAndEndsWhenItsTimeHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &given{s: New(t, "http://foreign.example", portal), grants: fetchtest.NewGrants()}
		g.opt, g.bench = flowOptions(t, g.s, portal, fetch.BasicEscaped)
		g.opt.Grants = g.grants
		defer bubbled(g.s, &g.opt, g.bench)()
		open(t, g.opt, g.bench)
		g.key.Consent = consent
		g.give(t, consent)
		two := g.another(t)
		const minutes, callers = 60, 4
		for range minutes {
			many(t, callers, g.bench, two)
			<-time.After(time.Minute)
		}
		synctest.Wait()
		life := int(TokenLife.Minutes())
		if n := g.s.Asked("refresh_token"); n < minutes/life || n > minutes/(life-2)+1 || statuses(g.s, tokenPath)[400] != 0 {
			t.Errorf("%d refreshes: %v", n, statuses(g.s, tokenPath))
		}
		if got := statuses(g.s, apiPath); got[200] != callers*minutes {
			t.Errorf("answers at the API: %v, want %d good ones", got, callers*minutes)
		}
		<-time.After(RefreshLife + time.Minute)
		g.wantOver(t, g.bench)
	})
}

// Wrong credentials of the client are no word on the person's consent.
func TestAWrongSecretEndsNoConsent(t *testing.T) {
	g := give(t)
	g.opt.Driver.Authorize.Token.Secret = fetch.NewSecret("wrong+secret/2%")
	err := g.another(t).Probe(t.Context())
	wantClass(t, err, finance.Fatal)
	wantSilence(t, g.s, g.bench, err, "wrong+secret/2%")
	if n := g.s.Asked("refresh_token"); n != 1 || g.kept(t) == "" {
		t.Errorf("%d refreshes; the grant is kept: %t", n, g.kept(t) != "")
	}
}
