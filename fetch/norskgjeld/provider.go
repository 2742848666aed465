// Package norskgjeld reads the registry of unsecured debt of Norsk Gjeldsinformasjon: the debt of a person by
// consent, a consent's status, the feed of what happens to consents, and the registration of consents that we have
// collected ourselves.
//
// What it relies on is published at github.com/norsk-gjeldsinformasjon/api-docs. Three services want three tokens,
// one audience each; a stale token is answered with 403 and not with 401; a consent is by default good for one answer
// only, so the call for it is never repeated (fetch.Request.Once); and a creditor that is too slow is a null in an
// otherwise good answer, after which nothing may be taken for vanished.
package norskgjeld

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"syncer/fetch"
	"syncer/finance"
)

// Settings are the connection's own settings.
type Settings struct {
	// DebtScope is what the token for debt is asked for, space separated.
	DebtScope string `yaml:"debt_scope" doc:"scopes of the debt token, space separated"`
	// FeedLimit is the number of events asked for at a time.
	FeedLimit int `yaml:"feed_limit" doc:"events of the consent feed asked for at a time"`
	// RedirectURI is the redirect URI that the registry has allowed; empty: people don't give consents over it.
	RedirectURI string `yaml:"redirect_uri" doc:"redirect URI that the registry has allowed, for consents given in the browser"`
	// ConsentScope is what a person is asked for: one debt scope, with or without a number of days.
	ConsentScope string `yaml:"consent_scope" doc:"what people are asked for; .N at its end: for N days, else for one answer"`
	// Issuer is the registry's name in what it signs.
	Issuer string `yaml:"issuer" doc:"issuer of the registry's ID tokens; empty: the authorization server's address with a slash"`
}

// calendar is the registry's: the day on which a consent ends, ends in Norway.
const calendar = "Europe/Oslo"

type environment struct{ api, auth string }

var environments = map[string]environment{
	"preprod": {"https://api-preprod.norskgjeld.no", "https://access-preprod.norskgjeld.no"},
	"prod":    {"https://api.norskgjeld.no", "https://access.norskgjeld.no"},
}

// The services, which are also the ends of the audiences that their tokens are for.
const (
	debtService = "/v1/debt"
	feedService = "/feed/v1/consent"
)

// Provider is the entry for the program's list of providers.
func Provider() fetch.Provider {
	return fetch.Provider{
		Name:     "norskgjeld",
		Title:    "Norsk Gjeldsinformasjon",
		Datasets: []finance.Dataset{finance.Debts},
		Settings: func() any {
			return &Settings{
				DebtScope: "debt.unsecured.presentation debt.unsecured.processing", FeedLimit: 500, ConsentScope: presentation,
			}
		},
		Zone: fetch.InZone(calendar),
		Open: open,
	}
}

func open(c fetch.Connection) (fetch.Driver, error) {
	env, ok := environments[c.Environment]
	if !ok {
		return fetch.Driver{}, fmt.Errorf("connection %s: environment %q is not known: write preprod or prod", c.Name, c.Environment)
	}
	settings, ok := c.Settings.(*Settings)
	if !ok || settings.FeedLimit < 1 || settings.FeedLimit > 10_000 || strings.TrimSpace(settings.DebtScope) == "" {
		return fetch.Driver{}, fmt.Errorf("connection %s: settings: want a debt_scope and a feed_limit from 1 to 10000", c.Name)
	}
	id := c.Credentials["client_id"]
	secret := c.Credentials["client_secret"]
	if id.IsZero() || secret.IsZero() {
		return fetch.Driver{}, fmt.Errorf("connection %s: credentials: client_id and client_secret are needed", c.Name)
	}
	api := env.api
	auth := env.auth
	if c.BaseURL != "" {
		api = c.BaseURL
	}
	if c.AuthURL != "" {
		auth = c.AuthURL
	}
	base, err := url.Parse(api)
	if err != nil {
		return fetch.Driver{}, fmt.Errorf("connection %s: base_url is not a URL", c.Name)
	}
	auth = strings.TrimSuffix(auth, "/")
	tokenURL := auth + "/oauth2/token"
	authorize, err := settings.authorize(auth, id.Reveal(), secret)
	if err != nil {
		return fetch.Driver{}, fmt.Errorf("connection %s: settings: %w", c.Name, err)
	}
	return fetch.Driver{
		Base: base, Authorize: authorize,
		Token: func(k fetch.TokenKey) (fetch.TokenRequest, error) {
			return fetch.TokenRequest{
				URL: tokenURL, Style: fetch.BasicRaw, ID: id.Reveal(), Secret: secret,
				// The audience names the environment, not the address that is called.
				Params: map[string][]string{"audience": {k.Audience}},
				Scopes: strings.Fields(k.Scope),
			}, nil
		},
		// The registry turns a token away that does not have the consent's scope; the token has all of these.
		Scopes:   map[finance.Dataset][]string{finance.Debts: strings.Fields(settings.DebtScope)},
		Classify: classify,
		Connect: func(client *fetch.Client) fetch.Connector {
			return &connector{client: client, settings: *settings, audience: env.api, now: time.Now}
		},
	}, nil
}
