package sandbox

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Client is one registered application.
type Client struct {
	ID        string
	Secret    string
	Audiences []string // allowed audiences, for providers that have them
	Scopes    []string // allowed scopes
	Redirects []string // registered redirect URIs, compared character by character
	// Since is when the secret was made, for providers where a fresh secret
	// needs minutes to work. Zero: long ago.
	Since time.Time
}

// Grant is what a token stands for.
type Grant struct {
	ClientID string
	Audience string
	Scope    string // space separated, as in the answer; empty: not answered
	Subject  string // bound to one consent; empty: whatever the client may see
	Expires  time.Time
	// Extra are more members of the token answer, such as refresh_token.
	Extra map[string]any

	family uint64 // the authorization that it came from; 0: client credentials
}

// Refusal is an error of the token endpoint (RFC 6749 section 5.2).
type Refusal struct {
	Status      int
	Code        string // invalid_client, invalid_scope ...
	Description string
}

// Identify finds the client id and secret in a token request, in the one
// dialect the provider speaks. False: nothing acceptable was sent.
type Identify func(r *http.Request) (id, secret string, ok bool)

// BasicRaw takes HTTP Basic with id and secret as they are.
func BasicRaw(r *http.Request) (id, secret string, ok bool) { return r.BasicAuth() }

// BasicEncoded takes HTTP Basic with id and secret form-urlencoded first
// (RFC 6749 section 2.3.1): a raw secret with + or % in it is another secret.
func BasicEncoded(r *http.Request) (id, secret string, ok bool) {
	id, secret, ok = r.BasicAuth()
	if !ok {
		return "", "", false
	}
	id, errID := url.QueryUnescape(id)
	secret, errSecret := url.QueryUnescape(secret)
	return id, secret, errID == nil && errSecret == nil
}

// Headers takes id and secret from two request headers.
func Headers(idHeader, secretHeader string) Identify {
	return func(r *http.Request) (string, string, bool) {
		id := r.Header.Get(idHeader)
		secret := r.Header.Get(secretHeader)
		return id, secret, id != "" && secret != ""
	}
}

// OAuth2Options describes a provider's token endpoint.
type OAuth2Options struct {
	Kit      *Kit
	Provider string
	Seed     uint64
	Clients  []Client
	Identify Identify
	// Bad is how the endpoint refuses a client it doesn't know; its Status is
	// 401 at most providers and 400 at some.
	Bad Refusal
	// Accept turns a request of a known client into a grant, or refuses it.
	// Expires is filled in by the kit when left zero.
	Accept func(c Client, form url.Values) (Grant, *Refusal)
	TTL    time.Duration
	// TokenType is the answer's token_type, in the provider's own casing.
	TokenType string
	// ExpiresIn is the answer's expires_in as JSON; empty means TTL in seconds.
	ExpiresIn string
	// Token makes the n-th token; nil makes opaque ones of two parts.
	Token func(g Grant, issued time.Time, n uint64) string
}

// OAuth2 is a token endpoint and the tokens it has given out.
type OAuth2 struct {
	o       OAuth2Options
	mu      sync.Mutex
	clients map[string]Client
	tokens  map[string]Grant
	issued  uint64
	calls   int
	sweepAt int
}

// NewOAuth2 returns an endpoint; the kit's ExpireTokens reaches it from now on.
func NewOAuth2(o OAuth2Options) *OAuth2 {
	a := &OAuth2{o: o, clients: make(map[string]Client), tokens: make(map[string]Grant), sweepAt: 1024}
	for _, c := range o.Clients {
		a.clients[c.ID] = c
	}
	if o.Token == nil {
		a.o.Token = func(_ Grant, _ time.Time, n uint64) string { return OpaqueToken(o.Seed, n) }
	}
	o.Kit.register(o.Provider, a)
	return a
}

// OpaqueToken is the n-th random-looking token of a seed: two base64url parts
// joined by a dot, which is not a JWT.
func OpaqueToken(seed, n uint64) string {
	part := func(side string) string {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", side, seed, n))
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return part("left") + "." + part("right")
}

// Register adds a client or replaces the one with its id, as when a secret is
// rotated. Tokens already given out stay good.
func (a *OAuth2) Register(c Client) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.clients[c.ID] = c
}

// Client returns a registered client.
func (a *OAuth2) Client(id string) (Client, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.clients[id]
	return c, ok
}

// Requests counts the calls to the endpoint, refused ones included. Calls that
// a fault answered in its place don't count here; the journal has them.
func (a *OAuth2) Requests() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls
}

// ExpireAll makes all live tokens invalid and returns how many there were.
func (a *OAuth2) ExpireAll() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	now := a.o.Kit.Clock.Now()
	for token, g := range a.tokens {
		if g.Expires.After(now) {
			n++
			g.Expires = now
			a.tokens[token] = g
		}
	}
	return n
}

// expireFamily makes the tokens of one authorization invalid.
func (a *OAuth2) expireFamily(family uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.o.Kit.Clock.Now()
	for token, g := range a.tokens {
		if g.family == family && g.Expires.After(now) {
			g.Expires = now
			a.tokens[token] = g
		}
	}
}

// Bearer looks up the request's bearer token. Known is false for no token or
// one that was never given out; a known token may have expired.
func (a *OAuth2) Bearer(r *http.Request) (g Grant, known, live bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return Grant{}, false, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	g, known = a.tokens[token]
	return g, known, known && g.Expires.After(a.o.Kit.Clock.Now())
}

// ClientOf names the client behind a request, for buckets: the holder of the
// token on API calls, the claimed id on token calls. "anonymous" if unknown.
func (a *OAuth2) ClientOf(r *http.Request) string {
	if g, known, _ := a.Bearer(r); known {
		return g.ClientID
	}
	if id, _, ok := a.o.Identify(r); ok && id != "" {
		return id
	}
	return "anonymous"
}

// ServeHTTP is the token endpoint.
func (a *OAuth2) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.calls++
	a.mu.Unlock()
	grant, refusal := a.grant(r)
	if refusal != nil {
		refusal.write(w)
		return
	}
	token := a.issue(grant)
	answer := map[string]any{"access_token": token, "token_type": a.o.TokenType}
	if lifetime, ok := a.expiresIn(r); ok {
		answer["expires_in"] = lifetime
	}
	if grant.Scope != "" {
		answer["scope"] = grant.Scope
	}
	for k, v := range grant.Extra {
		answer[k] = v
	}
	w.Header().Set("Cache-Control", "no-store")
	WriteJSON(w, http.StatusOK, answer)
}

func (a *OAuth2) grant(r *http.Request) (Grant, *Refusal) {
	if r.Method != http.MethodPost {
		return Grant{}, &Refusal{http.StatusMethodNotAllowed, "invalid_request", "HTTP method must be POST"}
	}
	id, secret, ok := a.o.Identify(r)
	client, known := a.Client(id)
	if !ok || !known || client.Secret != secret {
		bad := a.o.Bad
		return Grant{}, &bad
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		return Grant{}, &Refusal{http.StatusBadRequest, "invalid_request", "unreadable body"}
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return Grant{}, &Refusal{http.StatusBadRequest, "invalid_request", "malformed form"}
	}
	g, refusal := a.o.Accept(client, form)
	g.ClientID = client.ID
	return g, refusal
}

func (a *OAuth2) issue(g Grant) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.o.Kit.Clock.Now()
	if g.Expires.IsZero() {
		g.Expires = now.Add(a.o.TTL)
	}
	token := a.o.Token(g, now, a.issued)
	a.issued++
	if len(a.tokens) >= a.sweepAt {
		a.sweep(now)
	}
	a.tokens[token] = g
	return token
}

// sweep forgets tokens that ended an hour ago; a run with short tokens would
// otherwise keep every one of them.
func (a *OAuth2) sweep(now time.Time) {
	for token, g := range a.tokens {
		if now.Sub(g.Expires) > time.Hour {
			delete(a.tokens, token)
		}
	}
	a.sweepAt = max(1024, 2*len(a.tokens))
}

// expiresIn is the member's JSON, and whether the member is sent at all.
func (a *OAuth2) expiresIn(r *http.Request) (json.RawMessage, bool) {
	if odd, ok := FaultOf(r, ExpiresIn); ok {
		return json.RawMessage(odd.Body), odd.Body != ""
	}
	if a.o.ExpiresIn != "" {
		return json.RawMessage(a.o.ExpiresIn), true
	}
	return json.RawMessage(fmt.Sprint(int(a.o.TTL / time.Second))), true
}

func (f *Refusal) write(w http.ResponseWriter) {
	body := map[string]string{"error": f.Code}
	if f.Description != "" {
		body["error_description"] = f.Description
	}
	if f.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Basic")
	}
	w.Header().Set("Cache-Control", "no-store")
	WriteJSON(w, f.Status, body)
}

// WriteJSON answers with v as JSON. It is application/json unless the answer's header says otherwise already.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // an odd expires_in that is no JSON: a mistake in the test's rule
		http.Error(w, "sandbox: answer can't be written as JSON: "+err.Error(), http.StatusInternalServerError)
		return
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may be gone
}
