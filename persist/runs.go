package persist

import (
	"time"

	"syncer/finance"
)

// RunKind is why a run exists.
type RunKind string

// The kinds of runs.
const (
	Scheduled RunKind = "scheduled"
	Manual    RunKind = "manual"
	Rerun     RunKind = "rerun"
	Backfill  RunKind = "backfill"
	Final     RunKind = "final" // the last pull of consents that end before their job fires again
)

// Verdict is how a run ended, computed from its items and never set by hand. The empty Verdict is a run that is not
// settled.
type Verdict string

// The verdicts; see Settle for the rule.
const (
	VerdictComplete Verdict = "complete"
	VerdictPartial  Verdict = "partial"
	VerdictFailed   Verdict = "failed"
)

// Run is one firing of a job.
type Run struct {
	ID           int64
	Job          string
	Connection   string
	Kind         RunKind
	ScheduledFor time.Time // the nominal time, unique within the job
	OfRun        int64     // a rerun's root run; 0: none
	Datasets     []finance.Dataset
	WindowFrom   finance.Date // a backfill's window; zero: none
	WindowTo     finance.Date
	Expected     int // items that planning wrote
	Skipped      int // consents of the connection that planning left out: not active, outside their window, or given for another purpose
	Overlapped   int // items that planning left to earlier runs of the job, which had not decided them yet
	Verdict      Verdict
	CreatedAt    time.Time
	SettledAt    time.Time // zero: not settled
}

// RunFilter chooses runs; zero fields choose all.
type RunFilter struct {
	Job     string
	Kind    RunKind
	Verdict Verdict
	Open    bool  // only runs that are not settled
	Before  int64 // only runs with a smaller id: the next page of a list that shows the newest first
	Limit   int   // 0: 100
}
