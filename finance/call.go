package finance

import (
	"encoding/hex"
	"time"
)

// CallID names one HTTP attempt. It is a UUID of version 7 (RFC 9562), so ids sort by the time they were made, and
// it is the request id that the provider sees.
type CallID [16]byte

// String is the canonical 36-character form.
func (id CallID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], id[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], id[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], id[8:10])
	b[23] = '-'
	hex.Encode(b[24:36], id[10:16])
	return string(b[:])
}

// MarshalText writes the canonical form.
func (id CallID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// IsZero says that there is no call.
func (id CallID) IsZero() bool { return id == CallID{} }

// Purpose is what a call is for.
type Purpose string

// The purposes of calls.
const (
	ForData   Purpose = "data"
	ForToken  Purpose = "token"
	ForStatus Purpose = "status" // a consent's status
	ForFeed   Purpose = "feed"   // the consent event feed
	ForCheck  Purpose = "check"  // syncer check
)

// Scope says on whose behalf a call is made. The zero Scope is the program's own behalf: no consent, no batch.
type Scope struct {
	Run     int64
	Batch   int64 // 0: outside a batch, no fence applies
	Fence   int64
	Dataset Dataset
	Consent *Consent // nil: no consent is involved
	// OneTry says that the first call of a stream is not repeated in a bad moment: its consent has another turn behind the
	// others.
	OneTry bool
	// Tried is how many attempts at the first call of a stream were made before, in that other turn.
	Tried int
}

// Call is one HTTP attempt, token calls included.
type Call struct {
	ID          CallID
	Connection  string
	Bucket      string
	Purpose     Purpose
	Scope       Scope
	Method      string
	Path        string // template such as /v1/debt/{consent}: no id, no query
	Attempt     int    // 1 for the first try
	SentAt      time.Time
	Waited      time.Duration // at the gate and for the rate, before this attempt
	Duration    time.Duration // from the send to the last byte
	Status      int           // 0: no answer
	Bytes       int64         // decompressed body
	Correlation string        // the provider's own id of the call, wherever it stood
	Class       Class
	Reason      string        // one line for a person; never a body, a token or a national id
	RetryAfter  time.Duration // announced pause; 0: none
	Durable     bool          // already committed on its own: the page's commit must not insert it again
}

// Ask is the question put to the ledger before every send.
type Ask struct {
	Connection string
	// Credentials is what the call's credentials are known by: one that is made with refused ones is not let through.
	Credentials string
	Bucket      string
	PerSecond   float64 // 0: no rate is set for the bucket
	Opening     bool    // spends one read of the consent's daily budget; see docs/consents.md for what a read is
	Scope       Scope
	Call        CallID   // the attempt that is asked for: what a read is spent for
	Needs       []string // scopes, one of which the consent must have if it names any; none: any consent will do
	Gates       []string // further gates that must be open, of the consent alone or of the account alone
	// Probe is for how long the call may go alone where the bucket was refused: the others wait that long, at most, for
	// what it hears. 0: it may not be the one.
	Probe time.Duration
	Once  bool // the call of a single-use consent: it probes only where nobody else has for a while
}

// Admission is the ledger's answer. Exactly one of three things holds: Refusal is set and the call must not be made;
// Gate is positive and the bucket is closed for that long; or the slot is reserved, durably, and the call may be
// sent after SendIn. All durations count from the moment the answer arrived; a negative SendIn is a slot that has
// passed while the answer was on its way.
type Admission struct {
	Refusal Class  // Refused, Spent, Fenced or Fatal; empty: not refused
	Reason  string // why refused or why the gate is closed
	Gate    time.Duration
	Closed  string // which of Ask.Gates is closed; empty: the bucket's own
	SendIn  time.Duration
	Probe   bool // the bucket was refused, and this call goes alone: see fetch.Ledger's Probed
	Awaits  bool // Gate is for the answer of another call, which probes
}

// PauseByBreaker is how the reason of a pause begins that nobody has announced: the provider fails all the time, and is
// left alone for a while.
const PauseByBreaker = "breaker"

// Pause is an announcement that closes a gate for every worker: a bucket's, or one alone.
type Pause struct {
	Bucket string
	Alone  string        // the gate that is closed, one of Ask.Gates; empty: the bucket's own
	For    time.Duration // from the moment the announcement arrived
	Reason string        // "retry-after", "rate-limit", "breaker" ...
	Call   Call          // the call that was told; recorded in the same commit
	// Guessed says that no time was told. For is the least then: it doubles with every refusal in a row.
	Guessed bool
	// Sent is how long ago the call was sent. A refusal of a call that was sent before the gate was closed says nothing
	// new: it is not counted.
	Sent time.Duration
}

// Intent is what the ledger knows about the one call of a single-use consent.
type Intent struct {
	Fresh    bool   // recorded now: send
	Answered bool   // an answer is stored: read it instead of sending
	Call     Call   // of the stored answer
	Body     []byte // of the stored answer
}
