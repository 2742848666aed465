package cambio

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"syncer/fetch"
	"syncer/finance"
)

// authorize says how tokens are had. With client credentials the token endpoint is where Keycloak has it below its
// issuer, unless token_url says otherwise; with an authorization code the issuer's metadata name both endpoints.
func (s *Settings) authorize(d *fetch.Driver, c fetch.Connection) {
	issuer := strings.TrimSuffix(orElse(c.AuthURL, defaultIssuer), "/")
	ask := fetch.TokenRequest{
		URL: s.TokenURL, Style: fetch.BasicEscaped, ID: c.Credentials["client_id"].Reveal(), Secret: c.Credentials["client_secret"],
		Scopes: s.scopes(),
	}
	if s.Grant == byCode {
		d.Authorize = &fetch.Authorization{Issuer: issuer, Token: ask, Redirect: s.RedirectURI}
		// Only consents have tokens here. What is sent for none of them, the check, carries no token.
		d.Token = func(fetch.TokenKey) (fetch.TokenRequest, error) { return fetch.TokenRequest{}, nil }
		return
	}
	ask.URL = orElse(ask.URL, issuer+"/protocol/openid-connect/token")
	d.Token = func(fetch.TokenKey) (fetch.TokenRequest, error) { return ask, nil }
}

// scopes are those asked for. A person's login has to give an ID token, which names the consent, and a refresh token
// that outlives the night.
func (s *Settings) scopes() []string {
	scopes := strings.Fields(s.Scope)
	if s.Grant != byCode {
		return scopes
	}
	for _, needed := range []string{"offline_access", "openid"} {
		if !slices.Contains(scopes, needed) {
			scopes = slices.Insert(scopes, 0, needed)
		}
	}
	return scopes
}

// Granted makes a consent of a patient's login. It is named by the realm's own id of the person, and is about whoever
// has logged in, if the ID token tells, else about whom the operator named. It makes no call.
func (c *connector) Granted(_ context.Context, g fetch.Grant) (fetch.Given, error) {
	id := claim(g, "sub")
	number, told := finance.FullPersonnummer(claim(g, c.settings.SubjectClaim))
	switch {
	case !g.Refreshable:
		return fetch.Given{}, errors.New("the realm gave no refresh token: ask for the client to be allowed offline_access")
	case id == "":
		return fetch.Given{}, errors.New("the answer has no ID token with a sub, which is to name the consent: is the client allowed openid?")
	case holdsAny(id):
		return fetch.Given{}, errors.New("the realm's id of the person is a personnummer, which can't name a consent")
	case !told && c.settings.SubjectClaim != "":
		return fetch.Given{}, errors.New("the ID token's claim " + c.settings.SubjectClaim + " is no personnummer of twelve digits: check subject_claim")
	}
	given := fetch.Given{ExternalID: id, Scopes: g.Scopes, NationalID: fetch.NewSecret(number)}
	if told {
		return given, nil
	}
	if number, told = finance.FullPersonnummer(g.Subject.Reveal()); !told {
		return fetch.Given{}, errors.New("whose consent it is is not known: name the patient's personnummer of twelve digits")
	}
	given.NationalID = fetch.NewSecret(number)
	return given, nil
}

// claim is the text of a claim; empty if it is none.
func claim(g fetch.Grant, name string) (text string) {
	if json.Unmarshal(g.Claims[name], &text) != nil {
		return ""
	}
	return strings.TrimSpace(text)
}

var _ fetch.Granter = (*connector)(nil)
