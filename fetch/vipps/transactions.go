package vipps

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"syncer/fetch"
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
	settings Settings
	stream   fetch.Stream
	by       string
	cursor   cursor
}

func (c *connector) transactions(s fetch.Stream, from string) (fetch.Step, error) {
	if s.Account == "" || s.Today.IsZero() {
		return fetch.Step{}, errors.New("transactions are read for a ledger on a day, and the stream names none")
	}
	p := &pass{settings: c.settings, stream: s, by: c.settings.ReadBy}
	if !s.Until.IsZero() {
		p.by = byDates // a feed knows no bounds
	}
	var err error
	if p.cursor, err = readCursor(from, p.by, s.Since, s.Today); err != nil {
		return fetch.Step{}, err
	}
	st := fetch.Step{Request: c.request(s.Scope, finance.ForData)}
	if c.settings.IncludeGDPR {
		st.Request.Query.Set("includeGDPRSensitiveData", "true")
	}
	root := "report/v2/ledgers/" + url.PathEscape(s.Account) + "/" + p.cursor.Topic + "/"
	st.Request.Template = "/report/v2/ledgers/{ledger}/" + p.cursor.Topic + "/feed"
	at := p.cursor.at()
	page := at.Feed
	if p.by == byFeed {
		st.Request.Path, st.Tail, st.Decode = root+"feed", true, p.feed
	} else {
		p.enter(at)
		page = at.Day.Page
		st.Request.Path, st.Request.Template = root+"dates/"+at.Day.On.String(), datesTemplate(p.cursor.Topic)
		st.Decode = p.date
	}
	if page != "" {
		st.Request.Query.Set("cursor", page)
	}
	st.Place = st.Request.Path + " " + page // the position holds the chain too, which moves on even in a circle
	if at.Feed != "" && p.by == byFeed || at.Day != nil && at.Day.Page != "" {
		st.Anew = p.anew
	}
	st.First = p.by == byDates && page == ""
	// What follows a page depends on the cursor and on the days below, so a page is the same only where they are.
	st.Version = strings.Join([]string{rowsVersion, cursorText(p.cursor), s.Until.String(), p.last().String()}, " ")
	return st, nil
}

const datesSuffix = "/dates/{date}"

func datesTemplate(topic string) string { return "/report/v2/ledgers/{ledger}/" + topic + datesSuffix }

// enter chooses the day to read, if none is being read: the one behind the last closed one, or the oldest wanted. A
// closed day never changes, so none is read again for its own sake.
func (p *pass) enter(at *place) {
	if at.Day != nil {
		return
	}
	d := &day{On: max(p.stream.Since, earliest)}
	if !at.Through.IsZero() {
		d.On, d.Chain = at.Through+1, at.Chain
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

// anew is where the present list begins: the day, or a feed whose cursor the provider has forgotten. A feed is read from
// the beginning of the ledger; the keys of its rows are what they were, so nothing doubles.
func (p *pass) anew() string {
	c := p.cursor
	at := c.at()
	if p.by == byFeed {
		*at = place{}
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
	at.doubts(got, doubt{Feed: at.Feed, Chain: at.Chain})
	moved := got.cursor != "" && got.cursor != at.Feed
	switch {
	case moved:
		at.Feed, at.Chain = got.cursor, got.chain
	case got.cursor == "" && got.items > 0:
		return fetch.Page{}, errors.New("the feed gives rows without a cursor to read on from")
	case got.items > 0 && !got.tryLater:
		got.page.Partial = joined(got.page.Partial, "the feed of "+p.cursor.Topic+" stays where it is although it says there is more")
	}
	if moved && !got.tryLater {
		return p.next(got), nil
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
	if got.hasMore && (got.cursor == "" || got.cursor == d.Page) {
		return fetch.Page{}, errors.New("the date has more rows but no cursor that leads to them")
	}
	at.doubts(got, at.openingOf(d.On))
	open := d.Open || got.tryLater
	switch {
	case got.hasMore:
		at.Day = &day{On: d.On, Page: got.cursor, Open: open, Chain: got.chain}
		return p.next(got), nil
	case open:
		return p.caughtUp(got), nil
	}
	if d.On >= at.Through {
		at.Through, at.Chain = d.On, got.chain
	}
	if d.On < p.last() {
		at.Day = &day{On: d.On + 1, Chain: got.chain}
		return p.next(got), nil
	}
	return p.caughtUp(got), nil
}

// notYet reads a 404 that did not say the ledger is not ours. In 2023 that was how an open date answered.
func (p *pass) notYet(a *fetch.Answer, on finance.Date) (fetch.Page, error) {
	if on < p.stream.Today.AddDays(-openDays) {
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
	return p.next(got)
}

func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}
