package persist

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
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

// Enqueue rings the doorbell for batches, in the transaction that writes them. It is called with at most a few
// thousand batches at a time.
type Enqueue func(ctx context.Context, tx pgx.Tx, batches []BatchRef) error

// RunSpec is a run to plan.
type RunSpec struct {
	Job          string
	Connection   string
	Kind         RunKind // Scheduled, Manual or Backfill
	ScheduledFor time.Time
	Datasets     []finance.Dataset
	BatchSize    int
	WindowFrom   finance.Date // Backfill only
	WindowTo     finance.Date
	Purposes     []string // only consents that were given for one of these; empty: for whatever purpose
	Consents     []int64  // only these; empty: all of the connection
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

// Cost is what a rerun would take, as far as the attempts so far tell.
type Cost struct {
	Consents int
	Items    int
	Calls    int // what the same items took last time, at least one an item
	Budgeted int // consents among them with a daily budget
	Spent    int // of those, how many have no read left in the last 24 hours: they will be refused for now
	Ended    int // consents among them that are no longer active: their items are left out
}
