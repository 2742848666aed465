package oauthtest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ory/fosite"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

const callback = "http://127.0.0.1:8091/oauth/callback"

// portal asks people; its secret is as hard as they come.
var portal = Client{
	ID: "portal/å:1", Secret: "portal+/=%:&? å日🔑", Method: Basic, Redirects: []string{callback},
	Scopes: []string{"openid", "offline_access", "accounts.read"}, Audiences: []string{"https://api.example"},
}

// flowOptions are the options of a client whose people give consents at s, whose endpoints it discovers.
func flowOptions(t *testing.T, s *Server, c Client, style fetch.TokenStyle) (fetch.Options, *bench) {
	t.Helper()
	o, b := options(t, s, nil) // no token of the connection's own: all is read by consents' grants
	token, err := ask(s, c, style)(fetch.TokenKey{Scope: strings.Join(c.Scopes, " ")})
	if err != nil {
		t.Fatal(err)
	}
	token.URL = ""
	o.Driver.Authorize = &fetch.Authorization{
		Issuer: s.Issuer, Token: token, Redirect: c.Redirects[0], Params: url.Values{"audience": {"https://api.example"}},
	}
	return o, b
}

// begin asks for a consent.
func begin(t *testing.T, b *bench) *fetch.CodeFlow {
	t.Helper()
	a, err := b.client.Authorize(t.Context(), fetch.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// browse opens a link as a browser does, up to the redirect to us, whose parameters it gives.
func (b *bench) browse(t *testing.T, link string) url.Values {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := b.browser.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		t.Fatalf("status %d of the authorization endpoint: %v", resp.StatusCode, err)
	}
	if got := to.Scheme + "://" + to.Host + to.Path; got != callback {
		t.Fatalf("the browser is sent to %s", got)
	}
	return to.Query()
}

func TestAPersonConsentsAtAForeignServer(t *testing.T) {
	for name, with := range map[string]struct {
		style          fetch.TokenStyle
		method, secret string
	}{
		"escaped Basic": {fetch.BasicEscaped, Basic, portal.Secret},
		"form":          {fetch.InParams, Post, portal.Secret},
		"raw Basic":     {fetch.BasicRaw, Basic, "plain-_.~secret"},
	} {
		t.Run(name, func(t *testing.T) {
			c := portal
			c.Method, c.Secret = with.method, with.secret
			if with.style == fetch.BasicRaw {
				c.ID = "portal"
			}
			s := Serve(t, c)
			o, b := flowOptions(t, s, c, with.style)
			grants := fetchtest.NewGrants()
			o.Grants = grants
			a := begin(t, open(t, o, b))
			got, err := a.Finish(t.Context(), b.browse(t, a.Link()))
			if err != nil {
				t.Fatal(err)
			}
			issued := s.Issued()
			if len(issued) != 1 || got.Refresh.Reveal() != issued[0].Refresh || issued[0].Refresh == "" {
				t.Errorf("%d issues; the refresh token is not the one that was issued", len(issued))
			}
			if diff := cmp.Diff(c.Scopes, got.Scopes); diff != "" {
				t.Errorf("scopes (-want +got):\n%s", diff)
			}
			g := b.grants[0]
			if string(g.Claims["sub"]) != `"`+Subject+`"` || !g.Refreshable || g.Token.AccessToken != issued[0].Access {
				t.Errorf("the grant has the claims %s", g.Claims)
			}
			grants.Give(1, got.Refresh)
			if me, err := b.me(t.Context(), fetch.TokenKey{Consent: 1}); err != nil || me.Subject != Subject || me.Client != c.ID {
				t.Errorf("read with the grant: %+v, %v", me, err)
			}
			if n := len(s.Arrivals(metadataPath)); n != 1 {
				t.Errorf("the metadata were asked for %d times", n)
			}
			wantSilence(t, s, b, nil)
		})
	}
}

// The whole way as a person goes it: their browser follows the redirect to a listener of ours.
func TestTheBrowserComesBackToAListener(t *testing.T) {
	var a *fetch.CodeFlow
	answered := make(chan error, 1)
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := a.Finish(r.Context(), r.URL.Query())
		answered <- err
	}))
	defer listener.Close()
	c := portal
	c.Redirects = []string{listener.URL + "/back?tenant=å b"} // compared by the server as registered
	s := Serve(t, c)
	o, b := flowOptions(t, s, c, fetch.BasicEscaped)
	a = begin(t, open(t, o, b))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.Link(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := listener.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Request.URL.Path != "/back" || resp.Request.URL.Query().Get("tenant") != "å b" {
		t.Fatalf("the browser ended at %s", resp.Request.URL.Redacted())
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestTheWholeFlowOverTLS(t *testing.T) {
	s, roots := ServeTLS(t, portal)
	o, b := flowOptions(t, s, portal, fetch.BasicEscaped)
	grants := fetchtest.NewGrants()
	o.RootCAs, o.Grants = roots, grants
	b.browser.TLSClientConfig = &tls.Config{RootCAs: roots}
	a := begin(t, open(t, o, b))
	got, err := a.Finish(t.Context(), b.browse(t, a.Link()))
	if err != nil {
		t.Fatal(err)
	}
	grants.Give(1, got.Refresh)
	if _, err := b.me(t.Context(), fetch.TokenKey{Consent: 1}); err != nil {
		t.Error(err)
	}
	o.RootCAs = x509.NewCertPool() // nobody is trusted
	before := len(s.Arrivals(tokenPath)) + len(s.Arrivals(metadataPath))
	_, err = open(t, o, b).client.Authorize(t.Context(), fetch.Secret{})
	wantClass(t, err, finance.Fatal)
	o.Driver.Token = ask(s, portal, fetch.BasicEscaped)
	wantClass(t, open(t, o, b).Probe(t.Context()), finance.Fatal)
	if n := len(s.Arrivals(tokenPath)) + len(s.Arrivals(metadataPath)); n != before {
		t.Errorf("%d requests to a server that is not trusted", n-before)
	}
}

// A code that was given to another session is worth nothing in ours: the server compares our verifier with the
// challenge of the link that the code came from.
func TestACodeOfAnotherSessionIsRefused(t *testing.T) {
	s := Serve(t, portal)
	o, b := flowOptions(t, s, portal, fetch.BasicEscaped)
	open(t, o, b)
	mine, theirs := begin(t, b), begin(t, b)
	answer := b.browse(t, mine.Link())
	answer.Set("code", b.browse(t, theirs.Link()).Get("code"))
	_, err := mine.Finish(t.Context(), answer)
	e := wantClass(t, err, finance.Rejected)
	if !strings.Contains(e.Reason, "invalid_grant") || len(s.Issued()) != 0 || s.Asked("authorization_code") != 1 {
		t.Errorf("%v after %d requests, %d issues", e, s.Asked("authorization_code"), len(s.Issued()))
	}
	wantSilence(t, s, b, err, answer.Get("code"))
}

func TestACallbackIsTakenOnce(t *testing.T) {
	s := Serve(t, portal)
	o, b := flowOptions(t, s, portal, fetch.BasicEscaped)
	a := begin(t, open(t, o, b))
	answer := b.browse(t, a.Link())
	if _, err := a.Finish(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Finish(t.Context(), answer); !errors.Is(err, fetch.ErrNotOurs) {
		t.Errorf("the second time: %v", err)
	}
	if n := s.Asked("authorization_code"); n != 1 {
		t.Errorf("the code was sent %d times", n)
	}
}

// A lost answer to the exchange is final: a second send would make the server take back what the first has given.
func TestALostExchangeIsNotRepeated(t *testing.T) {
	s := Serve(t, portal)
	s.Lose = func(grant string) bool { return grant == "authorization_code" }
	o, b := flowOptions(t, s, portal, fetch.BasicEscaped)
	a := begin(t, open(t, o, b))
	_, err := a.Finish(t.Context(), b.browse(t, a.Link()))
	wantClass(t, err, finance.Transient)
	if n := s.Asked("authorization_code"); n != 1 {
		t.Errorf("the code was sent %d times", n)
	}
}

func TestACallbackMustNameTheIssuer(t *testing.T) {
	for name, change := range map[string]func(fosite.AuthorizeResponder){
		"another": func(r fosite.AuthorizeResponder) { r.GetParameters().Set("iss", "https://evil.example") },
		"none":    func(r fosite.AuthorizeResponder) { r.GetParameters().Del("iss") },
		"empty":   func(r fosite.AuthorizeResponder) { r.GetParameters().Set("iss", "") },
		"slash":   func(r fosite.AuthorizeResponder) { r.GetParameters().Set("iss", r.GetParameters().Get("iss")+"/") },
	} {
		t.Run(name, func(t *testing.T) {
			s := Serve(t, portal)
			s.Callback = change
			o, b := flowOptions(t, s, portal, fetch.BasicEscaped)
			a := begin(t, open(t, o, b))
			_, err := a.Finish(t.Context(), b.browse(t, a.Link()))
			wantClass(t, err, finance.Rejected)
			if n := s.Asked("authorization_code"); n != 0 {
				t.Errorf("the code was sent %d times", n)
			}
		})
	}
}

// without takes a parameter out of a link.
func without(t *testing.T, link, name string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Del(name)
	u.RawQuery = q.Encode()
	return u.String()
}

func TestAForeignNoIsExplained(t *testing.T) {
	// fosite knows nothing of RFC 9207, and a no of its own carries no issuer.
	silent := func(m map[string]any) { delete(m, "authorization_response_iss_parameter_supported") }
	for name, row := range map[string]struct {
		set  func(*Server, *fetch.Options)
		want string
		cut  string // a parameter that somebody takes out of the link
	}{
		"person": {func(s *Server, _ *fetch.Options) { s.Refuse = true }, "access_denied", ""},
		"scope": {func(_ *Server, o *fetch.Options) {
			o.Driver.Authorize.Token.Scopes = append(o.Driver.Authorize.Token.Scopes, "admin")
		}, "invalid_scope", ""},
		"audience":  {func(_ *Server, o *fetch.Options) { o.Driver.Authorize.Params.Set("audience", "elsewhere") }, "invalid_request", ""},
		"challenge": {func(*Server, *fetch.Options) {}, "invalid_request", "code_challenge"},
		"method":    {func(*Server, *fetch.Options) {}, "invalid_request", "code_challenge_method"},
	} {
		t.Run(name, func(t *testing.T) {
			s := Serve(t, portal)
			s.Metadata = silent
			o, b := flowOptions(t, s, portal, fetch.BasicEscaped)
			row.set(s, &o)
			a := begin(t, open(t, o, b))
			answer := b.browse(t, without(t, a.Link(), row.cut))
			_, err := a.Finish(t.Context(), answer)
			d, ok := errors.AsType[*fetch.Denial](err)
			if !ok || d.Name != row.want || d.Description == "" {
				t.Fatalf("got %v of %v", err, answer)
			}
			if n := s.Asked("authorization_code"); n != 0 {
				t.Errorf("%d exchanges", n)
			}
		})
	}
	t.Run("from nobody", func(t *testing.T) { // the metadata promise an issuer in every callback
		s := Serve(t, portal)
		s.Refuse = true
		o, b := flowOptions(t, s, portal, fetch.BasicEscaped)
		a := begin(t, open(t, o, b))
		_, err := a.Finish(t.Context(), b.browse(t, a.Link()))
		wantClass(t, err, finance.Rejected)
	})
}

func TestMetadataThatAreNotTheIssuersAreNotBelieved(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"issuer":            func(m map[string]any) { m["issuer"] = "https://evil.example" },
		"slash":             func(m map[string]any) { m["issuer"] = m["issuer"].(string) + "/" },
		"no S256":           func(m map[string]any) { m["code_challenge_methods_supported"] = []string{"plain"} },
		"no token endpoint": func(m map[string]any) { delete(m, "token_endpoint") },
		"a user in it":      func(m map[string]any) { m["token_endpoint"] = "http://me:secret@127.0.0.1/token" },
	} {
		t.Run(name, func(t *testing.T) {
			s := Serve(t, portal)
			s.Metadata = change
			o, b := flowOptions(t, s, portal, fetch.BasicEscaped)
			_, err := open(t, o, b).client.Authorize(t.Context(), fetch.Secret{})
			wantClass(t, err, finance.Fatal)
			if n := len(s.Arrivals(tokenPath)); n != 0 {
				t.Errorf("%d requests to the token endpoint", n)
			}
		})
	}
}
