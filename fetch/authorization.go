package fetch

import (
	"context"
	"encoding/json"
	"net/url"
	"time"

	"syncer/calls"
)

// Authorization is how a person is asked for a consent in the browser: the authorization code flow of OAuth2 (RFC 6749
// section 4.1), always with PKCE and S256 (RFC 7636) and a state of its own.
type Authorization struct {
	// Issuer is whose metadata (OpenID Connect Discovery 1.0, RFC 8414) name the endpoints that are left empty here. Where
	// the callback or an ID token names an issuer, it must be this one (RFC 9207). Empty: nothing is discovered or compared.
	Issuer string
	URL    string // the authorization endpoint; empty: as discovered
	// Token is how a code, and later a refresh token, is exchanged; its URL may be empty: as discovered. Its Scopes are
	// those that are asked for in the browser.
	Token TokenRequest
	// Redirect is the registered redirect URI. It is sent as it stands here, since providers compare it character by
	// character. On loopback a listener of ours receives the callback there.
	Redirect string
	Params   url.Values        // what the authorization request carries beside the standard's parameters
	Words    map[string]string // the provider's own error names, in words for a person
}

// Granter is a Connector whose provider has people give consents in the browser.
type Granter interface {
	// Granted says what a person's grant is a consent to. It may make calls with the token of TokenKey{Consent: 0} only;
	// the grant's own token travels in g. Its error, an *Error or not, ends the flow; nothing is stored. A subject that it
	// gives and that is not the one the operator named ends it too.
	Granted(ctx context.Context, g Grant) (Given, error)
}

// Grant is what the exchange of a code has brought.
type Grant struct {
	Token       calls.Token
	Refreshable bool // a refresh token came with it, so the consent can be read with TokenKey.Consent
	Scopes      []string
	// Claims are those of the ID token, whose issuer, audience, nonce and end have been checked; nil: none came. It came
	// from the token endpoint itself, over TLS, so its signature need not be (OpenID Connect Core 1.0 section 3.1.3.7).
	Claims map[string]json.RawMessage
	// Subject is the national identity number that the operator named; may be zero.
	Subject Secret
}

// Given is the consent that a person has given, as it is stored.
type Given struct {
	ExternalID  string // the provider's id of it; never a national identity number
	NationalID  Secret // whose it is; zero: not known
	Scopes      []string
	ValidUntil  time.Time // zero: open-ended
	SingleUse   bool
	ReadsPerDay int // 0: unlimited
}

// GrantStore keeps what people have granted: the refresh token of a consent, sealed by the implementation. A refresh
// token that rotates must be saved before its successor's access token is used: lost, the consent is lost.
type GrantStore interface {
	// HasGrant says whether there is a refresh token of a consent, whoever holds it.
	HasGrant(ctx context.Context, consent int64) (bool, error)
	// LoadGrant gives the refresh token of a consent, if it was given to this holder: a client at an authorization server.
	// One that was kept without a holder becomes this one's, with all others of the connection that were.
	LoadGrant(ctx context.Context, consent int64, holder string) (calls.KeptGrant, error)
	// SaveGrant replaces the refresh token of a consent, if the stored one is still old. saved false: it is not, and
	// somebody else has rotated it. Saving again what is stored is saved true, so that a save whose answer was lost may
	// be repeated.
	SaveGrant(ctx context.Context, consent int64, old, next Secret) (saved bool, err error)
	// EndGrant makes LoadGrant give the refresh token no more, because the provider has refused it (invalid_grant), if
	// the stored one is still this one. ended false: it is not.
	EndGrant(ctx context.Context, consent int64, refused Secret) (ended bool, err error)
}
