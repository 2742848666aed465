package vipps

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/resume"
	"syncer/finance"
)

const (
	rowsVersion = "vipps-transactions-1"
	// openDays is for how long a date that answers 404 is believed to be open still: monthly settlement and a negative
	// balance hold a report back for up to two months.
	openDays = 62
)

// pass reads a ledger: its funds, then its fees, each until there is nothing more to be had today. That a topic has
// more tomorrow is no failure, however long it lasts.
type pass struct {
	ctx      context.Context // of the reading, for what is asked of the store
	settings Settings
	stream   fetch.Stream
	by       string
	cursor   cursor
	memory   *memory
}

// memory is what one reading of a ledger remembers from page to page.
type memory struct {
	inFees bool                // the pass was taken up behind its funds, which may have gone on since
	topic  string              // of rows
	rows   map[string]struct{} // the likenesses of the rows of the present list
	again  bool                // the page before has shown none that was new
}

// begin forgets the rows where another list begins.
func (m *memory) begin(topic string, anew bool) {
	sameList := topic == m.topic && !anew
	if sameList && m.rows != nil {
		return
	}
	m.topic = topic
	m.rows = map[string]struct{}{}
	m.again = false
}

// repeats says whether an answer shows only rows once more that the list has shown before. Rows that are alike may follow
// each other, but then the first goes on from the balance behind the last; and they don't go on so for ever.
func (m *memory) repeats(got *report) bool {
	before := m.again
	m.again = m.knows(got.likes)
	for _, like := range got.likes {
		m.rows[like] = struct{}{}
	}
	if !m.again {
		return false
	}
	return before || !got.follows
}

// knows says whether there are rows, and all of them were shown before.
func (m *memory) knows(likes []string) bool {
	for _, like := range likes {
		if _, known := m.rows[like]; !known {
			return false
		}
	}
	return len(likes) > 0
}

func (c *connector) transactions(ctx context.Context, s fetch.Stream, where fetch.At, m *memory) (fetch.Step, error) {
	if s.Account == "" || s.Today.IsZero() {
		return fetch.Step{}, errors.New("transactions are read for a ledger on a day, and the stream names none")
	}
	p := &pass{ctx: ctx, settings: c.settings, stream: s, by: c.settings.ReadBy, memory: m}
	if !s.Until.IsZero() {
		p.by = byDates // a feed knows no bounds
	}
	var err error
	if p.cursor, err = readCursor(where.Position, p.by, s.Since, s.Today); err != nil {
		return fetch.Step{}, err
	}
	if where.Stored {
		m.inFees = p.cursor.Topic == fees
		p.reopen()
	}
	st := fetch.Step{Request: c.request(s.Task, calls.ForData)}
	if c.settings.IncludeGDPR {
		st.Request.Query.Set("includeGDPRSensitiveData", "true")
	}
	page := p.ask(&st)
	if page != "" {
		st.Request.Query.Set("cursor", page)
		st.Anew = p.anew
	}
	st.PositionName = st.Request.Path + " " + page       // the position holds the chain too, which moves on even in a circle
	if search := p.cursor.at().search(); search != nil { // a day that is only tried comes again in its turn
		st.PositionName += " search " + cursorText(search)
	}
	st.First = p.by == byDates && page == ""
	if st.First {
		st.Narrow = p.narrow
	}
	// What follows a page depends on the cursor and on the days below, so a page is the same only where they are.
	st.Version = strings.Join([]string{rowsVersion, cursorText(p.cursor), s.Until.String(), p.last().String()}, " ")
	return st, nil
}

// ask says what of the present topic is asked for, and gives the provider's cursor within it.
func (p *pass) ask(st *fetch.Step) (page string) {
	at := p.cursor.at()
	root := "report/v2/ledgers/" + url.PathEscape(p.stream.Account) + "/" + p.cursor.Topic + "/"
	if p.by == byFeed {
		st.Request.Path = root + "feed"
		st.Request.Template = "/report/v2/ledgers/{ledger}/" + p.cursor.Topic + "/feed"
		st.Tail = true
		st.Decode = p.feed
		return at.Feed
	}
	p.enter(at)
	st.Request.Path = root + "dates/" + at.Day.On.String()
	st.Request.Template = datesTemplate(p.cursor.Topic)
	st.Decode = p.date
	return at.Day.Page
}

// search is the search for the first day that the provider gives; nil: there is none.
func (p *topicState) search() *resume.DaySearch {
	if p.Day == nil {
		return nil
	}
	return p.Day.Search
}

// reopen begins a day anew that was open when its first pages were read, and is over now: it may have been closed since,
// with rows that those pages had not. Where it goes on as an open one, the days behind it have to wait for the next night.
func (p *pass) reopen() {
	at := p.cursor.at()
	d := at.Day
	if d == nil {
		return
	}
	over := d.On < p.stream.Today
	if d.Open && over {
		at.Day = &day{On: d.On, Chain: at.openingOf(d.On).Chain, Anew: true, Search: d.Search}
	}
}

const datesSuffix = "/dates/{date}"

func datesTemplate(topic string) string { return "/report/v2/ledgers/{ledger}/" + topic + datesSuffix }

// enter chooses the day to read, if none is being read: the one behind the last closed one, or the oldest wanted. A
// closed day never changes, so none is read again for its own sake.
func (p *pass) enter(at *topicState) {
	if at.Day != nil {
		return
	}
	d := &day{On: max(p.stream.Since, earliest)}
	if !at.Through.IsZero() {
		d.On = at.Through + 1
		d.Chain = at.Chain
	}
	if last := p.last(); d.On > last {
		*d = day{On: last} // nothing new; the last day once more, whose beginning the chain doesn't know
	}
	at.Day = d
}

// last is the newest day of a pass by dates.
func (p *pass) last() finance.Date {
	switch {
	case p.by == byFeed:
		return 0
	case p.stream.Until.IsZero():
		return max(earliest, p.stream.Today)
	}
	return max(earliest, min(p.stream.Until, p.stream.Today))
}

// narrow leads from a day that is refused, because it lies too long ago, to a later one.
func (p *pass) narrow(e *fetch.Error) (next string, ok bool) {
	if !fetch.RefusesDay(e) {
		return "", false
	}
	return p.refuse(p.cursor.at().Day)
}

func (p *pass) refuse(d *day) (next string, ok bool) {
	search, on, ok := d.Search.Refuse(d.On, p.last(), p.last())
	if !ok {
		return "", false
	}
	return p.lookAt(search, on), true
}

func (p *pass) lookAt(s resume.DaySearch, on finance.Date) string {
	c := p.cursor
	c.at().Day = &day{On: on, Search: &s}
	return cursorText(c)
}

// anew is where the present list begins: the day, or a feed whose cursor the provider has forgotten. A feed is read from
// the beginning of the ledger; the keys of its rows are what they were, so nothing doubles.
func (p *pass) anew() string {
	c := p.cursor
	at := c.at()
	if p.by == byFeed {
		*at = topicState{}
	} else {
		at.Day = nil
	}
	return cursorText(c)
}

// feed decides what follows an answer of the feed. The feed has no hasMore: tryLater says that we have caught up, and
// so does a position that doesn't move.
func (p *pass) feed(a *fetch.Answer) (fetch.Page, error) {
	at := p.cursor.at()
	got, err := p.read(a, at.Chain, 0)
	if err != nil {
		return fetch.Page{}, err
	}
	p.memory.begin(p.cursor.Topic, at.Feed == "")
	if p.memory.repeats(got) { // the position stays before it, and the numbers of its rows say nothing
		got.page.Records = finance.Records{}
		got.page.Partial = "the feed of " + p.cursor.Topic + " repeats itself although it says there is more"
		return p.caughtUp(got), nil
	}
	moved := !slices.Contains([]string{"", at.Feed}, got.cursor)
	if moved && got.null {
		got.page.AddMissing("an answer has no list of entries")
	}
	at.doubts(got, doubt{Feed: at.Feed, Chain: at.Chain})
	switch {
	case moved:
		at.Feed = got.cursor
		at.Chain = got.chain
		if !got.tryLater {
			return p.next(got), nil
		}
	case got.items == 0:
	case got.cursor == "":
		return fetch.Page{}, errors.New("the feed gives rows without a cursor to read on from")
	case !got.tryLater:
		got.page.AddMissing("the feed of " + p.cursor.Topic + " stays where it is although it says there is more")
	}
	return p.caughtUp(got), nil
}

// date decides what follows an answer for a day. Only a day that was closed on its last page counts as read; an open
// one ends the topic for today, whether or not it showed rows.
func (p *pass) date(a *fetch.Answer) (fetch.Page, error) {
	at := p.cursor.at()
	d := at.Day
	if a.Status == http.StatusNotFound {
		return p.notYet(a, d.On)
	}
	got, err := p.read(a, d.Chain, d.On)
	if err != nil {
		return fetch.Page{}, err
	}
	if search, on, ok := d.give(); ok {
		got.page.Next = p.lookAt(search, on)
		got.page.Partial = "" // the balances are compared when the day's turn comes
		return got.page, nil
	}
	if got.hasMore && slices.Contains([]string{"", d.Page}, got.cursor) {
		return fetch.Page{}, errors.New("the date has more rows but no cursor that leads to them")
	}
	open := d.Open || got.tryLater
	p.memory.begin(p.cursor.Topic, d.Page == "")
	switch {
	case p.memory.repeats(got): // the numbers of its rows say nothing
		got.page.Records = finance.Records{}
		got.page.Partial = fmt.Sprintf("the pages of %s repeat themselves although they say there is more", d.On)
		got.hasMore = false
		got.chain = d.Chain
	case got.null && !open:
		got.page.AddMissing(fmt.Sprintf("the answer for %s has no list of entries", d.On))
	}
	at.doubts(got, at.openingOf(d.On))
	if d.Search != nil && !got.hasMore { // no reason to come back: those days will never be given
		got.page.AddMissingDays(d.Search, d.On)
	}
	switch {
	case got.hasMore:
		at.Day = &day{On: d.On, Page: got.cursor, Open: open, Chain: got.chain, Anew: d.Anew, Search: d.Search}
		return p.next(got), nil
	case open:
		return p.caughtUp(got), nil
	}
	if d.On >= at.Through {
		at.Through = d.On
		at.Chain = got.chain
	}
	if d.On < p.last() {
		at.Day = &day{On: d.On + 1, Chain: got.chain}
		return p.next(got), nil
	}
	return p.caughtUp(got), nil
}

// give goes on with the search for the first day that is given, of which the present day is one: ok false where there is no
// search, or it is over.
func (d *day) give() (search resume.DaySearch, on finance.Date, ok bool) {
	if d.Search == nil || d.Page != "" {
		return search, 0, false
	}
	return d.Search.Give(d.On)
}

// notYet reads a 404 that did not say the ledger is not ours. In 2023 that was how an open date answered.
func (p *pass) notYet(a *fetch.Answer, on finance.Date) (fetch.Page, error) {
	d := p.cursor.at().Day
	old := on < p.stream.Today.AddDays(-openDays)
	if !old { // it will be given in its time
		if search, day, ok := d.give(); ok {
			return fetch.Page{Next: p.lookAt(search, day)}, nil
		}
	}
	if old && d.Page == "" {
		if next, ok := p.refuse(d); ok {
			return fetch.Page{Next: next}, nil
		}
	}
	if old {
		return fetch.Page{}, failed(a, finance.Rejected, "GET "+datesTemplate(p.cursor.Topic),
			fmt.Sprintf("there is no report of %s, which must be closed by now: %s", on, readProblem(a.Body).words()))
	}
	return p.caughtUp(&report{}), nil
}

// next ends a page of which the pass goes on.
func (p *pass) next(got *report) fetch.Page {
	got.page.Next = cursorText(p.cursor)
	return got.page
}

// caughtUp ends the topic: the fees follow the funds, and nothing follows the fees.
func (p *pass) caughtUp(got *report) fetch.Page {
	p.cursor.at().end()
	if p.cursor.Topic == funds {
		p.cursor.Topic = fees
		return p.next(got)
	}
	p.cursor.Topic = ""
	got.page.Done = true
	got.page.Behind = p.memory.inFees && p.stream.Until.IsZero()
	return p.next(got)
}
