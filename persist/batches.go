package persist

import (
	"time"

	"syncer/finance"
)

// DueBatch is a batch that somebody should claim.
type DueBatch struct {
	ID    int64
	Run   int64
	Job   string
	Fence int64
}

// Claimed is a batch as its holder sees it. Every later write carries Fence.
type Claimed struct {
	ID           int64
	Run          int64
	Seq          int
	Job          string
	Connection   string
	Kind         RunKind
	ScheduledFor time.Time
	OfRun        int64
	Fence        int64
	Datasets     []finance.Dataset
	WindowFrom   finance.Date
	WindowTo     finance.Date
	Claims       int  // how often it was claimed, this time included
	Lost         int  // holders in a row that died on it without progress
	Poisoned     bool // claimed no more: it has killed its holders, its open items have failed and it is done
}
