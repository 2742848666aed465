package finance

import (
	"crypto/hmac"
	"fmt"
	"time"
)

// ConsentStatus is where a consent stands. Only an active consent may be called for.
type ConsentStatus string

// The states of a consent. ConsumedUnknown is that of a single-use consent whose one call was sent and never
// answered: whether it was spent is the provider's secret, so it is not sent again.
const (
	ConsentActive          ConsentStatus = "active"
	ConsentRevoked         ConsentStatus = "revoked"
	ConsentExpired         ConsentStatus = "expired"
	ConsentConsumed        ConsentStatus = "consumed"
	ConsentConsumedUnknown ConsentStatus = "consumed_unknown"
	ConsentReauthRequired  ConsentStatus = "reauth_required"
)

// Consent is the right to pull one subject's data over one connection.
type Consent struct {
	ID          int64  // ours; what logs, calls and records name
	Connection  string // the configured connection it belongs to
	ExternalID  string // the provider's id of it; never a national identity number
	Subject     Subject
	Status      ConsentStatus
	Scopes      []string
	Purpose     string
	ValidFrom   time.Time
	ValidUntil  time.Time // zero: open-ended
	SingleUse   bool
	ReadsPerDay int // 0: unlimited; PSD2 knows four unattended reads in 24 hours
}

// Subject is the person or company behind a consent. The plain national identity number is shown only by Reveal and
// by no formatting verb.
type Subject struct {
	hmac  []byte
	plain string
	keyed func(string) []byte
}

// NewSubject makes a Subject from its keyed HMAC, its plain number where a provider demands it (or empty), and the
// function that computes the HMAC of a number, so that an answer's subject can be checked against the consent's.
func NewSubject(mac []byte, plain string, keyed func(string) []byte) Subject {
	return Subject{hmac: mac, plain: plain, keyed: keyed}
}

// Known says whether the consent names its subject at all; without that no answer can be checked against it.
func (s Subject) Known() bool { return len(s.hmac) > 0 && s.keyed != nil }

// Is says whether the national identity number in an answer is that of this subject. A Subject that is not Known
// matches anybody.
func (s Subject) Is(nationalID string) bool {
	return !s.Known() || hmac.Equal(s.hmac, s.keyed(nationalID))
}

// Reveal is the plain national identity number, for a request that must carry it, and whether there is one.
func (s Subject) Reveal() (string, bool) { return s.plain, s.plain != "" }

// Format prints a fixed word for every verb, so that a consent in a log line or an error gives nobody away.
func (s Subject) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[subject]")) }

// MarshalText prints the same fixed word.
func (s Subject) MarshalText() ([]byte, error) { return []byte("[subject]"), nil }
