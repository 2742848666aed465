// Package sbanken reads accounts, balances and transactions from Sbanken's open API ("API Beta"), generations v2 and
// v1 of publicapi.sbanken.no.
//
// The bank has two lists of transactions. The archive holds what is booked, with an id, newest first, paged by offset
// in a list that may move under the reader. The recent list holds reservations and what is booked but not archived
// yet, without ids: it is a set that is replaced as a whole by every pass. What the package relies on is published at
// github.com/Sbanken/api-examples and in the API's public clients.
package sbanken

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"syncer/fetch"
	"syncer/finance"
)

// Settings are the connection's own settings.
type Settings struct {
	// APIVersion is the generation of the API, 2 or 1.
	APIVersion int `yaml:"api_version" doc:"generation of the API: 2 or 1"`
	// CustomerHeader says whether the customer's national identity number is sent in the header customerId: auto,
	// which sends it where the consent has it, or never.
	CustomerHeader string `yaml:"customer_header" doc:"send the header customerId: auto (where the number is known) or never"`
	// IncludeShared keeps accounts that the customer may use but another person owns.
	IncludeShared bool `yaml:"include_shared" doc:"keep accounts that belong to another person"`
	// PageLength is the number of transactions asked for at a time.
	PageLength int `yaml:"page_length" doc:"transactions asked for at a time, 2 to 1000"`
}

const (
	defaultAPI  = "https://publicapi.sbanken.no/apibeta"
	defaultAuth = "https://auth.sbanken.no"
	// perSecond stays below the 30 calls a minute that the bank allowed each client.
	perSecond = 25.0 / 60
)

// Provider is the entry for the program's list of providers.
func Provider() fetch.Provider {
	return fetch.Provider{
		Name:     "sbanken",
		Title:    "Sbanken",
		Datasets: []finance.Dataset{finance.Accounts, finance.Transactions},
		// a client of many customers names one in the header customerId
		SubjectInCalls: true,
		Settings:       func() any { return &Settings{APIVersion: 2, CustomerHeader: "auto", PageLength: 1000} },
		Zone:           fetch.InZone("Europe/Oslo"),
		Open:           open,
	}
}

func open(c fetch.Connection) (fetch.Driver, error) {
	settings, ok := c.Settings.(*Settings)
	if !ok {
		return fetch.Driver{}, fmt.Errorf("connection %s: settings of another provider", c.Name)
	}
	if err := settings.check(); err != nil {
		return fetch.Driver{}, fmt.Errorf("connection %s: settings: %w", c.Name, err)
	}
	if c.Environment != "" && c.Environment != "prod" {
		return fetch.Driver{}, fmt.Errorf("connection %s: environment %q is not known: the bank has only prod", c.Name, c.Environment)
	}
	id := c.Credentials["client_id"]
	secret := c.Credentials["client_secret"]
	if id.IsZero() || secret.IsZero() {
		return fetch.Driver{}, fmt.Errorf("connection %s: credentials: client_id and client_secret are needed", c.Name)
	}
	base, err := settings.base(c.BaseURL)
	if err != nil {
		return fetch.Driver{}, fmt.Errorf("connection %s: base_url is not a URL", c.Name)
	}
	auth := defaultAuth
	if c.AuthURL != "" {
		auth = strings.TrimSuffix(c.AuthURL, "/")
	}
	token := fetch.TokenRequest{
		URL: auth + "/identityserver/connect/token", Style: fetch.BasicEscaped, ID: id.Reveal(), Secret: secret,
	}
	return fetch.Driver{
		Base:     base,
		Rate:     perSecond,
		Token:    func(fetch.TokenKey) (fetch.TokenRequest, error) { return token, nil },
		Classify: classify,
		Connect: func(client *fetch.Client) fetch.Connector {
			return &connector{client: client, settings: *settings}
		},
	}, nil
}

func (s *Settings) check() error {
	switch {
	case !slices.Contains([]int{1, 2}, s.APIVersion):
		return fmt.Errorf("api_version %d is not known: write 2 or 1", s.APIVersion)
	case !slices.Contains([]string{"auto", "never"}, s.CustomerHeader):
		return fmt.Errorf("customer_header %q is not known: write auto or never", s.CustomerHeader)
	case s.PageLength < 2, s.PageLength > 1000: // a page repeats the last row of the one before
		return fmt.Errorf("page_length %d: want 2 to 1000", s.PageLength)
	}
	return nil
}

// base is the address of the generation. An address without a path, such as that of a simulator, gets the bank's.
func (s *Settings) base(address string) (*url.URL, error) {
	if address == "" {
		address = defaultAPI
	}
	u, err := url.Parse(strings.TrimSuffix(address, "/"))
	if err != nil {
		return nil, err
	}
	if u.Path == "" {
		u.Path = "/apibeta"
	}
	return u.JoinPath("api", fmt.Sprintf("v%d", s.APIVersion)), nil
}
