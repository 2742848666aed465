// Package jobs is the schedule, the planning of runs, the working of batches, the outcome table and the re-runs. It
// is the only room that sees both the providers and the tables.
//
// The database is the truth of everything that must survive: which ticks have fired, which batch belongs to whom,
// where every stream stands. River only rings the bell for a batch; a bell that is lost is rung again by the sweep.
package jobs

import (
	"time"

	"syncer/fetch"
	"syncer/finance"
)

// Job is one configured job.
type Job struct {
	Name       string
	Connection string
	Datasets   []finance.Dataset
	Schedule   *Schedule      // nil: fired by hand only
	Zone       *time.Location // of the schedule
	CatchUp    CatchUp
	BatchSize  int      // consents a batch
	Lookback   int      // days before the watermark that are read again
	History    int      // days that a first load goes back
	Purposes   []string // what the data is for; consents that were given for none of these are not called. Empty: any
}

// today is the day in the provider's calendar. The job's own zone says only when it fires.
func (c *Connection) today(now time.Time) finance.Date {
	if c.Zone == nil {
		return finance.DateOf(now.UTC())
	}
	return finance.DateOf(now.In(c.Zone))
}

// credentials is the fingerprint of the credentials that calls are made with now.
func (c *Connection) credentials() string {
	if c == nil || c.Credentials == nil {
		return ""
	}
	return c.Credentials()
}

// Connection is a configured connection with its connector, ready to be worked.
type Connection struct {
	Name        string
	Provider    string
	Connector   fetch.Connector
	Credentials func() string  // the fingerprint of the credentials that calls are made with now; nil: none is known
	Zone        *time.Location // the provider's calendar, in which a stream's today is told; nil: UTC
	Concurrency int            // consents of a batch that are worked side by side
	Accounts    int            // of one consent that a run reads at most; 0: no bound
	Keep        time.Duration  // how long answers are kept; 0: not at all

	others others // answers about somebody else
}
