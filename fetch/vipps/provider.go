// Package vipps reads ledgers and their entries from Vipps MobilePay's Report API v2 (api.vipps.no), the bank-like
// record of what a merchant's sales unit has earned, paid in fees and been paid out.
//
// A consent is one recipient whom a merchant's money is settled for: a sales unit, named by its merchant serial number
// (MSN), or a VM-number. Its ledgers are the accounts. Each ledger has two topics, funds and fees, each with a running
// balance of its own; both are read as the ledger's one stream of transactions. What the package relies on is published
// at developer.vippsmobilepay.com and in the API's public clients.
//
// Files of its own: chain.go follows the running balances from entry to entry, and numbers entries that are alike; doubt.go
// reads again where the chain broke.
package vipps

import (
	"cmp"
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
	// TokenFlow is how a token is asked for: specialized, with the keys of an accounting partner, or standard, with
	// those of a sales unit.
	TokenFlow string `yaml:"token_flow" doc:"specialized (accounting partner) or standard (keys of one sales unit)"`
	// TokenPath replaces the flow's path at the token endpoint, which the vendor has announced to rename.
	TokenPath string `yaml:"token_path" doc:"path of the token endpoint, if the vendor has moved it"`
	// ReadBy is how entries are read: by the feed, which is the quickest, or by closed dates.
	ReadBy string `yaml:"read_by" doc:"feed (as entries happen) or dates (closed accounting days only)"`
	// IncludeGDPR asks for and keeps payers' names, masked phone numbers and messages.
	IncludeGDPR bool `yaml:"include_gdpr" doc:"ask for and keep names, masked phone numbers and messages of payers"`
	// MerchantSerialNumber goes with calls that are made for no consent, on the standard flow.
	MerchantSerialNumber string `yaml:"merchant_serial_number" doc:"the MSN that the keys of the standard flow belong to"`
	// TimeZone is where a ledger's days begin and end.
	TimeZone string `yaml:"time_zone" doc:"calendar of the sales units, such as Europe/Oslo, Europe/Copenhagen or Europe/Helsinki"`

	SystemName    string `yaml:"system_name" doc:"Vipps-System-Name, 30 characters at most"`
	SystemVersion string `yaml:"system_version" doc:"Vipps-System-Version, 30 characters at most"`
	PluginName    string `yaml:"plugin_name" doc:"Vipps-System-Plugin-Name, 30 characters at most"`
	PluginVersion string `yaml:"plugin_version" doc:"Vipps-System-Plugin-Version, 30 characters at most"`
}

const (
	standard    = "standard"
	specialized = "specialized"

	byFeed  = "feed"
	byDates = "dates"

	// perSecond is prudent: the vendor publishes no figure for the Report API and asks for no more than is needed.
	perSecond = 2
)

var environments = map[string]string{"": "https://api.vipps.no", "prod": "https://api.vipps.no", "test": "https://apitest.vipps.no"}

// Provider is the entry for the program's list of providers.
func Provider() fetch.Provider {
	return fetch.Provider{
		Name:     "vipps",
		Title:    "Vipps MobilePay",
		Datasets: []finance.Dataset{finance.Accounts, finance.Transactions},
		Settings: func() any {
			return &Settings{TokenFlow: specialized, ReadBy: byFeed, TimeZone: "Europe/Oslo", SystemName: "syncer"}
		},
		Zone: func(c fetch.Connection) (*time.Location, error) {
			settings, ok := c.Settings.(*Settings)
			if !ok {
				return nil, fmt.Errorf("settings are of type %T, not those of vipps", c.Settings)
			}
			return settings.zone()
		},
		Open: open,
	}
}

func open(c fetch.Connection) (fetch.Driver, error) {
	settings, ok := c.Settings.(*Settings)
	if !ok {
		return fetch.Driver{}, fmt.Errorf("connection %s: settings are of type %T, not those of vipps", c.Name, c.Settings)
	}
	if err := settings.check(); err != nil {
		return fetch.Driver{}, fmt.Errorf("connection %s: settings: %w", c.Name, err)
	}
	address, ok := environments[c.Environment]
	if !ok {
		return fetch.Driver{}, fmt.Errorf("connection %s: environment %q is not known: write prod or test", c.Name, c.Environment)
	}
	if c.BaseURL != "" {
		address = c.BaseURL
	}
	base, err := url.Parse(strings.TrimSuffix(address, "/"))
	if err != nil {
		return fetch.Driver{}, fmt.Errorf("connection %s: base_url is not a URL", c.Name)
	}
	if c.AuthURL != "" {
		address = c.AuthURL
	}
	token, err := settings.token(address, c.Credentials)
	if err != nil {
		return fetch.Driver{}, fmt.Errorf("connection %s: credentials: %w", c.Name, err)
	}
	header := map[string]fetch.Secret{}
	if settings.TokenFlow == standard {
		header[subscriptionHeader] = c.Credentials["subscription_key"]
	}
	return fetch.Driver{
		Base:     base,
		Header:   header,
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
	case !slices.Contains([]string{standard, specialized}, s.TokenFlow):
		return fmt.Errorf("token_flow %q is not known: write %s or %s", s.TokenFlow, specialized, standard)
	case !slices.Contains([]string{byFeed, byDates}, s.ReadBy):
		return fmt.Errorf("read_by %q is not known: write %s or %s", s.ReadBy, byFeed, byDates)
	case s.MerchantSerialNumber != "" && !isNumber(s.MerchantSerialNumber):
		return fmt.Errorf("merchant_serial_number %q is not a number", s.MerchantSerialNumber)
	}
	if _, err := s.zone(); err != nil {
		return err
	}
	for name, value := range s.system() {
		if len(value) > 30 || strings.ContainsFunc(value, notPlain) {
			return fmt.Errorf("%s: want at most 30 plain characters", name)
		}
	}
	return nil
}

// notPlain says that a character can't stand in a header.
func notPlain(r rune) bool { return r < ' ' || r > '~' }

func (s *Settings) zone() (*time.Location, error) {
	zone, err := fetch.LoadZone(s.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("time_zone: %w", err)
	}
	return zone, nil
}

// system are the headers that say which program asks.
func (s *Settings) system() map[string]string {
	return map[string]string{
		"Vipps-System-Name": s.SystemName, "Vipps-System-Version": s.SystemVersion,
		"Vipps-System-Plugin-Name": s.PluginName, "Vipps-System-Plugin-Version": s.PluginVersion,
	}
}

// token is how a token is asked for. The specialised flow takes id and secret raw, not form-urlencoded, and refuses a
// stray subscription key; the standard flow has everything in headers and no body at all.
func (s *Settings) token(address string, keys map[string]fetch.Secret) (fetch.TokenRequest, error) {
	id := keys["client_id"]
	secret := keys["client_secret"]
	key := keys["subscription_key"]
	if id.IsZero() || secret.IsZero() {
		return fetch.TokenRequest{}, fmt.Errorf("client_id and client_secret are needed")
	}
	path := "accesstoken/get"
	switch s.TokenFlow {
	case specialized:
		path = "miami/v1/token"
		if !key.IsZero() {
			return fetch.TokenRequest{}, fmt.Errorf("the specialized flow refuses a subscription_key: take it out, or set token_flow to standard")
		}
	case standard:
		if key.IsZero() {
			return fetch.TokenRequest{}, fmt.Errorf("the standard flow needs a subscription_key")
		}
	}
	path = cmp.Or(s.TokenPath, path)
	r := fetch.TokenRequest{
		URL:    strings.TrimSuffix(address, "/") + "/" + strings.TrimPrefix(path, "/"),
		Header: map[string]fetch.Secret{},
	}
	for name, value := range s.system() {
		if value != "" {
			r.Header[name] = fetch.NewSecret(value)
		}
	}
	if s.TokenFlow == specialized {
		r.Style, r.ID, r.Secret = fetch.BasicRaw, id.Reveal(), secret
		return r, nil
	}
	r.Style = fetch.InHeaders
	r.Header["client_id"], r.Header["client_secret"], r.Header[subscriptionHeader] = id, secret, key
	if s.MerchantSerialNumber != "" {
		r.Header[msnHeader] = fetch.NewSecret(s.MerchantSerialNumber)
	}
	return r, nil
}
