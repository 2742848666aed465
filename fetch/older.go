package fetch

import (
	"fmt"
	"time"

	"syncer/finance"
)

// An answer may come out of a cache, or from a machine that has not heard of the last days. Where records
// tell when they were made that is seen: one is older than it was in the last answer. Such an answer says
// nothing of today.

// holdOlder takes from a page what must not be written over what the last answer said, and lets the page
// prove nothing. With one record older than it was, only those are kept that are newer than all that is
// known of them. Of a record that is not known nobody can tell whether it is yet to come or has gone
// already.
func (s *Stream) holdOlder(page *Page) {
	debts := page.Records.Debts
	back := s.goneBack(debts, page.numbered)
	if len(back) == 0 {
		return
	}
	worst := back[0]
	for _, i := range back {
		if madeAt(&debts[i]).After(madeAt(&debts[worst])) {
			worst = i
		}
	}
	was, _ := s.Reported.Of(debts[worst].ID)
	now := madeAt(&debts[worst])
	all := len(debts)

	newest := s.Reported.Newest()
	kept := debts[:0]
	for i := range debts {
		last, known := s.Reported.Of(debts[i].ID)
		if !known {
			last = newest
		}
		if madeAt(&debts[i]).After(last) {
			kept = append(kept, debts[i])
		}
	}
	page.Seen = max(page.Seen, page.Records.Len()+len(page.Rejects))
	page.AddMissing(olderText(all, len(back), len(kept), was, now))
	page.Records.Debts = kept
	page.Whole = nil
	page.vetted = page.Records.Len() + 1
}

// goneBack are the places of records that are older than they were in the last answer.
//
// A key that is numbered may be another record's now: of two that are alike the second one has the first
// one's key when that has gone. So its time is no sign when the last answer had it at a record that is
// not shown as it was, nor when the time that the key had is shown with another key now.
func (s *Stream) goneBack(debts []finance.Debt, numbered bool) (indexes []int) {
	var older []int
	had := map[int64]int{}
	has := map[int64]int{} // how often each time, of records that are not as they were
	for _, at := range s.Reported {
		had[at.UnixMicro()]++
	}
	for i := range debts {
		at := madeAt(&debts[i])
		last, known := s.Reported.Of(debts[i].ID)
		if known && at.Equal(last) {
			had[at.UnixMicro()]--
			continue
		}
		has[at.UnixMicro()]++
		if known && !at.IsZero() && at.Before(last) {
			older = append(older, i)
		}
	}
	for _, i := range older {
		at := madeAt(&debts[i]).UnixMicro()
		last, _ := s.Reported.Of(debts[i].ID)
		was := last.UnixMicro()
		mayMove := numbered || debts[i].Made
		switch {
		case !mayMove:
			indexes = append(indexes, i)
		case had[at] > 0:
			had[at]--
		case has[was] > 0:
			has[was]--
		default:
			indexes = append(indexes, i)
		}
	}
	return indexes
}

func olderText(all, back, kept int, from, to time.Time) string {
	gone := fmt.Sprintf("%d of %d records have gone back, one of them", back, all)
	if back == 1 {
		gone = fmt.Sprintf("1 of %d records has gone back,", all)
	}
	stored := fmt.Sprintf("only %d that are newer were stored, and nothing was removed", kept)
	switch kept {
	case 0:
		stored = "nothing of it was stored or removed"
	case 1:
		stored = "only one that is newer was stored, and nothing was removed"
	}
	return fmt.Sprintf("the provider's answer is older than the last one: %s from %s to %s; %s",
		gone, utc(from), utc(to), stored)
}

// madeAt is when a debt was made, as that is remembered: to the microsecond.
func madeAt(d *finance.Debt) time.Time { return d.ReportedAt.Truncate(time.Microsecond) }

func utc(at time.Time) string { return at.UTC().Format(time.RFC3339) }
