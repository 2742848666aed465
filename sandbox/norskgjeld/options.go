// Package norskgjeld simulates Norsk Gjeldsinformasjon, the Norwegian registry
// of unsecured debt: the token endpoint with its three audiences, debt lookup,
// consent status and revocation, registration of consents, and the consent
// event feed. It is written from the registry's published documents
// (github.com/norsk-gjeldsinformasjon/api-docs); what those leave open is an
// option, and says so.
package norskgjeld

import (
	"time"

	"syncer/sandbox"
)

// The two scopes of a consent.
const (
	Presentation = "debt.unsecured.presentation" // at most 365 days
	Processing   = "debt.unsecured.processing"   // at most 28 days
)

// Options describes a registry. The zero value, plus a Kit, is a small world
// with one client.
type Options struct {
	Kit  *sandbox.Kit
	Seed uint64 // 0: the kit's

	// Clients may ask for tokens; none means DefaultClient. A client without
	// audiences may have all three, one without scopes every scope.
	Clients []sandbox.Client
	// TokenTTL is the lifetime of a token; 0 means the registry's 3599 s.
	TokenTTL time.Duration
	// TokenExpiresIn replaces the JSON of expires_in in every token answer.
	TokenExpiresIn string
	// AudienceBase is the origin that audiences begin with; empty means the
	// preprod API. The origin the simulator is reached at is accepted as well,
	// any other answers 400.
	AudienceBase string

	// Consents is the size of the seeded world, 100 when 0. A world of a million
	// costs nothing until it is asked. All belong to the first client.
	Consents int
	// Start is the instant the world begins at: consents were given before it,
	// loans carry its day. Zero means the clock's present at New.
	Start time.Time
	// Lifetime is how long seeded consents of more than one use still last, each
	// a seeded part of it but at least a day; 0 means 28 days.
	Lifetime time.Duration
	// SingleUse is the share of consents that one answer spends.
	SingleUse float64
	// SingleUseWindow is how long after Start a single-use consent is good. The
	// real one gives 10 minutes, too short to seed a batch; 0 means 24 hours.
	SingleUseWindow time.Duration
	// Expired is the share of consents whose time ran out before Start.
	Expired float64
	// DebtFree is the share of people without any loan.
	DebtFree float64
	// Missing is the share of people one of whose creditors doesn't answer: its
	// loan is null and numberOfcreditorsMissing counts it.
	Missing float64
	// MaxLoans is the largest number of loans a person has; 0 means 8.
	MaxLoans int

	// Quota limits each client; the registry publishes none, so the zero value
	// allows all.
	Quota sandbox.Quota
	// UpperCaseTokenError writes "Invalid access token" where the default is
	// "invalid access token": the documents show both.
	UpperCaseTokenError bool
	// UnauthorizedTokens answers 401 for a bad token on the debt API. The
	// documents know only 403.
	UnauthorizedTokens bool
	// StatusAsText writes the status's active as a string and expires_at as ISO
	// text, as a left-over schema of the registry has it.
	StatusAsText bool
	// NoIDToken gives no ID token for a code, even when openid was asked for:
	// the documents say both.
	NoIDToken bool
	// ArchiveSpent puts an event into the feed when a single-use consent is
	// spent. The documents name only revocation and expiry.
	ArchiveSpent bool
	// ArchivedExternalID makes the nested consentId of an archived event the
	// client's own reference, as in the documents' sample.
	ArchivedExternalID bool
	// FeedEndIsLast makes endSequenceNr the last event available rather than
	// the last of the answer: the documents say both.
	FeedEndIsLast bool
	// FeedLimit is the largest page of the feed; 0 means 500, what the official
	// sample asks for. A larger limit is lowered to it.
	FeedLimit int
	// FeedRetention is how long events are kept; 0 means 7 days.
	FeedRetention time.Duration
}

// DefaultClient is the client of a world that names none.
func DefaultClient() sandbox.Client {
	return sandbox.Client{ID: "c0ffee00-0000-4000-8000-000000000001", Secret: "sandbox-secret", Redirects: []string{Callback}}
}

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&o.TokenTTL, 3599*time.Second)
	def(&o.Lifetime, 28*24*time.Hour)
	def(&o.SingleUseWindow, 24*time.Hour)
	def(&o.FeedRetention, 7*24*time.Hour)
	if o.Seed == 0 {
		o.Seed = o.Kit.Seed
	}
	if len(o.Clients) == 0 {
		o.Clients = []sandbox.Client{DefaultClient()}
	}
	if o.AudienceBase == "" {
		o.AudienceBase = "https://api-preprod.norskgjeld.no"
	}
	if o.Consents == 0 {
		o.Consents = 100
	}
	if o.Start.IsZero() {
		o.Start = o.Kit.Clock.Now()
	}
	o.Start = o.Start.UTC().Truncate(time.Second)
	if o.MaxLoans == 0 {
		o.MaxLoans = 8
	}
	if o.FeedLimit == 0 {
		o.FeedLimit = 500
	}
	return o
}

// ConsentInfo is what the holder of a consent knows about it.
type ConsentInfo struct {
	ID         string // UUID
	NationalID string // synthetic
	Scope      string // Presentation or Processing, without a day suffix
	GivenAt    time.Time
	ValidUntil time.Time
	SingleUse  bool
	ClientID   string
	ClientRef  string // the client's own reference (client_consent_id)
}
