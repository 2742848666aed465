package jobs

import (
	"time"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/write"
)

// soonest is how far ahead of our clock a record may say that it was made. What lies further ahead is a
// mistake. It is not remembered, or all answers to come would look old.
const soonest = 24 * time.Hour

// reports keeps when the records of a stream were made, page by page, so that an answer that is older
// than the last one is known for it: see fetch.Stream.Reported.
type reports struct {
	last    finance.Reported // before the pass
	now     finance.Reported // what the pass has shown
	lacking bool             // the pass has not shown, or not decoded, all of it
}

func newReports(from write.StreamState) *reports {
	return &reports{last: from.Reported, now: finance.Reported{}}
}

// add takes note of a page, and gives what is to be remembered with it. Nil: what there was before.
// covers says that the page ends a pass which has read all there is.
func (r *reports) add(page fetch.Page, covers bool, clock time.Time) finance.Reported {
	if page.Unchanged || page.Partial != "" {
		r.lacking = true
	}
	for i := range page.Records.Debts {
		r.note(&page.Records.Debts[i], clock)
	}
	gone := covers && !r.lacking // of what it has not shown nothing need be known any more
	switch {
	case len(r.now) == 0: // also of a set that is empty now: what comes back may come out of a cache
		return nil
	case gone:
		return r.now.And(nil)
	}
	return r.now.And(r.last)
}

// note takes note of when a debt was made. One that is shown without a time, or with one that is not
// believed, keeps the time it had: an answer from before that would else look new.
func (r *reports) note(d *finance.Debt, clock time.Time) {
	told := !d.ReportedAt.IsZero() && d.ReportedAt.Before(clock.Add(soonest))
	if told {
		r.now.Note(d.ID, d.ReportedAt)
		return
	}
	_, shown := r.now.Of(d.ID)
	if was, known := r.last.Of(d.ID); known && !shown {
		r.now.Note(d.ID, was)
	}
}
