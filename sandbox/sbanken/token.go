package sbanken

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"syncer/sandbox"
)

func (s *Simulator) accept(c sandbox.Client, form url.Values) (sandbox.Grant, *sandbox.Refusal) {
	switch {
	case s.o.NewSecretDelay > 0 && s.o.Kit.Clock.Now().Sub(c.Since) < s.o.NewSecretDelay:
		bad := invalidClient()
		return sandbox.Grant{}, &bad
	case form.Get("grant_type") == "":
		return sandbox.Grant{}, &sandbox.Refusal{Status: http.StatusBadRequest, Code: "invalid_request"}
	case form.Get("grant_type") != "client_credentials":
		return sandbox.Grant{}, &sandbox.Refusal{Status: http.StatusBadRequest, Code: "unsupported_grant_type"}
	case s.o.ScopeOff:
		return sandbox.Grant{}, &sandbox.Refusal{Status: http.StatusBadRequest, Code: "invalid_scope"}
	}
	// The real scope's name was never published.
	return sandbox.Grant{Scope: "mock.apibeta"}, nil
}

// token has the shape of the bank's JWT. Its signature is made up: no client
// has the key to check it, and none should look inside.
func (s *Simulator) token(g sandbox.Grant, issued time.Time, n uint64) string {
	claims, err := json.Marshal(map[string]any{
		"nbf": issued.Unix(), "exp": g.Expires.Unix(), "iss": "https://auth.sbanken.no/identityserver",
		"aud": []string{"mock.apibeta"}, "client_id": g.ClientID, "scope": []string{g.Scope}, "jti": n,
	})
	if err != nil {
		panic("sbanken: claims: " + err.Error()) // texts and numbers only
	}
	part := base64.RawURLEncoding.EncodeToString
	signature := strings.ReplaceAll(sandbox.OpaqueToken(s.o.Seed, n), ".", "")
	return part([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + part(claims) + "." + signature
}

func invalidClient() sandbox.Refusal {
	return sandbox.Refusal{Status: http.StatusBadRequest, Code: "invalid_client"}
}
