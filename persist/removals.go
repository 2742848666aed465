package persist

import (
	"time"

	"syncer/finance"
)

// RemovalGuard is what a run and its reruns have removed of one dataset, and what is withheld of it. Records are
// accounts, transactions or debts; reservations that went are not counted, except in Withheld.
type RemovalGuard struct {
	Run             int64 // the root run
	Job             string
	Connection      string
	Dataset         finance.Dataset
	ClosedAt        time.Time // zero: it is open, and nothing is withheld
	Reason          string    // why it closed
	Consents        int       // that lost records before it closed
	Records         int       // that were removed before it closed
	WithheldOf      int       // active consents of which records are withheld now
	Withheld        int       // records of those that are withheld now
	FirstWithheldAt time.Time // zero: none is
}

// RemovalChange is what accepting or undoing removals has done. Balances follow their accounts and are not counted.
type RemovalChange struct {
	Consents int
	Records  int
}
