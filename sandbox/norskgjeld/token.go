package norskgjeld

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"syncer/sandbox"
)

const tokenPath = "/oauth2/token"

// accept has the token endpoint's rules: a code, or one audience and known
// scopes.
func (s *Simulator) accept(c sandbox.Client, form url.Values) (sandbox.Grant, *sandbox.Refusal) {
	bad := func(code, why string) (sandbox.Grant, *sandbox.Refusal) {
		return sandbox.Grant{}, &sandbox.Refusal{Status: http.StatusBadRequest, Code: code, Description: why}
	}
	switch form.Get("grant_type") {
	case "client_credentials":
	case "authorization_code":
		return s.authorize.Redeem(c, form)
	default: // there are no refresh tokens
		return bad("unsupported_grant_type", "The authorization grant type is not supported by the authorization server")
	}
	audience := form.Get("audience")
	scope := form.Get("scope")
	if !s.allowedAudience(c, audience) {
		return bad("invalid_request", "Requested audience '"+audience+"' has not been whitelisted by the OAuth 2.0 Client.")
	}
	for one := range strings.FieldsSeq(scope) {
		known := slices.Contains(scopes, one)
		if !known || (len(c.Scopes) > 0 && !slices.Contains(c.Scopes, one)) {
			return bad("invalid_scope", "The OAuth 2.0 Client is not allowed to request scope '"+one+"'.")
		}
	}
	return sandbox.Grant{Audience: audience, Scope: scope}, nil
}

var scopes = []string{Presentation, Processing, "consent.create", "client.access.consent.events"}

// allowedAudience takes the three services below AudienceBase and below a
// loopback origin: where the simulator is reached is not known to it here, and
// no real environment is on loopback.
func (s *Simulator) allowedAudience(c sandbox.Client, audience string) bool {
	if len(c.Audiences) > 0 && !slices.Contains(c.Audiences, audience) {
		return false
	}
	base, ok := splitAudience(audience)
	return ok && (base == s.o.AudienceBase || isLoopback(base))
}

func splitAudience(audience string) (base string, ok bool) {
	for _, service := range []string{agreementService, feedService, debtService} {
		if base, ok := strings.CutSuffix(audience, service); ok {
			return base, true
		}
	}
	return "", false
}

func isLoopback(base string) bool {
	u, err := url.Parse(base)
	return err == nil && (u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost")
}

func hasScope(granted, scope string) bool {
	return slices.Contains(strings.Fields(granted), scope)
}
