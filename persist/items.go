package persist

import (
	"time"

	"syncer/finance"
)

// Item is one consent x dataset of a batch.
type Item struct {
	Consent     finance.Consent
	Dataset     finance.Dataset
	Outcome     finance.Outcome // empty: not decided
	Class       finance.Class
	Reason      string
	Attempts    int
	Pages       int
	Records     int
	Quarantined int
	Partial     string // what the provider said is missing, so far
	StartedAt   time.Time
	FinishedAt  time.Time
}

// Decision is how an item ended.
type Decision struct {
	Outcome     finance.Outcome
	Class       finance.Class // of a failed or excused item; of a partial one the worst that a part of it met; Withheld of one that has the rest
	Reason      string        // must be set unless the outcome is Rows or Empty and the provider withheld nothing
	Correlation string        // the provider's id of the call that decided
	Call        finance.CallID
}

// Decided is one item and its decision.
type Decided struct {
	Consent int64
	Dataset finance.Dataset
	Decision
}
