package sandbox

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Mood is what the person before the browser does with the question.
type Mood string

// The moods. The zero Mood is Consents.
const (
	Consents Mood = "consents"
	Denies   Mood = "denies"
	Cancels  Mood = "cancels" // breaks off the login
)

// Person is whoever sits before the browser. It answers at once.
type Person struct {
	Mood       Mood
	NationalID string // who logs in; empty: whoever the simulator likes
}

// Question is what an application asks a person at the authorization endpoint,
// after the kit has checked client, redirect URI and PKCE.
type Question struct {
	Client Client
	Scope  string
	Form   url.Values // the whole request
	Person Person
}

// Consented is what a simulator makes of a person's yes.
type Consented struct {
	Grant  Grant          // what the token stands for; its ClientID is filled in
	Claims map[string]any // of the ID token; nil: none is given out
	Params url.Values     // more parameters of the redirect, such as scope
}

// AuthorizeOptions describes a provider's authorization endpoint (RFC 6749
// section 4.1 with RFC 7636) and what its tokens can be refreshed with.
type AuthorizeOptions struct {
	Kit  *Kit
	Seed uint64
	// Consent turns a question that the person has said yes to into a grant, or
	// refuses it; the refusal's code goes into the redirect.
	Consent func(Question) (Consented, *Refusal)
	// Denied and Cancelled are the provider's names for a no and for a login
	// that was broken off; empty means access_denied.
	Denied, Cancelled string
	// Issuer is the iss of ID tokens and, with SendIssuer, of redirects
	// (RFC 9207).
	Issuer     func(*http.Request) string
	SendIssuer bool
	// PKCE refuses requests without a code challenge.
	PKCE bool
	// CodeTTL is how long a code is good; 0 means a minute.
	CodeTTL time.Duration
	// RefreshTTL is how long a refresh token is good; 0: none is given out.
	RefreshTTL time.Duration
	// Keep gives the same refresh token again instead of a new one at every
	// refresh.
	Keep bool
}

// Authorize is an authorization endpoint with the codes and the refresh tokens
// it has given out.
type Authorize struct {
	o      AuthorizeOptions
	tokens *OAuth2

	mu       sync.Mutex
	person   Person
	next     uint64
	codes    map[string]*code
	refresh  map[string]*refreshToken
	families map[uint64]bool // false: revoked
	reuses   int
}

type code struct {
	consented Consented
	redirect  string
	challenge string
	nonce     string
	issuer    string
	ends      time.Time
	family    uint64 // set when it is used
}

type refreshToken struct {
	grant  Grant
	family uint64
	ends   time.Time
	used   bool
}

// NewAuthorize returns an endpoint whose tokens are those of a token endpoint.
func NewAuthorize(tokens *OAuth2, o AuthorizeOptions) *Authorize {
	if o.CodeTTL == 0 {
		o.CodeTTL = time.Minute
	}
	if o.Denied == "" {
		o.Denied = "access_denied"
	}
	if o.Cancelled == "" {
		o.Cancelled = "access_denied"
	}
	return &Authorize{o: o, tokens: tokens, codes: map[string]*code{}, refresh: map[string]*refreshToken{}, families: map[uint64]bool{}}
}

// Sit puts a person before the browser.
func (a *Authorize) Sit(p Person) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.person = p
}

// Reuses counts the codes and refresh tokens that came a second time. Each has
// ended its grant.
func (a *Authorize) Reuses() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reuses
}

// RevokeGrants makes every refresh token, and the access tokens that came with
// it, invalid: what a person does at the provider's own page.
func (a *Authorize) RevokeGrants() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for family := range a.families {
		a.revoke(family)
	}
}

// ServeHTTP is the authorization endpoint: it answers with the redirect to which
// the person's answer leads.
func (a *Authorize) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	client, known := a.tokens.Client(q.Get("client_id"))
	redirect := q.Get("redirect_uri")
	if !known || !slices.Contains(client.Redirects, redirect) {
		// Never a redirect here: it would lead wherever the request says.
		http.Error(w, "unknown client or redirect_uri", http.StatusBadRequest)
		return
	}
	params, refusal := a.answer(client, q, r)
	if refusal != nil {
		params = url.Values{"error": {refusal.Code}, "error_description": {refusal.Description}}
	}
	params.Set("state", q.Get("state"))
	if a.o.SendIssuer {
		params.Set("iss", a.o.Issuer(r))
	}
	separator := "?"
	if strings.Contains(redirect, "?") {
		separator = "&"
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", redirect+separator+params.Encode())
	w.WriteHeader(http.StatusFound)
}

func (a *Authorize) answer(client Client, q url.Values, r *http.Request) (url.Values, *Refusal) {
	a.mu.Lock()
	person := a.person
	a.mu.Unlock()
	challenge := q.Get("code_challenge")
	method := q.Get("code_challenge_method")
	switch {
	case q.Get("response_type") != "code":
		return nil, &Refusal{Code: "unsupported_response_type"}
	case len(q.Get("state")) < 8:
		return nil, &Refusal{Code: "invalid_state", Description: "state must be at least 8 characters long"}
	case challenge == "" && a.o.PKCE, challenge != "" && method != "S256":
		return nil, &Refusal{Code: "invalid_request", Description: "PKCE with S256 is required"}
	case person.Mood == Denies:
		return nil, &Refusal{Code: a.o.Denied, Description: "the person said no"}
	case person.Mood == Cancels:
		return nil, &Refusal{Code: a.o.Cancelled}
	}
	consented, refusal := a.o.Consent(Question{Client: client, Scope: q.Get("scope"), Form: q, Person: person})
	if refusal != nil {
		return nil, refusal
	}
	consented.Grant.ClientID = client.ID
	issuer := ""
	if a.o.Issuer != nil {
		issuer = a.o.Issuer(r)
	}
	text := a.keep(&code{consented: consented, redirect: q.Get("redirect_uri"), challenge: challenge, nonce: q.Get("nonce"),
		issuer: issuer, ends: a.o.Kit.Clock.Now().Add(a.o.CodeTTL)})
	params := url.Values{"code": {text}}
	for name, values := range consented.Params {
		params[name] = values
	}
	return params, nil
}

func (a *Authorize) keep(c *code) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	text := a.name("code")
	a.codes[text] = c
	return text
}

// name makes a code or a refresh token. The caller holds mu.
func (a *Authorize) name(what string) string {
	a.next++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", what, a.o.Seed, a.next))
	return what + "-" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// Redeem is the token endpoint's rule for grant_type=authorization_code. A code
// that comes twice ends what it was good for.
func (a *Authorize) Redeem(client Client, form url.Values) (Grant, *Refusal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.codes[form.Get("code")]
	switch {
	case c == nil, c.consented.Grant.ClientID != client.ID:
		return invalidGrant("the code is not known")
	case form.Has("client_id") && form.Get("client_id") != client.ID:
		return invalidGrant("the code is another client's")
	case c.family != 0:
		a.reuses++
		a.revoke(c.family)
		return invalidGrant("the code was used before")
	case !a.o.Kit.Clock.Now().Before(c.ends):
		return invalidGrant("the code has ended")
	case form.Get("redirect_uri") != c.redirect:
		return invalidGrant("redirect_uri is not that of the authorization request")
	case !verifies(form.Get("code_verifier"), c.challenge):
		return invalidGrant("code_verifier does not match the challenge")
	}
	a.next++
	c.family = a.next
	a.families[c.family] = true
	g := c.consented.Grant
	g.family = c.family
	extra := a.renew(g)
	if c.consented.Claims != nil {
		extra["id_token"] = a.idToken(c)
	}
	return withExtra(g, extra), nil
}

// Refresh is the token endpoint's rule for grant_type=refresh_token. A refresh
// token that was replaced and comes again ends the whole grant: one of its two
// users is a thief (RFC 9700 section 4.14.2).
func (a *Authorize) Refresh(client Client, form url.Values) (Grant, *Refusal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.refresh[form.Get("refresh_token")]
	switch {
	case t == nil, t.grant.ClientID != client.ID, !a.families[t.family]:
		return invalidGrant("Token is not active")
	case t.used:
		a.reuses++
		a.revoke(t.family)
		return invalidGrant("Maximum allowed refresh token reuse exceeded")
	case !a.o.Kit.Clock.Now().Before(t.ends):
		return invalidGrant("Token is not active")
	}
	if a.o.Keep {
		return withExtra(t.grant, map[string]any{"refresh_token": form.Get("refresh_token")}), nil
	}
	t.used = true
	return withExtra(t.grant, a.renew(t.grant)), nil
}

// renew makes a refresh token of a grant. The caller holds mu.
func (a *Authorize) renew(g Grant) map[string]any {
	if a.o.RefreshTTL == 0 {
		return map[string]any{}
	}
	text := a.name("refresh")
	a.refresh[text] = &refreshToken{grant: g, family: g.family, ends: a.o.Kit.Clock.Now().Add(a.o.RefreshTTL)}
	return map[string]any{"refresh_token": text, "refresh_expires_in": int(a.o.RefreshTTL / time.Second)}
}

// revoke ends a grant with all its tokens. The caller holds mu.
func (a *Authorize) revoke(family uint64) {
	a.families[family] = false
	a.tokens.expireFamily(family)
}

func withExtra(g Grant, extra map[string]any) Grant {
	all := map[string]any{}
	for _, m := range []map[string]any{g.Extra, extra} {
		for k, v := range m {
			all[k] = v
		}
	}
	g.Extra = all
	return g
}

func invalidGrant(why string) (Grant, *Refusal) {
	return Grant{}, &Refusal{Status: http.StatusBadRequest, Code: "invalid_grant", Description: why}
}

// verifies checks a verifier against an S256 challenge. Where the authorization
// request had no challenge, a verifier is refused: somebody took it out.
func verifies(verifier, challenge string) bool {
	if challenge == "" {
		return verifier == ""
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}
