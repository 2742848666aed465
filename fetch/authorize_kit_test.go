package fetch_test

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	"syncer/sandbox"
)

const redirect = "http://127.0.0.1:8765/callback?at=home"

// authority is a provider that asks people, a client of it, and what the client may keep.
type authority struct {
	kit    *sandbox.Kit
	auth   *sandbox.Authorize
	grants *fetchtest.Grants
	store  *fetchtest.CallStore
	opt    fetch.Options
	base   string

	mu       sync.Mutex
	metadata map[string]any // what discovery says beside or instead of the truth
	claims   map[string]any // what ID tokens say beside or instead of the truth
	issuer   string         // what redirects name; empty: the truth
	forms    []url.Values   // of token calls
	given    func(fetch.Grant) (fetch.Given, error)
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	w := &authority{
		kit: sandbox.NewKit(sandbox.KitOptions{Seed: 7}), grants: fetchtest.NewGrants(), store: fetchtest.NewCallStore(),
		metadata: map[string]any{}, claims: map[string]any{"consent_id": "c-1"},
	}
	w.given = func(g fetch.Grant) (fetch.Given, error) {
		var id string
		_ = json.Unmarshal(g.Claims["consent_id"], &id)
		return fetch.Given{ExternalID: id, Scopes: g.Scopes}, nil
	}
	tokens := sandbox.NewOAuth2(sandbox.OAuth2Options{
		Kit: w.kit, Provider: "bank", Seed: 7, Identify: sandbox.BasicEncoded, TTL: time.Hour, TokenType: "Bearer",
		Clients: []sandbox.Client{{ID: "me", Secret: "hunter2-hunter2", Redirects: []string{redirect}}},
		Bad:     sandbox.Refusal{Status: 401, Code: "invalid_client"},
		Accept: func(c sandbox.Client, form url.Values) (sandbox.Grant, *sandbox.Refusal) {
			w.mu.Lock()
			w.forms = append(w.forms, form)
			w.mu.Unlock()
			if form.Get("grant_type") == "refresh_token" {
				return w.auth.Refresh(c, form)
			}
			return w.auth.Redeem(c, form)
		},
	})
	w.auth = sandbox.NewAuthorize(tokens, sandbox.AuthorizeOptions{
		Kit: w.kit, Seed: 7, PKCE: true, SendIssuer: true, RefreshTTL: time.Hour,
		Issuer: func(*http.Request) string { return w.said(w.issuer, w.base) },
		Consent: func(sandbox.Question) (sandbox.Consented, *sandbox.Refusal) {
			return sandbox.Consented{Grant: sandbox.Grant{Scope: "read openid"}, Claims: w.claims}, nil
		},
	})
	server, err := sandbox.Start(w.kit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	w.base, err = server.Mount("bank", w.kit.Handler(sandbox.Site{
		Name: "bank", API: w.routes(tokens),
		Describe: func(r *http.Request) sandbox.Call {
			return sandbox.Call{Bucket: "bank", Template: r.URL.Path, Token: r.URL.Path == "/token"}
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	w.options(t)
	return w
}

func (w *authority) said(instead, truth string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if instead != "" {
		return instead
	}
	return truth
}

func (w *authority) routes(tokens *sandbox.OAuth2) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /authorize", w.auth)
	mux.Handle("POST /token", tokens)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(out http.ResponseWriter, _ *http.Request) {
		m := map[string]any{
			"issuer": w.base, "authorization_endpoint": w.base + "/authorize", "token_endpoint": w.base + "/token",
			"code_challenge_methods_supported": []string{"plain", "S256"}, "authorization_response_iss_parameter_supported": true,
		}
		for k, v := range w.metadata {
			m[k] = v
		}
		_ = json.NewEncoder(out).Encode(m)
	})
	mux.HandleFunc("GET /data", func(out http.ResponseWriter, r *http.Request) {
		if _, _, live := tokens.Bearer(r); !live {
			out.WriteHeader(http.StatusUnauthorized)
		}
	})
	return mux
}

// options is a connection to the authority, as a provider's driver describes it.
func (w *authority) options(t *testing.T) {
	w.opt = options(t, w.base, w.store)
	w.opt.Grants = w.grants
	w.opt.Retry = fetch.Retry{Attempts: 3, Base: time.Millisecond, Cap: time.Millisecond}
	w.opt.Driver.Authorize = &fetch.Authorization{
		Issuer: w.base, Redirect: redirect, Params: url.Values{"prompt": {"login"}},
		Token: fetch.TokenRequest{ID: "me", Secret: fetch.NewSecret("hunter2-hunter2"), Scopes: []string{"read", "openid"}},
		Words: map[string]string{"access_denied": "she said no"},
	}
	w.opt.Driver.Token = func(fetch.TokenKey) (fetch.TokenRequest, error) { return fetch.TokenRequest{}, nil }
	w.opt.Driver.Connect = func(*fetch.Client) fetch.Connector { return granter{w} }
}

// granter is the authority's connector.
type granter struct{ w *authority }

func (granter) PerAccount(finance.Dataset) bool { return false }
func (granter) Probe(context.Context) error     { return nil }
func (granter) Pages(context.Context, fetch.Stream, string) iter.Seq2[fetch.Page, error] {
	return func(func(fetch.Page, error) bool) {}
}
func (g granter) Granted(_ context.Context, grant fetch.Grant) (fetch.Given, error) {
	return g.w.given(grant)
}

func (w *authority) ask(t *testing.T, c *fetch.Client) *fetch.CodeFlow {
	t.Helper()
	a, err := c.Authorize(t.Context(), fetch.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// browse is the person's browser: it opens the link and gives what the redirect brings to the callback.
func browse(t *testing.T, link string) url.Values {
	t.Helper()
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	where := resp.Header.Get("Location")
	if resp.StatusCode != http.StatusFound || !strings.HasPrefix(where, redirect+"&") {
		t.Fatalf("the browser got status %d and was sent to %q", resp.StatusCode, where)
	}
	u, err := url.Parse(where)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// consented takes a person through the whole flow and keeps the grant as that of consent 7.
func (w *authority) consented(t *testing.T) {
	t.Helper()
	a := w.ask(t, client(t, w.opt))
	got, err := a.Finish(t.Context(), browse(t, a.Link()))
	if err != nil || got.Refresh.IsZero() {
		t.Fatalf("%+v, %v", got, err)
	}
	w.grants.Give(7, got.Refresh)
}

// read is a call with the grant of consent 7.
func read(t *testing.T, c *fetch.Client) error {
	r := get("data")
	r.Token.Consent = 7
	_, err := c.Do(t.Context(), r)
	return err
}

func (w *authority) refreshes() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.forms {
		if f.Get("grant_type") == "refresh_token" {
			n++
		}
	}
	return n
}

// data are the calls for data that have arrived.
func (w *authority) data() (arrived []sandbox.Entry) {
	for _, e := range w.kit.Journal.Entries() {
		if e.Path == "/data" {
			arrived = append(arrived, e)
		}
	}
	return arrived
}

// memberOf is one text of a JSON object.
func memberOf(t *testing.T, body io.Reader, name string) string {
	t.Helper()
	var all map[string]any
	if err := json.NewDecoder(body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	text, _ := all[name].(string)
	return text
}

// logged is a client whose log can be searched for what must not stand there.
func (w *authority) logged(t *testing.T) (*fetch.Client, *strings.Builder) {
	var log strings.Builder
	w.opt.Log = zerolog.New(zerolog.SyncWriter(&log)).Level(zerolog.TraceLevel)
	return client(t, w.opt), &log
}
