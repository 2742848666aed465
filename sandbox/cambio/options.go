// Package cambio simulates Cambio Open Services, the gateway to the health
// records of Cambio COSMIC: an Azure API Management in front (subscription key,
// token, scope, quota), a Keycloak realm that gives the tokens, the COSMIC REST
// services and a FHIR R4 server. Each layer has its own shape of errors. It is
// written from the vendor's published pages and interface descriptions; what
// those leave open is an option, and says so.
package cambio

import (
	"time"

	"syncer/sandbox"
)

// Subscription is one product subscription at the gateway.
type Subscription struct {
	Name string // what the journal's bucket is called after
	Key  string // Ocp-Apim-Subscription-Key
}

// Options describes a gateway. The zero value, plus a Kit, is a small region
// with one subscription and one client.
type Options struct {
	Kit  *sandbox.Kit
	Seed uint64 // 0: the kit's

	// Clients may ask for tokens; none means DefaultClient. A client without
	// scopes may have every scope.
	Clients []sandbox.Client
	// Subscriptions may call the API; none means DefaultSubscription.
	Subscriptions []Subscription
	// TokenTTL is the lifetime of an access token; 0 means Keycloak's 300 s.
	// Neither it nor RefreshTTL is published.
	TokenTTL time.Duration
	// RefreshTTL is the lifetime of a refresh token; 0 means the 30 days that
	// Keycloak gives with offline_access. Without it they are 1800 s.
	RefreshTTL time.Duration
	// NumberClaim is the claim of ID tokens that has the personnummer; empty:
	// there is none. No page names one.
	NumberClaim string
	// NoIssuer leaves iss out of redirects, as Keycloaks before version 20 do.
	NoIssuer bool
	// OldRefusal names a client that isn't known invalid_client, as older
	// Keycloaks do, rather than unauthorized_client.
	OldRefusal bool
	// Realm is the path of the realm; empty means /auth/realms/COS, which is in
	// the discovery document. The Postman guide has /realms/COS on another host.
	Realm string

	// Patients is the size of the seeded world, 50 when 0. A world of a million
	// costs nothing until it is asked.
	Patients int
	// Start is the instant the world begins at; zero means the clock's present
	// at New.
	Start time.Time
	// MaxInvoices is the largest number of invoices of a patient, in any state;
	// 0 means 6, a negative number none. MaxContacts is that of care contacts;
	// 0 means 8, a negative number none.
	MaxInvoices, MaxContacts int

	// Quota limits each subscription. The limits are not published, so the zero
	// value allows all. A Fixed period blocks hard until it ends.
	Quota sandbox.Quota
	// OnlySentence leaves Retry-After out of a 429, as the current portal's
	// description does: the seconds stand in the message only.
	OnlySentence bool

	// PageSize is the length of a FHIR result page; 0 means 20.
	PageSize int
	// PageTTL is how long the pages of a search can be read; 0 means 5 minutes.
	PageTTL time.Duration
	// ExpiredStatus is how a page that is gone is answered: 410 when 0. The
	// guide tells only that pages expire.
	ExpiredStatus int
	// ReuseSearches answers the same search with the same pages while they last, as
	// some FHIR servers do.
	ReuseSearches bool
	// LivePages makes the pages of a search show what there is when they are asked
	// for, so that the list moves under whoever pages through it. Other servers keep
	// what was found. FHIR leaves it to them.
	LivePages bool
	// InjectSID puts _sid into GET searches, as the gateway has been seen to do,
	// which breaks them; POST _search works.
	InjectSID bool
	// MoneyAsText writes the amounts of invoices as strings.
	MoneyAsText bool
	// NoTotal leaves Bundle.total out, which FHIR allows.
	NoTotal bool
	// FreshTimeCreated makes timeCreated of REST answers the present rather than
	// the day of the record: the description says neither.
	FreshTimeCreated bool
	// V1Prefix is where version 1 of journal notes is served; empty: nowhere.
	// Where the version travels at the real gateway is not visible.
	V1Prefix string
}

// DefaultClient is the client of a world that names none. Its secret has
// characters that Basic wants escaped.
func DefaultClient() sandbox.Client {
	return sandbox.Client{ID: "sim-integration", Secret: "sandbox/secret+of=cos", Redirects: []string{"http://127.0.0.1:8765/callback"}}
}

// DefaultSubscription is the subscription of a world that names none.
func DefaultSubscription() Subscription {
	return Subscription{Name: "care-provider", Key: "5bd0c3f2a1e94d6f8a7b6c5d4e3f2a1b"}
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (o Options) withDefaults() Options {
	orDefault(&o.Seed, o.Kit.Seed)
	orDefault(&o.TokenTTL, 300*time.Second)
	orDefault(&o.RefreshTTL, 30*24*time.Hour)
	orDefault(&o.Realm, "/auth/realms/COS")
	orDefault(&o.Patients, 50)
	orDefault(&o.MaxInvoices, 6)
	orDefault(&o.MaxContacts, 8)
	orDefault(&o.PageSize, 20)
	orDefault(&o.PageTTL, 5*time.Minute)
	orDefault(&o.ExpiredStatus, 410)
	orDefault(&o.Start, o.Kit.Clock.Now())
	if len(o.Clients) == 0 {
		o.Clients = []sandbox.Client{DefaultClient()}
	}
	if len(o.Subscriptions) == 0 {
		o.Subscriptions = []Subscription{DefaultSubscription()}
	}
	return o
}

// PatientInfo is what the holder of a consent knows about a patient, and the
// region's own ids.
type PatientInfo struct {
	Personnummer string // twelve digits, synthetic
	ID           string // of the FHIR resource
	InternalID   string // of the REST services
	Family       string
	Given        string
	Open         int // invoices that are issued and not paid
}
