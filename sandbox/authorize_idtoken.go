package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"time"
)

// idToken is the ID token that comes with a code's tokens.
func (a *Authorize) idToken(c *code) string {
	now := a.o.Kit.Clock.Now()
	claims := map[string]any{
		"iss": c.issuer, "aud": c.consented.Grant.ClientID, "iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
	if c.nonce != "" {
		claims["nonce"] = c.nonce
	}
	maps.Copy(claims, c.consented.Claims)
	return IDToken(claims)
}

// IDToken is a JWT with the given claims, or "" for claims that can't be
// written. Its signature is of no key: who gets it from the token endpoint itself
// need not check it (OpenID Connect Core 1.0 section 3.1.3.7).
func IDToken(claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		return ""
	}
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256","typ":"JWT","kid":"sandbox"}`)) + "." + part(payload) + "." + part([]byte("not a signature"))
}
