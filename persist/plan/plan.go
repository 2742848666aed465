package plan

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/queue"
)

// ErrNothingToRerun says that every selected item of the run is proven complete.
var ErrNothingToRerun = errors.New("nothing to rerun: every selected item is proven complete")

// ErrUnsettled says that the run is still going.
var ErrUnsettled = errors.New("the run is not settled yet")

// BatchRef is a batch that planning has written.
type BatchRef struct {
	ID  int64
	Run int64
	Seq int
}

// Enqueue wakes workers for batches, in the transaction that writes them. It is called with at most a few
// thousand batches at a time.
type Enqueue func(ctx context.Context, tx pgx.Tx, batches []BatchRef) error

// RunSpec is a run to plan.
type RunSpec struct {
	Job          string
	Connection   string
	Kind         queue.RunKind // Scheduled, Manual or Backfill
	ScheduledFor time.Time
	Datasets     []finance.Dataset
	BatchSize    int
	WindowFrom   finance.Date // Backfill only
	WindowTo     finance.Date
	WindowOver   time.Time // when the window's last day is over where the provider is; zero: it is over
	Purposes     []string  // only consents that were given for one of these; empty: for whatever purpose
	Consents     []int64   // only these; empty: all of the connection
	// Beside says that open runs of the job keep what they have not decided, as for a tick, and what
	// they have decided since then: it is as good as new. A run for which nothing is left is not made.
	// Zero: they keep nothing. Manual only.
	Beside time.Time
	seen   []int64 // runs that count as open, see RunOrGoOn
	// LeavesReads is how many of a consent's reads of a day are left to runs that are no backfills.
	// Backfill only.
	LeavesReads int
}

// Selection narrows a rerun. The zero Selection takes every item that is not proven complete: failed, partial,
// excused or undecided.
type Selection struct {
	Failed   bool     // failed items
	Partial  bool     // partial items
	Classes  []string // only items whose class is one of these
	Consents []int64  // only items of these consents
}

// RerunSpec is a rerun to plan. It links to the root run, also when OfRun is a rerun itself.
type RerunSpec struct {
	OfRun     int64
	BatchSize int
	Purposes  []string // as the job has them today, whatever the root run had
	Selection Selection
}
