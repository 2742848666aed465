package fetch

import (
	"fmt"

	"syncer/finance"
)

// incomplete is why an answer is not the whole of what the step asked for, by what it says of itself; empty: it
// says nothing.
func (st *Step) incomplete(a *Answer) string {
	partExpected := st.Parts && a.IsPart()
	if partExpected {
		return ""
	}
	return a.Unfinished()
}

// emptyPages is how many pages without a record may stand in a row: a provider that always gives another cursor and never
// a record would be asked for ever.
const emptyPages = 20

// mayEnd says that the list can end with a page that does not end it by itself. Of one that leads back nothing can be said:
// its list is read once more.
func mayEnd(st *Step, page *Page) bool {
	if st.End == nil || page.Done {
		return false
	}
	return page.Moved == ""
}

// boundEmpty ends a list with too many pages in a row that hold nothing.
func (l *shown) boundEmpty(page *Page) error {
	if page.holdsSomething() {
		l.empty = 0
		return nil
	}
	l.empty++
	if l.empty > emptyPages && !page.Done {
		return fmt.Errorf("%d pages in a row without a record: the next pass goes on behind them", l.empty)
	}
	return nil
}

// holdsSomething says that the page's answer has a record, readable or not. Figures stand beside their accounts.
func (p *Page) holdsSomething() bool {
	r := &p.Records
	return len(r.Accounts)+len(r.Transactions)+len(r.Debts)+len(p.Rejects)+p.Seen > 0
}

// unproven is why a page proves nothing, by what its answer and those before say of themselves; empty: nothing speaks
// against it.
func (w *walk) unproven(st *Step, page *Page) string {
	a := page.Answer
	w.list.cover.add(a)
	seen := max(page.Seen, page.Records.Len()+len(page.Rejects))
	if rangesOf(a.Header).records() > uint64(seen) {
		return "the answer holds fewer records than its Content-Range tells"
	}
	if seen == 0 { // only then, since the whole answer is searched for it
		if why := a.ErrorBeside(); why != "" && !st.judged(a) {
			return why
		}
	}
	if page.Whole == nil {
		return ""
	}
	if st.Set == "" || !st.Parts {
		return a.Unfinished()
	}
	if why := a.Unfinished(); why != "" && !a.LastPart() {
		return why
	}
	return w.list.cover.incomplete()
}

// judged says that the connector was asked about the error in an answer, and has taken the answer for good.
func (st *Step) judged(a *Answer) bool {
	if st.Judged == nil {
		return false
	}
	return st.Judged(a)
}

// readsAnew says that the list is read for what may have changed on pages that are known.
func (w *walk) readsAnew() bool { return w.anew || w.second }

// leadsOn says that a page tells where its list goes on, or that it ends.
func leadsOn(page finance.Kept) bool { return page.Facts.Done || page.Facts.Next != "" }
