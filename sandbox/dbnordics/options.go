// Package dbnordics simulates Dun & Bradstreet Nordics (formerly Bisnode): both
// token endpoints, company credit data v2 for Sweden and Norway with its search,
// decisions v3, and the person search of Consumer Intelligence v2. It is written
// from the vendor's published documents (github.com/Bisnode/api-stuff) and from
// what public clients have seen; what those leave open is an option, and says so.
package dbnordics

import (
	"time"

	"syncer/sandbox"
)

// Paths of the token endpoints and of the APIs.
const (
	SandboxToken    = "/sandbox/v1/token.oauth2"
	ProductionToken = "/as/token.oauth2"
	CreditData      = "/credit-data-companies/v2"
	Decisions       = "/decision/v3"
	Persons         = "/consumerintelligence/person/v2"
)

// Options describes the vendor. The zero value, plus a Kit, is a small world
// with one client in each environment.
type Options struct {
	Kit  *sandbox.Kit
	Seed uint64 // 0: the kit's

	// SandboxClients and ProductionClients may ask for tokens at the one token
	// endpoint and not at the other; none means DefaultClient and
	// ProductionClient. A client without scopes may have every one.
	SandboxClients    []sandbox.Client
	ProductionClients []sandbox.Client
	// Production makes the API the one of production: it takes the tokens of the
	// production endpoint only. Decisions take those in any case.
	Production bool
	// TokenTTL is the lifetime of a token; 0 means 3600 s. Older documents have
	// 7199 s.
	TokenTTL time.Duration
	// TokenExpiresIn replaces the JSON of expires_in in every token answer.
	TokenExpiresIn string
	// LowerTokenType writes token_type as "bearer": the documents show both.
	LowerTokenType bool
	// NoTokenScope leaves scope out of token answers, as older ones do.
	NoTokenScope bool

	// Companies is the size of the seeded world, 100 when 0, at most 1,000,000.
	Companies int
	// Start is the instant that the world begins at; zero means the clock's
	// present at New. The week of a debt balance follows the clock.
	Start time.Time
	// Norwegian is the share of companies in Norway; 0 means a half, negative
	// none.
	Norwegian float64
	// SoleTraders is the share of the Swedish ones whose registration number is a
	// personal identity number.
	SoleTraders float64
	// Clean is the share of companies without remarks and debts.
	Clean float64
	// Capped is the share of Swedish companies with longer lists than are shown.
	Capped float64
	// ListCap is the longest list shown; 0 means 10. The cap is not published.
	ListCap int
	// Unknown is the share of companies that answer 404.
	Unknown float64
	// Withheld is the share that answers 451: they exist, but may not be told of.
	Withheld float64
	// Incomplete is the share whose answer is a 207 without petitions or
	// registrations. The vendor documents 207 only for portfolios.
	Incomplete float64

	// OmitEmpty leaves out sections without content, where the default is a
	// section with a count of 0.
	OmitEmpty bool
	// EmptyAmounts writes amounts that are not known as "", which the vendor's
	// pattern allows, where the default leaves them out.
	EmptyAmounts bool
	// FlatSweden writes registrationNumber, name and dunsNumber of Swedish
	// companies at the top level, as one client has it.
	FlatSweden bool
	// CorrelationInReports puts a correlationId into credit data too, where only
	// decisions are known to have one.
	CorrelationInReports bool
	// Envelope is the form of errors: "" is the vendor's guideline; "detail",
	// "errors" and "generic" are others that a client has seen.
	Envelope string
	// MissIsEmpty200 answers a person search without a hit by an empty 200
	// instead of a 204; a client shows only that the body is empty.
	MissIsEmpty200 bool

	// Quota limits each client. The vendor publishes none, so the zero value
	// allows all.
	Quota sandbox.Quota
}

// DefaultClient is the client of a sandbox that names none.
func DefaultClient() sandbox.Client {
	return sandbox.Client{ID: "sandbox-client", Secret: "sim+secret/%7E=one"}
}

// ProductionClient is the production client of a world that names none.
func ProductionClient() sandbox.Client {
	return sandbox.Client{ID: "production-client", Secret: "sim+secret/%7E=two"}
}

func (o Options) withDefaults() Options {
	if o.Seed == 0 {
		o.Seed = o.Kit.Seed
	}
	if o.SandboxClients == nil {
		o.SandboxClients = []sandbox.Client{DefaultClient()}
	}
	if o.ProductionClients == nil {
		o.ProductionClients = []sandbox.Client{ProductionClient()}
	}
	if o.TokenTTL == 0 {
		o.TokenTTL = time.Hour
	}
	if o.Companies == 0 {
		o.Companies = 100
	}
	o.Companies = min(o.Companies, numbers)
	if o.Norwegian == 0 {
		o.Norwegian = 0.5
	}
	if o.ListCap == 0 {
		o.ListCap = 10
	}
	if o.Start.IsZero() {
		o.Start = o.Kit.Clock.Now()
	}
	o.Start = o.Start.UTC().Truncate(time.Second)
	return o
}

// Fates of companies.
const (
	Known    = ""
	Unknown  = "unknown"  // 404
	Withheld = "withheld" // 451
)

// CompanyInfo is what a customer of the vendor knows of a company.
type CompanyInfo struct {
	Index              int
	Country            string // SE or NO
	RegistrationNumber string // of a sole trader: a synthetic personal identity number
	SoleTrader         bool
	Name               string
	DUNS               string
	Fate               string
	// Subject names the company in the journal, in fault rules and in controls:
	// country and number, or SE-sole- and the index.
	Subject string
}
