// Package dbnordics reads what Dun & Bradstreet Nordics (formerly Bisnode) knows of a company's debts: company credit data
// v2, for Sweden and Norway.
//
// What it relies on is published by the vendor at github.com/Bisnode/api-stuff. There is one call for a company, a POST, so
// that no number stands in a URL; each such call is charged as a credit report, and one about a Swedish sole trader sends
// that person a letter. So everything is taken from one answer, and an answer that leaves something out says so and is
// never taken for the whole.
package dbnordics

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"syncer/fetch"
	"syncer/finance"
)

// Settings are the connection's own settings.
type Settings struct {
	// Scope is the scope set of the token. Tokens are scope specific: each set has a token of its own.
	Scope string `yaml:"scope" doc:"scopes of the token, space separated"`
	// TokenEndpoint says whose token endpoint is asked: that of the environment, or of the one named. The vendor's test
	// accounts of some products take their tokens in production.
	TokenEndpoint string `yaml:"token_endpoint" doc:"token endpoint: environment, sandbox or production"`
	// Language is that of the descriptions.
	Language string `yaml:"language" doc:"language of descriptions: EN, SV, NO, DA or FI"`
	// TimeZone is where the companies' days begin and end.
	TimeZone string `yaml:"time_zone" doc:"calendar of the companies asked about: Europe/Stockholm or Europe/Oslo"`
	// Reference is printed on the vendor's reports and invoices.
	Reference string `yaml:"reference" doc:"own reference, printed on report and invoice"`
	// OnBehalfOf is printed on the letter that a sole trader gets.
	OnBehalfOf string `yaml:"on_behalf_of" doc:"on whose behalf is asked, printed on letters of notification"`
}

type environment struct{ api, auth, tokenPath string }

var environments = map[string]environment{
	"sandbox":    {"https://sandbox-api.bisnode.com", "https://login.bisnode.com", "/sandbox/v1/token.oauth2"},
	"production": {"https://api.bisnode.com", "https://login.bisnode.com", "/as/token.oauth2"},
}

const (
	creditData = "/credit-data-companies/v2"
	// perSecond is prudent: the vendor publishes no rate, and says only that one may apply.
	perSecond = 5
)

// Provider is the entry for the program's list of providers.
func Provider() fetch.Provider {
	return fetch.Provider{
		Name:     "dbnordics",
		Title:    "Dun & Bradstreet Nordics",
		Datasets: []finance.Dataset{finance.Debts},
		// A Swedish sole trader's registration number is a personal identity number.
		SubjectInCalls: true,
		Settings: func() any {
			return &Settings{Scope: "credit_data_companies", TokenEndpoint: "environment", Language: "EN", TimeZone: "Europe/Stockholm"}
		},
		Zone: func(c fetch.Connection) (*time.Location, error) {
			settings, ok := c.Settings.(*Settings)
			if !ok {
				return nil, fmt.Errorf("settings of another provider")
			}
			return settings.zone()
		},
		Open: open,
	}
}

func open(c fetch.Connection) (fetch.Driver, error) {
	env, ok := environments[c.Environment]
	if !ok {
		return fetch.Driver{}, fmt.Errorf("connection %s: environment %q is not known: write sandbox or production", c.Name, c.Environment)
	}
	settings, ok := c.Settings.(*Settings)
	if !ok {
		return fetch.Driver{}, fmt.Errorf("connection %s: settings of another provider", c.Name)
	}
	if err := settings.check(); err != nil {
		return fetch.Driver{}, fmt.Errorf("connection %s: settings: %w", c.Name, err)
	}
	id := c.Credentials["client_id"]
	secret := c.Credentials["client_secret"]
	if id.IsZero() || secret.IsZero() {
		return fetch.Driver{}, fmt.Errorf("connection %s: credentials: client_id and client_secret are needed", c.Name)
	}
	base, err := apiBase(env.api, c.BaseURL)
	if err != nil {
		return fetch.Driver{}, fmt.Errorf("connection %s: base_url is not a URL", c.Name)
	}
	tokenURL := settings.tokenURL(env, c.AuthURL)
	return fetch.Driver{
		Base: base,
		Rate: perSecond,
		Token: func(k fetch.TokenKey) (fetch.TokenRequest, error) {
			// Basic with both as they are; in the body they are answered with 401.
			return fetch.TokenRequest{
				URL: tokenURL, Style: fetch.BasicRaw, ID: id.Reveal(), Secret: secret, Scopes: strings.Fields(k.Scope),
			}, nil
		},
		Classify: classify,
		Connect: func(client *fetch.Client) fetch.Connector {
			return &connector{client: client, name: c.Name, settings: *settings, token: fetch.TokenKey{Scope: scopeSet(settings.Scope)}}
		},
	}, nil
}

func (s *Settings) check() error {
	switch {
	case strings.TrimSpace(s.Scope) == "":
		return fmt.Errorf("scope is empty: write credit_data_companies")
	case s.TokenEndpoint != "environment" && environments[s.TokenEndpoint] == (environment{}):
		return fmt.Errorf("token_endpoint %q is not known: write environment, sandbox or production", s.TokenEndpoint)
	case !slices.Contains([]string{"EN", "SV", "NO", "DA", "FI"}, s.Language):
		return fmt.Errorf("language %q is not known: write EN, SV, NO, DA or FI", s.Language)
	}
	_, err := s.zone()
	return err
}

func (s *Settings) zone() (*time.Location, error) {
	zone, err := fetch.LoadZone(s.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("time_zone: %w", err)
	}
	return zone, nil
}

// tokenURL is where tokens come from: the path of the environment, or of the one that the settings name, at the vendor's
// host or at the one that the connection names.
func (s *Settings) tokenURL(env environment, host string) string {
	if s.TokenEndpoint != "environment" {
		env = environments[s.TokenEndpoint]
	}
	if host == "" {
		host = env.auth
	}
	return strings.TrimSuffix(host, "/") + env.tokenPath
}

// apiBase is the API's address. One without a path, such as that of a simulator, gets the vendor's.
func apiBase(address, override string) (*url.URL, error) {
	if override != "" {
		address = override
	}
	u, err := url.Parse(strings.TrimSuffix(address, "/"))
	if err == nil && u.Path == "" {
		u.Path = creditData
	}
	return u, err
}

// scopeSet writes a set of scopes in one way, so that the same set is the same token.
func scopeSet(text string) string {
	scopes := strings.Fields(text)
	slices.Sort(scopes)
	return strings.Join(slices.Compact(scopes), " ")
}
