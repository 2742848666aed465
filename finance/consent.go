package finance

import (
	"crypto/hmac"
	"errors"
	"fmt"
	"time"
)

// ConsentStatus is where a consent stands. Only an active consent may be called for, and a suspected one once in a while.
type ConsentStatus string

// The states of a consent. ConsumedUnknown is that of a single-use consent whose one call was sent and never
// answered: whether it was spent is the provider's secret, so it is not sent again.
const (
	ConsentActive          ConsentStatus = "active"
	ConsentSuspected       ConsentStatus = "suspected" // refused, but not certain to have ended
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

	// Of a consent that was renewed, which goes on under another ExternalID:
	RenewedAt time.Time // when that changed last; zero: never
	Renewals  int       // how often it did
	OnTrial   bool      // nobody has been answered under it yet
	LaterID   bool      // ExternalID is not the one that it had first
}

// Subject is the person or company behind a consent. The plain national identity number is shown only by Reveal and
// by no formatting verb.
type Subject struct {
	hmac     []byte
	plain    string
	keyed    func(string) []byte
	unopened error
}

// NewSubject makes a Subject from its keyed HMAC, its plain number where a provider demands it (or empty), and the
// function that computes the HMAC of a number, so that an answer's subject can be checked against the consent's.
func NewSubject(mac []byte, plain string, keyed func(string) []byte) Subject {
	return Subject{hmac: mac, plain: plain, keyed: keyed}
}

// ErrUnopened says that something sealed can't be opened, now or later: it was changed, moved to another
// row, or sealed with a key that is not in the key file.
var ErrUnopened = errors.New("the sealed value can't be opened: it was changed, belongs to another row, " +
	"or its key is not in the key file")

// UnopenedSubject is a Subject whose plain number is kept and can't be opened. No call may be made for
// it: it would be asked for nobody.
func UnopenedSubject(mac []byte, keyed func(string) []byte, why error) Subject {
	return Subject{hmac: mac, keyed: keyed, unopened: why}
}

// Unopened says why no call may be made for the subject; nil: none stands against it.
func (s Subject) Unopened() error { return s.unopened }

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
