package norskgjeld

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
)

// The scopes of a consent, and the most days that each is given for. The registry lowers a larger number without a word.
const (
	presentation = "debt.unsecured.presentation"
	processing   = "debt.unsecured.processing"
)

var mostDays = map[string]int{presentation: 365, processing: 28}

// words are the registry's own names of errors; those of RFC 6749 it does not use.
var words = map[string]string{
	"consent_denied":  "the person did not give the consent",
	"login_cancelled": "the person broke off the login",
	"invalid_scopes":  "the registry does not allow this client the scope, or not in this form: check consent_scope",
}

// authorize is how a person is asked, or nil without a redirect URI. openid comes last, as the registry demands; it
// makes the ID token, which alone tells the consent's id without spending it.
func (s *Settings) authorize(auth, id string, secret fetch.Secret) (*fetch.Authorization, error) {
	if s.RedirectURI == "" {
		return nil, nil
	}
	if _, err := daysOf(s.ConsentScope); err != nil {
		return nil, err
	}
	issuer := s.Issuer
	if issuer == "" {
		issuer = auth + "/"
	}
	return &fetch.Authorization{
		Issuer: issuer, URL: auth + "/oauth2/auth", Redirect: s.RedirectURI, Words: words,
		Token: fetch.TokenRequest{
			URL: auth + "/oauth2/token", Style: fetch.BasicRaw, ID: id, Secret: secret,
			Params: map[string][]string{"client_id": {id}}, Scopes: []string{s.ConsentScope, "openid"},
		},
	}, nil
}

// daysOf is for how many days a scope asks; 0: for one answer within ten minutes.
func daysOf(scope string) (int, error) {
	for name, most := range mostDays {
		if scope == name {
			return 0, nil
		}
		if suffix, ok := strings.CutPrefix(scope, name+"."); ok {
			if days, err := strconv.Atoi(suffix); err == nil && days >= 1 && days <= most {
				return days, nil
			}
			return 0, fmt.Errorf("consent_scope: %s is given for 1 to %d days", name, most)
		}
	}
	return 0, fmt.Errorf("consent_scope: write %s or %s, with .N at its end for N days", presentation, processing)
}

// Granted makes a consent of what a person has said yes to. The debt is read with the connection's own token and the
// consent's id; the person's token is of no further use, and there is no refresh token.
func (c *connector) Granted(ctx context.Context, g fetch.Grant) (fetch.Given, error) {
	days, err := daysOf(c.settings.ConsentScope)
	if err != nil {
		return fetch.Given{}, err
	}
	id := claim(g, "consent_id")
	if id == "" {
		// To ask for the debt would tell the id too, and spend the consent.
		return fetch.Given{}, errors.New("the registry gave no ID token with the consent's id: " +
			"have openid enabled for this client, or register consents as agreements")
	}
	state, err := c.status(ctx, id, calls.Task{}) // the consent is not stored yet
	if err != nil {
		return fetch.Given{}, err
	}
	if state.Status != finance.ConsentActive {
		return fetch.Given{}, fmt.Errorf("the registry says that the consent is %s already", state.Status)
	}
	return fetch.Given{
		ExternalID: id, NationalID: fetch.NewSecret(claim(g, "pid")), ValidUntil: state.ValidUntil, SingleUse: days == 0,
		Scopes: slices.DeleteFunc(slices.Clone(g.Scopes), func(s string) bool { return s == "openid" }),
	}, nil
}

// claim is a claim that is a text, or "".
func claim(g fetch.Grant, name string) (text string) {
	if json.Unmarshal(g.Claims[name], &text) != nil {
		return ""
	}
	return text
}

var _ fetch.Granter = (*connector)(nil)
