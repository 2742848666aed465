package cambio

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"syncer/sandbox"
)

const tokenPath = "/protocol/openid-connect/token"

const authPath = "/protocol/openid-connect/auth"

// openRealm makes the realm's endpoints. Keycloak takes the client's credentials
// form-urlencoded, as RFC 6749 section 2.3.1 says.
func (s *Simulator) openRealm() {
	o := s.o
	refusal := "unauthorized_client"
	if o.OldRefusal {
		refusal = "invalid_client"
	}
	s.tokens = sandbox.NewOAuth2(sandbox.OAuth2Options{
		Kit: o.Kit, Provider: Name, Seed: o.Seed, Clients: o.Clients,
		Identify: sandbox.BasicEncoded,
		Bad:      sandbox.Refusal{Status: http.StatusUnauthorized, Code: refusal, Description: "Invalid client or Invalid client credentials"},
		TTL:      o.TokenTTL, TokenType: "Bearer",
		Accept: s.accept,
		Token:  func(g sandbox.Grant, at time.Time, n uint64) string { return jwt(o.Seed, g, at, n) },
	})
	s.auth = sandbox.NewAuthorize(s.tokens, sandbox.AuthorizeOptions{
		Kit: o.Kit, Seed: o.Seed, Consent: s.consent, Issuer: s.issuer, SendIssuer: !o.NoIssuer, RefreshTTL: o.RefreshTTL,
	})
}

// jwt makes a token that looks like Keycloak's. Nobody can check its signature,
// and nobody needs to: a client must not look into it.
func jwt(seed uint64, g sandbox.Grant, at time.Time, n uint64) string {
	part := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"iat":%d,"jti":"%d","scope":%q}`, at.Unix(), n, g.Scope)
	_, signature, _ := strings.Cut(sandbox.OpaqueToken(seed, n), ".")
	return part([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + part([]byte(claims)) + "." + signature
}

// accept has the realm's rules for a token.
func (s *Simulator) accept(c sandbox.Client, form url.Values) (sandbox.Grant, *sandbox.Refusal) {
	bad := func(code, why string) (sandbox.Grant, *sandbox.Refusal) {
		return sandbox.Grant{}, &sandbox.Refusal{Status: http.StatusBadRequest, Code: code, Description: why}
	}
	switch form.Get("grant_type") {
	case "client_credentials":
	case "authorization_code":
		return s.auth.Redeem(c, form)
	case "refresh_token":
		return s.auth.Refresh(c, form)
	default:
		return bad("unsupported_grant_type", "Unsupported grant_type")
	}
	scope := form.Get("scope")
	if wrong := unknownScope(c, scope); wrong != "" {
		return bad("invalid_scope", "Invalid scopes: "+scope)
	}
	return sandbox.Grant{Scope: scope, Extra: map[string]any{"refresh_expires_in": 0, "not-before-policy": 0}}, nil
}

var (
	scopeForm = regexp.MustCompile(`^(user|patient|system)/(\*|[A-Z][A-Za-z]*)[.-](read|write|\*|[cruds]+)$`)
	openID    = []string{"openid", "profile", "offline_access", "launch/patient"}
)

// unknownScope is the first scope that the realm or the client doesn't know;
// empty if all are fine. The letters of SMART v2 must stand in their order.
func unknownScope(c sandbox.Client, scope string) string {
	for one := range strings.FieldsSeq(scope) {
		parts := scopeForm.FindStringSubmatch(one)
		known := slices.Contains(openID, one) || parts != nil &&
			(slices.Contains([]string{"read", "write", "*"}, parts[3]) || isLetters(parts[3]))
		if !known || len(c.Scopes) > 0 && !slices.Contains(c.Scopes, one) {
			return one
		}
	}
	return ""
}

// serveRealm serves what lies below the realm's path. It needs no subscription.
func (s *Simulator) serveRealm(w http.ResponseWriter, r *http.Request, path string) {
	switch path {
	case tokenPath:
		s.tokens.ServeHTTP(w, r)
	case authPath:
		s.auth.ServeHTTP(w, r)
	case "/.well-known/openid-configuration":
		s.serveDiscovery(w, r)
	case "/protocol/openid-connect/certs":
		writeJSON(w, plainJSON, http.StatusOK, map[string]any{"keys": []any{}})
	default:
		writeJSON(w, plainJSON, http.StatusNotFound, map[string]any{"error": "RESTEASY003210: Could not find resource for full path"})
	}
}

// issuer is the realm's address as this request reached it.
func (s *Simulator) issuer(r *http.Request) string { return "http://" + r.Host + s.o.Realm }

func (s *Simulator) serveDiscovery(w http.ResponseWriter, r *http.Request) {
	at := s.issuer(r) + "/protocol/openid-connect"
	writeJSON(w, plainJSON, http.StatusOK, map[string]any{
		"issuer":                                         s.issuer(r),
		"authorization_endpoint":                         at + "/auth",
		"token_endpoint":                                 at + "/token",
		"introspection_endpoint":                         at + "/token/introspect",
		"userinfo_endpoint":                              at + "/userinfo",
		"end_session_endpoint":                           at + "/logout",
		"revocation_endpoint":                            at + "/revoke",
		"jwks_uri":                                       at + "/certs",
		"grant_types_supported":                          []string{"authorization_code", "implicit", "refresh_token", "password", "client_credentials"},
		"response_types_supported":                       []string{"code"},
		"code_challenge_methods_supported":               []string{"plain", "S256"},
		"authorization_response_iss_parameter_supported": !s.o.NoIssuer,
		"token_endpoint_auth_methods_supported":          []string{"private_key_jwt", "client_secret_basic", "client_secret_post", "tls_client_auth", "client_secret_jwt"},
		"scopes_supported":                               []string{"openid", "offline_access", "user/Patient.read", "user/Contact.read", "user/Invoice.read"},
	})
}
