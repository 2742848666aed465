// Package cambio reads what patients owe from Cambio Open Services (COS), the gateway to the health records of Cambio
// COSMIC: FHIR invoices that are issued and not paid, and the fees of visits.
//
// An Azure API Management stands in front, so a call carries a subscription key beside its token, and an answer may
// come from any of three layers, each with its own shape of errors. What the package relies on is published at
// developer.openservices.cambio.se and fhir.openservices.cambio.se.
//
// Behind the gateway lie health records. Of them this package keeps what a debt is made of, and nothing else.
package cambio

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
	// Grant is how tokens are had: client_credentials for the whole connection, or authorization_code for each consent.
	Grant string `yaml:"grant" doc:"client_credentials, or authorization_code where each patient logs in"`
	// Scope is what tokens are asked for, space separated.
	Scope string `yaml:"scope" doc:"scopes, space separated; older subscriptions spell them user/Patient-read"`
	// TokenURL overrides the token endpoint.
	TokenURL string `yaml:"token_url" doc:"token endpoint; empty: that of the issuer"`
	// RedirectURI is the registered redirect URI, for authorization_code.
	RedirectURI string `yaml:"redirect_uri" doc:"registered redirect URI, for authorization_code"`
	// SubjectClaim is the ID token's claim with the personnummer of the person who has logged in.
	SubjectClaim string `yaml:"subject_claim" doc:"claim of the ID token with the personnummer; empty: none is known"`
	// Search is how FHIR searches are sent.
	Search string `yaml:"search" doc:"post keeps the personnummer out of URLs; get where the server has no _search"`
	// PatientSystem is the system of the identifier that a personnummer is.
	PatientSystem string `yaml:"patient_system" doc:"system of the FHIR identifier that a personnummer is"`
	// VisitFees also reads the fees of care contacts.
	VisitFees bool `yaml:"visit_fees" doc:"also keep the patient fees of care contacts"`
	// FHIRPath and RESTPath are where the two APIs lie below the base.
	FHIRPath string `yaml:"fhir_path" doc:"path of the FHIR API below base_url"`
	RESTPath string `yaml:"rest_path" doc:"path of the REST API below base_url"`
}

const (
	defaultAPI    = "https://api.openservices.cambio.se"
	defaultIssuer = "https://api.openservices.cambio.se/auth/realms/COS"
	// perSecond is prudent: the limits are not published.
	perSecond = 5

	calendar = "Europe/Stockholm"

	byClient = "client_credentials"
	byCode   = "authorization_code"
)

// Provider is the entry for the program's list of providers.
func Provider() fetch.Provider {
	return fetch.Provider{
		Name:     "cambio",
		Title:    "Cambio Open Services",
		Datasets: []finance.Dataset{finance.Debts},
		// the search for a patient and the header patient carry the personnummer
		SubjectInCalls: true,
		Settings: func() any {
			return &Settings{
				Grant: byClient, Scope: "user/Patient.read user/Invoice.read user/Contact.read", Search: "post",
				PatientSystem: "urn:oid:1.2.752.129.2.1.3.1", VisitFees: true, FHIRPath: "fhir", RESTPath: "api/open",
			}
		},
		Zone: fetch.InZone(calendar),
		Open: open,
	}
}

func (s *Settings) check() error {
	switch {
	case s.Grant != byClient && s.Grant != byCode:
		return fmt.Errorf("grant %q is not known: write %s or %s", s.Grant, byClient, byCode)
	case s.Search != "post" && s.Search != "get":
		return fmt.Errorf("search %q is not known: write post or get", s.Search)
	case strings.TrimSpace(s.Scope) == "":
		return fmt.Errorf("scope is empty")
	case s.Grant == byCode && s.RedirectURI == "":
		return fmt.Errorf("%s needs the registered redirect_uri", byCode)
	case strings.Trim(s.FHIRPath, "/") == "", strings.Trim(s.RESTPath, "/") == "":
		return fmt.Errorf("fhir_path and rest_path can't be empty")
	case strings.TrimSpace(s.PatientSystem) == "":
		return fmt.Errorf("patient_system is empty")
	}
	return nil
}

func open(c fetch.Connection) (fetch.Driver, error) {
	given, ok := c.Settings.(*Settings)
	if !ok {
		return fetch.Driver{}, fmt.Errorf("connection %s: settings of another provider", c.Name)
	}
	settings := *given
	settings.FHIRPath, settings.RESTPath = strings.Trim(settings.FHIRPath, "/"), strings.Trim(settings.RESTPath, "/")
	if err := settings.check(); err != nil {
		return fetch.Driver{}, fmt.Errorf("connection %s: settings: %w", c.Name, err)
	}
	if !slices.Contains([]string{"", "sandbox", "prod"}, c.Environment) { // one address: the subscription tells them apart
		return fetch.Driver{}, fmt.Errorf("connection %s: environment %q is not known: write sandbox or prod", c.Name, c.Environment)
	}
	for _, name := range []string{"client_id", "client_secret", "subscription_key"} {
		if c.Credentials[name].IsZero() {
			return fetch.Driver{}, fmt.Errorf("connection %s: credentials: client_id, client_secret and subscription_key are needed", c.Name)
		}
	}
	base, err := url.Parse(strings.TrimSuffix(orElse(c.BaseURL, defaultAPI), "/"))
	if err != nil {
		return fetch.Driver{}, fmt.Errorf("connection %s: base_url is not a URL", c.Name)
	}
	d := fetch.Driver{
		Base: base, Rate: perSecond, Header: map[string]fetch.Secret{"Ocp-Apim-Subscription-Key": c.Credentials["subscription_key"]},
		Classify: classifier{ownGrants: settings.Grant == byCode}.classify,
		Connect: func(client *fetch.Client) fetch.Connector {
			return &connector{client: client, name: c.Name, settings: settings, zone: swedishTime()}
		},
	}
	settings.authorize(&d, c)
	return d, nil
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// swedishTime is the zone of moments that are written without one. A machine without time zones takes them for UTC,
// which moves when a record was reported by an hour or two and nothing else.
func swedishTime() *time.Location {
	zone, err := fetch.LoadZone(calendar)
	if err != nil {
		return time.UTC
	}
	return zone
}
