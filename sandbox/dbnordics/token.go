package dbnordics

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"syncer/sandbox"
)

func (s *Simulator) endpoint(clients []sandbox.Client, salt uint64) *sandbox.OAuth2 {
	kind := "Bearer"
	if s.o.LowerTokenType {
		kind = "bearer"
	}
	return sandbox.NewOAuth2(sandbox.OAuth2Options{
		Kit: s.o.Kit, Provider: Name, Seed: sandbox.Mix(s.o.Seed, salt), Clients: clients,
		// Only Basic is taken: credentials in the body are refused with 401.
		Identify: sandbox.BasicRaw,
		Bad:      sandbox.Refusal{Status: http.StatusUnauthorized, Code: "invalid_client", Description: "Bad credentials"},
		TTL:      s.o.TokenTTL, TokenType: kind, ExpiresIn: s.o.TokenExpiresIn,
		Accept: s.accept,
	})
}

// accept has the token endpoints' rules: one grant, known scopes.
func (s *Simulator) accept(c sandbox.Client, form url.Values) (sandbox.Grant, *sandbox.Refusal) {
	bad := func(code, why string) (sandbox.Grant, *sandbox.Refusal) {
		return sandbox.Grant{}, &sandbox.Refusal{Status: http.StatusBadRequest, Code: code, Description: why}
	}
	if form.Get("grant_type") != "client_credentials" {
		return bad("unsupported_grant_type", "grant_type must be client_credentials")
	}
	asked := strings.Fields(form.Get("scope"))
	for _, one := range asked {
		if !slices.Contains(scopes, one) || len(c.Scopes) > 0 && !slices.Contains(c.Scopes, one) {
			return bad("invalid_scope", "The requested scope is invalid, unknown, or malformed")
		}
	}
	g := sandbox.Grant{Scope: strings.Join(asked, " ")}
	if s.o.NoTokenScope { // the token has them, the answer does not say so
		g.Scope, g.Audience = "", g.Scope
	}
	return g, nil
}

var scopes = []string{
	"bci", "consumer", "credit_data_companies", "credit_data_persons", "credit_data_monitoring", "rgs-decision",
	"rgs-decision-test", "credit-scoring", "affordability", "affordability_prodtest", "credit-register",
	"credential:third-party:read:fi_credit_register", "credential:third-party:owner:no_gjeldsregisteret",
	"nordic_right_to_sign", "no_beneficialowner", "no_beneficialowner_finance", "b2b_aml_screen", "b2c_aml_screen",
	"b2c_aml_ident_screen", "b2b_aml_ident_screen", "psd2",
}
