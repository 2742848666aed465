package fetch

import (
	"cmp"
	"fmt"

	"syncer/fetch/resume"
	"syncer/finance"
)

// Count is how many records the page's answer holds, whether or not they had to be decoded this time.
func (p *Page) Count() int {
	if p.Unchanged {
		return p.Kept.Facts.Records
	}
	return p.Records.Len()
}

// Figures is how many of these records are balances of accounts.
func (p *Page) Figures() int {
	if p.Unchanged {
		return p.Kept.Facts.Figures
	}
	return len(p.Records.Balances)
}

// AddMissing adds what is missing from the page to what is known to be; empty: nothing.
func (p *Page) AddMissing(what string) {
	switch {
	case what == "":
	case p.Partial == "":
		p.Partial = what
	default:
		p.Partial += "; " + what
	}
}

// AddMissingDays notes that the provider refuses the days before a first one, which the pass was to begin with.
func (p *Page) AddMissingDays(s *resume.DaySearch, first finance.Date) {
	p.Given, p.days = first, s.Missing(first)
	p.AddMissing(p.days)
}

// MissesDaysOnly says that nothing is missing from the page but days that the provider will never give.
func (p *Page) MissesDaysOnly() bool { return p.Partial != "" && p.Partial == p.days }

// fewUnread is how many records may be unreadable in an answer, however few it holds: one that drifted is a defect of the
// record, not of the answer.
const fewUnread = 5

// MostlyUnread says that so many records could not be read that nothing that was read can be trusted: at least
// fewUnread, and more than half of seen.
func MostlyUnread(unread, seen int) bool { return unread >= fewUnread && 2*unread > seen }

// misread is why a page can't be taken, if most of its records could not be read; empty otherwise.
func (p *Page) misread() string {
	r := &p.Records
	unread := len(p.Rejects)
	// An account's figures and the like are parts of one record.
	seen := cmp.Or(p.Seen, unread+max(len(r.Accounts), len(r.Transactions), len(r.Debts), len(r.Balances)))
	if !MostlyUnread(unread, seen) {
		return ""
	}
	return fmt.Sprintf("%d of %d records could not be read; the first, at place %d: %s", unread, seen, p.Rejects[0].Place, p.Rejects[0].Reason)
}

// Plain says that nothing about the page needs a second look when the same bytes come again: every record could be
// read, the provider left nothing out, the bytes alone say where the page leads, and it is no part of a set of several
// pages.
func (p *Page) Plain() bool {
	if len(p.Rejects) > 0 || p.Partial != "" {
		return false
	}
	if p.Steered {
		return false
	}
	return p.Whole == nil || len(p.Whole.Earlier) == 0
}
