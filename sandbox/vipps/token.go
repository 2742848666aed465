package vipps

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"syncer/sandbox"
)

// standardTokens is the flow of a sales unit: the keys stand in headers, the body is empty, and the answer's numbers
// are strings.
func (s *Simulator) standardTokens() *sandbox.OAuth2 {
	o := sandbox.OAuth2Options{
		Kit: s.o.Kit, Provider: Name, Seed: sandbox.Mix(s.o.Seed, 't', 1), TTL: s.o.StandardTTL, TokenType: "Bearer",
		Identify: sandbox.Headers("client_id", "client_secret"),
		Bad:      sandbox.Refusal{Status: http.StatusUnauthorized, Code: "invalid_client"},
		Accept:   func(sandbox.Client, url.Values) (sandbox.Grant, *sandbox.Refusal) { return s.standardGrant(), nil },
		Token:    s.jwt,
	}
	if !s.o.NumericTokens {
		o.ExpiresIn = strconv.Quote(seconds(s.o.StandardTTL))
	}
	for _, c := range s.o.Clients {
		if c.SubscriptionKey != "" {
			o.Clients = append(o.Clients, sandbox.Client{ID: c.ID, Secret: c.Secret})
		}
	}
	return sandbox.NewOAuth2(o)
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

// jwt has the first letters of one, as the vendor's examples have. No client should look inside.
func (s *Simulator) jwt(_ sandbox.Grant, _ time.Time, n uint64) string {
	return "eyJ0eXAiOiJKV1QifQ." + sandbox.OpaqueToken(sandbox.Mix(s.o.Seed, 't', 2), n)
}

func (s *Simulator) standardGrant() sandbox.Grant {
	if s.o.ShortTokens {
		return sandbox.Grant{}
	}
	now := s.o.Kit.Clock.Now()
	number := func(n int64) any {
		if s.o.NumericTokens {
			return n
		}
		return strconv.FormatInt(n, 10)
	}
	return sandbox.Grant{Extra: map[string]any{
		"ext_expires_in": number(int64(s.o.StandardTTL / time.Second)),
		"expires_on":     number(now.Add(s.o.StandardTTL).Unix()), "not_before": number(now.Add(-5 * time.Minute).Unix()),
		"resource": "00000002-0000-0000-c000-000000000000",
	}}
}

// specializedTokens is the flow of an accounting partner: Basic with the raw id and secret, a form with a grant_type,
// and no subscription key.
func (s *Simulator) specializedTokens() *sandbox.OAuth2 {
	bad := sandbox.Refusal{Status: http.StatusUnauthorized, Code: "invalid_client"}
	o := sandbox.OAuth2Options{
		Kit: s.o.Kit, Provider: Name, Seed: sandbox.Mix(s.o.Seed, 't', 3), TTL: s.o.SpecializedTTL, TokenType: "Bearer",
		Identify: sandbox.BasicRaw, Bad: bad, Token: func(_ sandbox.Grant, _ time.Time, n uint64) string {
			return "eyJ0eXAiOiJKV1QifQ." + sandbox.OpaqueToken(sandbox.Mix(s.o.Seed, 't', 4), n)
		},
		Accept: func(_ sandbox.Client, form url.Values) (sandbox.Grant, *sandbox.Refusal) {
			if form.Get("grant_type") != "client_credentials" {
				return sandbox.Grant{}, &bad
			}
			return sandbox.Grant{}, nil
		},
	}
	for _, c := range s.o.Clients {
		if c.SubscriptionKey == "" {
			o.Clients = append(o.Clients, sandbox.Client{ID: c.ID, Secret: c.Secret})
		}
	}
	return sandbox.NewOAuth2(o)
}

// serveStandardToken answers in the order of the real thing: first the gateway, which knows subscription keys, then
// Azure AD, which knows clients.
func (s *Simulator) serveStandardToken(w http.ResponseWriter, r *http.Request) {
	if !s.gateway(w, r, "") {
		return
	}
	id := r.Header.Get("client_id")
	secret := r.Header.Get("client_secret")
	c, known := s.standard.Client(id)
	switch {
	case !known:
		s.azure(w, http.StatusBadRequest, "unauthorized_client", 700016, "Application with identifier was not found in the directory")
	case c.Secret != secret:
		s.azure(w, http.StatusUnauthorized, "invalid_client", 7000215, "Invalid client secret provided")
	default:
		s.standard.ServeHTTP(w, r)
	}
}

// serveSpecializedToken refuses a stray subscription key as the vendor does.
func (s *Simulator) serveSpecializedToken(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(subscriptionHeader) != "" {
		writeJSON(w, http.StatusUnauthorized, "application/json", map[string]string{"error": "invalid_client"})
		return
	}
	s.specialized.ServeHTTP(w, r)
}

const subscriptionHeader = "Ocp-Apim-Subscription-Key"

// gateway checks the subscription key, which must be that of the client, or of any client if none is named.
func (s *Simulator) gateway(w http.ResponseWriter, r *http.Request, client string) bool {
	key := r.Header.Get(subscriptionHeader)
	for _, c := range s.o.Clients {
		if key != "" && c.SubscriptionKey == key && (client == "" || client == c.ID) {
			return true
		}
	}
	text := "Access denied due to invalid subscription key. Make sure to provide a valid key for an active subscription."
	if key == "" {
		text = "Access denied due to missing subscription key. Make sure to include subscription key when making requests to an API."
	}
	writeJSON(w, http.StatusUnauthorized, "application/json", map[string]any{"statusCode": 401, "message": text})
	return false
}

// azure is an error of Azure AD's token endpoint.
func (s *Simulator) azure(w http.ResponseWriter, status int, code string, number int, text string) {
	writeJSON(w, status, "application/json", map[string]any{
		"error": code, "error_description": fmt.Sprintf("AADSTS%d: %s.", number, text), "error_codes": []int{number},
		"timestamp": s.o.Kit.Clock.Now().UTC().Format("2006-01-02 15:04:05Z"), "trace_id": s.trace(), "correlation_id": s.trace(),
		"error_uri": fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", number),
	})
}
