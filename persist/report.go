package persist

import (
	"time"

	"syncer/finance"
)

// Counts are the items of one dataset by how they ended. Expected is always the sum of the others.
type Counts struct {
	Dataset  finance.Dataset
	Expected int
	Rows     int
	Empty    int
	Partial  int
	Excused  int
	Failed   int
	Missing  int // not decided
	Records  int // records read, and what became of them
	Inserted int
	Updated  int
	Removed  int
	Rejected int // quarantined records
}

// ClassCount is how many calls of a run had one class.
type ClassCount struct {
	Class finance.Class
	Calls int
}

// SlowItem is one of the items that took longest.
type SlowItem struct {
	Batch   int64
	Consent int64
	Dataset finance.Dataset
	Took    time.Duration
	Pages   int
}

// OpenItem is an item that is not proven complete.
type OpenItem struct {
	Run         int64 // the attempt that decided it
	Batch       int64
	Consent     int64
	Dataset     finance.Dataset
	Outcome     finance.Outcome // empty: not decided
	Class       finance.Class
	Reason      string
	Correlation string
	Call        finance.CallID
}

// BatchCounts are the batches of a run by state.
type BatchCounts struct {
	Pending, Working, Parked, Done int
}

// Report is what is known of a run. For a root run the counts are those of the effective outcomes: the latest
// decision of each item over the run and its reruns.
type Report struct {
	Run         Run
	Reruns      []int64
	Counts      []Counts // one for each dataset
	Calls       int      // the run's own
	ByClass     []ClassCount
	Pauses      int            // that the provider has announced to the run's calls
	Paused      time.Duration  // all of them, overlaps included
	LeftAlone   int            // how often the provider was left alone because it failed all the time
	FailedWith  string         // what it failed with the last time; empty: it was not left alone
	Slowest     []SlowItem     // at most 10
	NotComplete []OpenItem     // at most reportedItems: failed, partial, excused and undecided
	Withheld    []OpenItem     // at most reportedItems: proven, but for accounts that the provider withholds
	Wall        time.Duration  // from planning to settling, or to now
	Guards      []RemovalGuard // of the root run, those that have closed
	Batches     BatchCounts
	Running     bool
	Over        Connection   // the run's connection as it stands now, which may have been parked by a later run
	Gates       []ClosedGate // of the run's connection, those that are closed now; none of a settled run
	ParkedUntil time.Time    // zero: nothing is parked; else when the first parked batch wakes, which is never in the past
	ParkReason  string
}
