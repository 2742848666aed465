// Package jobs runs what is scheduled: it plans runs, works their batches, decides what became of each item, and runs again
// what failed. It is the only room that sees both the providers and the tables.
//
// The database is the truth of everything that must survive: which ticks have fired, which batch belongs to whom,
// where every stream stands. River only wakes a worker for a batch; a wake-up that is lost is sent again by the sweep.
package jobs

import (
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/connections"
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
	Endpoint    connections.Endpoint // where it leads
	Connector   fetch.Connector
	Credentials func() string  // the fingerprint of the credentials that calls are made with now; nil: none is known
	Zone        *time.Location // the provider's calendar, in which a stream's today is told; nil: UTC
	Rate        float64        // calls a second that the configuration names; 0: none
	Quota       calls.Quota    // of calls a day to each bucket, as the configuration names it
	Concurrency int            // consents of a batch that are worked side by side
	Accounts    int            // of one consent that a run reads at most; 0: no bound
	ReadsPerDay int            // of consents that name no number themselves; 0: no bound
	Keep        time.Duration  // how long answers are kept; 0: not at all
	// InFlight is the longest time for which a call that nobody has answered may still be on its way; see InFlight. 0: not
	// known, so no status is believed behind such a call.
	InFlight time.Duration

	others   others  // answers about somebody else
	answered answers // the newest good one
	checks   checks  // that refusals have brought about
	judging  judging // refusals that are looked into now
	feeds    feeds   // likewise
}
