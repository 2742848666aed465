package calls

import (
	"time"

	"syncer/finance"
)

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

// Task is the piece of work that a call is made for. The zero Task is the program's own: no consent, no batch.
type Task struct {
	Run     int64
	Batch   int64 // 0: outside a batch, no fence applies
	Fence   int64
	Dataset finance.Dataset
	Consent *finance.Consent // nil: no consent is involved
	// OneTry says that the first call of a stream is not repeated in a bad moment: its consent has another turn behind the
	// others.
	OneTry bool
	// Tried is how many attempts at the first call of a stream were made before, in that other turn.
	Tried int
}

// Call is one HTTP attempt, token calls included.
type Call struct {
	ID          finance.CallID
	Connection  string
	Bucket      string
	Purpose     Purpose
	Task        Task
	Method      string
	Path        string // template such as /v1/debt/{consent}: no id, no query
	Attempt     int    // 1 for the first try
	SentAt      time.Time
	Waited      time.Duration // at the gate and for the rate, before this attempt
	Duration    time.Duration // from the send to the last byte
	Status      int           // 0: no answer
	Bytes       int64         // decompressed body
	Correlation string        // the provider's own id of the call, wherever it stood
	Class       finance.Class
	Reason      string        // one line for a person; never a body, a token or a national id
	RetryAfter  time.Duration // announced pause; 0: none
	Durable     bool          // already committed on its own: the page's commit must not insert it again
}

// Ask is the question put to the store before every send.
type Ask struct {
	Connection string
	// Credentials is what the call's credentials are known by: one that is made with refused ones is not let through.
	Credentials string
	Bucket      string
	PerSecond   float64 // 0: no rate is set for the bucket
	Quota       Quota   // of the bucket
	// Day is the day of whose quota a call has been taken before, for an attempt that was not sent: then none is
	// taken. It is what Admission.Day was; zero: none has been.
	Day     time.Time
	Opening bool // spends one read of the consent's daily budget; see docs/consents.md for what a read is
	Task    Task
	Call    finance.CallID // the attempt that is asked for: what a read is spent for
	Needs   []string       // scopes, one of which the consent must have if it names any; none: any consent will do
	Gates   []string       // further gates that must be open, of the consent alone or of the account alone
	// Probe is for how long the call may go alone where the bucket was refused: the others wait that long, at most, for
	// what it hears. 0: it may not be the one.
	Probe time.Duration
	Once  bool // the call of a single-use consent: it probes only where nobody else has for a while
}

// Admission is the store's answer. Exactly one of three things holds: Refusal is set and the call must not be made;
// Gate is positive and the bucket is closed for that long; or the slot is reserved, durably, and the call may be
// sent after SendIn. All durations count from the moment the answer arrived; a negative SendIn is a slot that has
// passed while the answer was on its way.
type Admission struct {
	Refusal finance.Class // Refused, Spent, Fenced or Fatal; empty: not refused
	Reason  string        // why refused or why the gate is closed
	Gate    time.Duration
	Closed  string // which of Ask.Gates is closed; empty: the bucket's own
	SendIn  time.Duration
	Day     time.Time // the end of the day of whose quota the call is one, by the store's clock; zero: of none
	Probe   bool      // the bucket was refused, and this call goes alone: see fetch.CallStore's Probed
	Awaits  bool      // Gate is for the answer of another call, which probes
	// Spacing is the time between two slots of the bucket, by the lowest rate that a living worker's
	// configuration names; 0: none names one. A slot that was reserved at a shorter one is void.
	Spacing time.Duration
	Said    Said
}

// Said is by when a store has answered a question and what it had heard before, so that it can tell later
// whether the answer holds still. What it means is the store's.
type Said struct {
	Connection string
	At         time.Time // when the answer arrived; zero: it is of the past, so long was it on its way
	Words      uint64    // about the connection that had been heard before the question was put
	// Ends is until when the consent is valid, and the day goes on of whose quota the call is one, by the store's
	// clock; zero: no end is known.
	Ends time.Time
}

// PauseByQuota is how the reason begins of a gate that is closed until the provider's day ends, since no call of
// it is left.
const PauseByQuota = "the day's quota of "

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

// Intent is what the store knows about the one call of a single-use consent.
type Intent struct {
	Fresh    bool   // recorded now: send
	Answered bool   // an answer is stored: read it instead of sending
	Call     Call   // of the stored answer
	Body     []byte // of the stored answer
}
