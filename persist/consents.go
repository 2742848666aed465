package persist

import (
	"time"

	"syncer/finance"
)

// ConsentImport is a consent as an operator's file has it.
type ConsentImport struct {
	ExternalID  string // the provider's id of the consent; refused when it is a national identity number
	NationalID  string // empty: the subject is not known
	KeepPlain   bool   // seal the plain number too, because the provider demands it in requests
	Purpose     string
	Scopes      []string
	ValidFrom   time.Time // zero: now
	ValidUntil  time.Time // zero: open-ended
	SingleUse   bool
	ReadsPerDay int // 0: unlimited
}

// ImportResult counts what an import did.
type ImportResult struct {
	Inserted  int
	Updated   int
	Unchanged int
	Revived   int // of the updated: expired or due for re-authorisation before, active now
}

// ConsentFilter chooses consents, in the order of their ids; zero fields choose all.
type ConsentFilter struct {
	Connection string
	Status     finance.ConsentStatus
	After      int64 // only consents with a larger id: the next page
	Limit      int   // 0: 100
}

// EventSource is where the news of a consent came from.
type EventSource string

// The sources of consent events.
const (
	FromImport   EventSource = "import"
	FromFeed     EventSource = "feed"
	FromAnswer   EventSource = "answer"
	FromOperator EventSource = "operator"
	FromClock    EventSource = "clock"
	FromStatus   EventSource = "status"
)

// ConsentEvent is one thing that a provider's feed said of a consent.
type ConsentEvent struct {
	ExternalID string
	Status     finance.ConsentStatus // what the consent is after the event
	ValidUntil time.Time             // zero: not told
	Reason     string
	Call       finance.CallID
}

// ConsentChange is one line of a consent's history.
type ConsentChange struct {
	At     time.Time
	Source EventSource
	From   finance.ConsentStatus // empty: the consent was new
	To     finance.ConsentStatus
	Reason string
	Call   finance.CallID
}
