package rest

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"syncer/fetch"
	"syncer/finance"
)

// mostTries is how often a list that moves under the reader is read again before what was read is called partial.
const mostTries = 3

// pass reads a stream: window by window, oldest first, and page by page within each.
type pass struct {
	*compiledReading
	ctx     context.Context // of the reading, for what is asked of the store
	stream  *fetch.Stream
	through finance.Date // the watermark before the pass
	again   finance.Date // see cursor.Again
	reach   int          // see cursor.Reach
	ends    *ends
	at      position
	list    *reading
	led     *fetch.Tonight // when an answer last had the member that leads on
	overlap overlap
	// mayBeTooOld says that a refusal of the present day may mean that it lies too long ago.
	mayBeTooOld bool

	asked   map[string]string        // what the placeholders stand for
	request fetch.Request            // of the present page
	judged  func(*fetch.Answer) bool // see fetch.Step.Judged
	resolve func(link string, f fetch.Follow) (fetch.Link, error)
	others  func(set finance.Extent, ids []string) (bool, error)
}

// overlap is what is asked for once more where the list may have moved, to see whether it has.
type overlap int

const (
	noOverlap  overlap = iota
	lastRecord         // the last record of the page before, with the present page
	lastPage           // the page before, by a call of its own
)

// reading is what this walk has read of the present list.
type reading struct {
	begun bool // its first page too
	asked int  // pages
	read  int  // of these; one that is passed over as unchanged is not read
	ids   []string
	keys  map[string]struct{}
	lists []bool // which lists of records were there
}

func newReading(begun bool, lists int) *reading {
	return &reading{begun: begun, keys: map[string]struct{}{}, lists: make([]bool, lists)}
}

// whole says that this walk has read the list from its first page on, and passed over none.
func (r *reading) whole() bool { return r.begun && r.asked == r.read }

// twice is how many records have been met twice, with those of the present page.
func (r *reading) twice(d *decoder) int {
	known := 0
	for _, id := range d.news() {
		if _, ok := r.keys[id]; ok {
			known++
		}
	}
	return len(r.ids) - len(r.keys) + known
}

func (r *reading) add(d *decoder) {
	for _, id := range d.news() {
		r.ids = append(r.ids, id)
		r.keys[id] = struct{}{}
	}
	for i, there := range d.lists {
		r.lists[i] = r.lists[i] || there
	}
}

// set is the set that the present list is declared at its end; empty: none of several pages.
func (p *pass) set() (name, status string) {
	switch {
	case !p.Pagination.paged():
		return "", ""
	case p.Whole:
		return "all", ""
	case p.wholePending && p.reachesToday():
		return "pending", finance.Pending
	}
	return "", ""
}

// decode reads an answer and finds out where the pass goes on.
func (p *pass) decode(a *fetch.Answer) (fetch.Page, error) {
	p.list.read++
	d := newDecoder(p)
	if err := d.read(a); err != nil {
		return fetch.Page{}, err
	}
	if err := p.stream.Vet(p.ctx, &d.page); err != nil {
		return fetch.Page{}, err
	}
	d.page.Seen = d.count
	p.errorBeside(d, a)
	good := a.Status < http.StatusMultipleChoices // else it says that there is no such page, which is said of the set
	if good {
		d.page.Outside = p.outside(d)
	}
	if p.overlap != noOverlap && d.lastOfBefore() != p.at.Last {
		if !p.at.Anew {
			return p.beginAnew(d), nil
		}
		// Begun anew once already in this pass: a list that moves every night would never be read to its end.
		d.page.AddMissing("the list has moved since its reading was broken off; the next pass reads all of it")
	}
	if p.overlap == lastPage {
		d.page.Next = p.cursor(&p.at)
		return d.page, nil
	}
	if s := p.at.Search; s != nil {
		if search, day, ok := s.Give(p.at.From); ok {
			d.page.Next = p.lookAt(search, day)
			return d.page, nil
		}
		p.reach = int(p.at.End-p.at.From) + 1
	}
	return p.goOn(d, a)
}

// errorBeside says of an empty page with an error what is missing from it. It is said here too, so that a window is read
// again.
func (p *pass) errorBeside(d *decoder, a *fetch.Answer) {
	if d.count > 0 {
		return
	}
	if why := a.ErrorBeside(); why != "" && !p.judged(a) {
		d.page.AddMissing(why)
	}
}

// outside says that a page shows nothing of the set that its list is declared.
func (p *pass) outside(d *decoder) bool {
	name, status := p.set()
	if name == "" {
		return false
	}
	return apart(p.Records, status) && !shows(p.Records, d.lists, status)
}

// goOn leads from a page that was read to the one behind it.
func (p *pass) goOn(d *decoder, a *fetch.Answer) (fetch.Page, error) {
	next, err := p.follow(d, a)
	if err != nil {
		return fetch.Page{}, err
	}
	p.list.add(d)
	p.comeBack(&d.page)
	if s := p.at.Search; s != nil && p.at.From > p.through+1 {
		// No reason to come back, as anything else that is missing would be: those days will never be given.
		d.page.AddMissingDays(s, p.at.From)
	}
	if next == nil {
		err := p.endPass(&d.page)
		return d.page, err
	}
	if len(next.Earlier) > mostEarlier {
		return fetch.Page{}, fmt.Errorf("more than %d records in one list whose ids must be kept: describe narrower windows, or ids of the API's own", mostEarlier)
	}
	d.page.Next = p.cursor(next)
	return d.page, nil
}

// comeBack lets the next pass begin with the present window, if anything of the page is missing.
func (p *pass) comeBack(page *fetch.Page) {
	if !p.dated {
		return
	}
	complete := page.Partial == "" && !page.Holds()
	if complete {
		return
	}
	if p.again.IsZero() {
		p.again = p.at.From
	}
	p.again = min(p.again, p.at.From)
}

// beginAnew leads back to the list's beginning. Of the page those records are kept that have ids of their own: what was made
// on the pages before, such as numbers of records that are alike, may not fit to it.
func (p *pass) beginAnew(d *decoder) fetch.Page {
	at := p.first()
	at.Anew = true
	page := fetch.Page{
		Next: p.cursor(at), Seen: d.count, Moved: "the list has moved since its reading was broken off", Outside: true,
	}
	own(&d.page.Records, &page.Records)
	return page
}

// own takes the records that have ids of their own from one page to another.
func own(from, to *finance.Records) {
	made := map[string]bool{}
	for _, a := range from.Accounts {
		made[a.ID] = a.Made
		if !a.Made {
			to.Accounts = append(to.Accounts, a)
		}
	}
	for _, b := range from.Balances {
		if !made[b.AccountID] {
			to.Balances = append(to.Balances, b)
		}
	}
	for _, t := range from.Transactions {
		if !t.Made {
			to.Transactions = append(to.Transactions, t)
		}
	}
	for _, d := range from.Debts {
		if !d.Made {
			to.Debts = append(to.Debts, d)
		}
	}
}

// first is the beginning of the present list.
func (p *pass) first() *position {
	at := position{From: p.at.From, To: p.at.To, End: p.at.End, Anew: p.at.Anew}
	if p.carries() {
		at.Earlier, at.Base = p.at.Earlier[:p.at.Base], p.at.Base
	}
	return &at
}

// nextWindow is the window behind the present one; nil: there is none.
func (p *pass) nextWindow(d *decoder) *position {
	if p.last() {
		return nil
	}
	from := p.at.To + 1
	at := position{From: from, To: p.windowEnd(from, p.at.End), End: p.at.End, Anew: p.at.Anew}
	if p.carries() {
		at.Earlier = p.earlier(d)
		at.Base = len(at.Earlier)
	}
	return &at
}

// carries says that made ids are kept from window to window. Those of transactions are not: they are made of a day among
// others, and a record that shows in two windows is to have the same number in both.
func (p *pass) carries() bool { return p.dataset != finance.Transactions }

// earlier are the made ids on the pages up to the present one; d nil: up to the one before.
func (p *pass) earlier(d *decoder) []string {
	ids := p.at.Earlier[:len(p.at.Earlier):len(p.at.Earlier)]
	if d == nil {
		return ids
	}
	return append(ids, d.made...)
}

func (p *pass) cursor(at *position) string {
	return cursor{V: 1, Through: p.through, Again: p.again, Reach: p.reach, ends: *p.ends, Pass: at}.String()
}

// endList makes a page the last one of its list: the next window follows, or the pass is at its end.
func (p *pass) endList(page *fetch.Page) error {
	p.comeBack(page)
	if at := p.nextWindow(nil); at != nil {
		page.Next = p.cursor(at)
		return nil
	}
	return p.endPass(page)
}

// endPass makes a page the last one of the pass.
func (p *pass) endPass(page *fetch.Page) error {
	c := cursor{V: 1, ends: *p.ends}
	if p.dated {
		c.Through = p.at.End
		c.Again = p.again
		c.Reach = p.reach
	}
	page.Done = true
	page.Next = ""
	if c != (cursor{V: 1}) {
		page.Next = c.String()
	}
	page.Behind = p.dated && !p.current() && p.stream.Until.IsZero()
	return p.declare(page)
}

// declare says what the pass, now at its end, has shown all of. A list of records that was not there proves nothing; with
// records of it known, something is missing.
func (p *pass) declare(page *fetch.Page) error {
	status, declares := p.declared()
	if !declares {
		return nil
	}
	if hidden := p.hidden(status); hidden != "" {
		return p.missing(page, status, hidden)
	}
	complete := page.Partial == "" && !page.Hidden()
	if complete {
		page.Whole = &finance.Whole{Status: status, SameAs: p.sameAs}
	}
	return nil
}

// declared is the status of the records that a pass shows all of; empty: all records.
func (p *pass) declared() (status string, declares bool) {
	switch {
	case p.Whole:
		return "", true
	case p.wholePending && p.current():
		return finance.Pending, true
	}
	return "", false
}

// missing notes that records are missing whose list was nowhere in the answers, if some are known.
func (p *pass) missing(page *fetch.Page, status, hidden string) error {
	if !p.list.whole() {
		return nil
	}
	others, err := p.others(p.extent(status), p.list.ids)
	if err != nil {
		return err
	}
	if others {
		page.AddMissing("the answer has no list at " + hidden + ", and records of it are known")
	}
	return nil
}

// hidden is the path of a list of the set that this walk has met nowhere; empty: there is none.
func (p *pass) hidden(status string) string {
	for i := range p.Records {
		if p.Records[i].holds(status) && !p.list.lists[i] {
			return p.Records[i].Path
		}
	}
	return ""
}

// holds says whether records of a status may stand in the list; empty: any.
func (l *List) holds(status string) bool {
	switch {
	case status == "", l.Status == "":
		return true
	}
	return l.Status == status
}

// apart says that records of a status stand in lists of their own. Only then can a page without these lists lie outside of
// the set. Elsewhere the pages are those of the set itself, and one that shows nothing, such as a 404 behind the last page,
// is where it ends: a record may have moved from there to the page before.
func apart(lists Lists, status string) bool {
	if status == "" {
		return len(lists) == 0
	}
	return !slices.ContainsFunc(lists, func(l List) bool { return l.Status == "" })
}

// shows says whether a list that may hold such records is there.
func shows(lists Lists, there []bool, status string) bool {
	for i := range lists {
		if there[i] && lists[i].holds(status) {
			return true
		}
	}
	return false
}

// follow is the next position, or nil at the end of the pass.
func (p *pass) follow(d *decoder, a *fetch.Answer) (*position, error) {
	next, moved, err := p.nextPage(d, a.Header)
	switch {
	case err != nil:
		return nil, err
	case moved != "" && p.at.Tries < mostTries: // the window is read again, and what was made on its pages is forgotten
		at := p.first()
		at.Tries = p.at.Tries + 1
		d.page.Moved = moved
		return at, nil
	case moved != "":
		d.page.Moved = moved
		d.page.AddMissing("the list kept changing while it was read: " + moved)
	}
	if next == nil {
		if p.inParts() && !a.LastPart() { // nothing leads on from what calls itself a part
			d.page.AddMissing(a.Unfinished())
		}
		return p.nextWindow(d), nil
	}
	next.From = p.at.From
	next.To = p.at.To
	next.End = p.at.End
	next.Tries = p.at.Tries
	next.Anew = p.at.Anew
	next.Earlier = p.earlier(d)
	next.Base = p.at.Base
	next.Last = d.last
	next.Shown = d.shown
	return next, nil
}
