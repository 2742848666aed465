package sbanken

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/jsonread"
	"syncer/fetch/resume"
	"syncer/finance"
)

const (
	rowsVersion     = "sbanken-transactions-1"
	defaultLookback = 10 // days: bookings arrive up to four days late, and weekends come on top
	recentDays      = 30 // how far back the recent list is read; a reservation lives for days, rarely for weeks
	maxTries        = 8  // how often one list may move under us
	maxBack         = 2  // how often the archive is read again because the recent list knows more
)

// pass reads an account: first the archive, window by window, oldest first; then the recent list. A window is closed,
// and Through moves, only when its pages add up to the number of rows that the bank counts. A window with rows that
// could not be read is closed too, so that later days are had, but the next pass begins with it.
type pass struct {
	ctx      context.Context // of the reading, for what is asked of the store
	settings Settings
	stream   fetch.Stream
	cursor   cursor
	at       position
}

func (c *connector) transactions(ctx context.Context, s fetch.Stream, from string) (fetch.Step, error) {
	cur, err := readCursor(from, s.Today)
	if err != nil {
		return fetch.Step{}, err
	}
	if s.Account == "" || s.Today.IsZero() {
		return fetch.Step{}, fmt.Errorf("transactions are read for an account on a day, and the stream names none")
	}
	p := &pass{ctx: ctx, settings: c.settings, stream: s, cursor: cur}
	if cur.Pass != nil {
		p.at = *cur.Pass
	} else {
		p.at = p.begin()
		p.cursor.Again = 0
	}
	if p.at.List == recent && !s.Until.IsZero() {
		return fetch.Step{}, fmt.Errorf("the stored cursor is that of a normal run, and this is a backfill")
	}
	r := c.request(s.Task, calls.ForData)
	list := "Transactions/"
	set := recent
	if p.at.List == archive {
		list += "archive/"
		set = "" // nothing is declared whole of the archive
	}
	r.Path, r.Template, r.Query = list+url.PathEscape(s.Account), "/"+list+"{account}", p.query()
	st := fetch.Step{
		Request: r,
		// What follows a page depends on the cursor and on the days below, so a page is the same only where they are.
		Version: strings.Join([]string{rowsVersion, from, s.Since.String(), s.Until.String(), s.Today.String(), strconv.Itoa(s.Lookback)}, " "),
		First:   p.at.Index == 0,
		Set:     set,
		Decode:  p.decode,
	}
	if p.at.List == archive && st.First {
		st.Narrow = p.narrow
	}
	return st, nil
}

// narrow leads from a day that the bank refuses, because it lies too long ago, to a later one.
func (p *pass) narrow(e *fetch.Error) (next string, ok bool) {
	if !fetch.RefusesDay(e) {
		return "", false
	}
	end := p.end()
	newest := max(earliest, finance.NewDate(end.Time().Year(), time.January, 1))
	search, day, ok := p.at.Search.Refuse(p.at.From, newest, end)
	if !ok {
		return "", false
	}
	return p.lookAt(search, day), true
}

func (p *pass) lookAt(s resume.DaySearch, first finance.Date) string {
	at := p.window(first)
	at.Search = &s
	c := p.cursor
	c.Pass = &at
	return c.String()
}

// begin is where a new pass starts: the first one at the oldest day wanted, a later one as many days before Through as
// bookings arrive late, or where the last pass first met a row that it could not read. However long ago that is: a bound
// here would skip the days before it in silence.
func (p *pass) begin() position {
	first := max(p.stream.Since, earliest)
	if !p.cursor.Through.IsZero() {
		lookback := p.stream.Lookback
		if lookback <= 0 {
			lookback = defaultLookback
		}
		late := p.cursor.Through.AddDays(-lookback)
		if again := p.cursor.Again; !again.IsZero() {
			late = min(late, again)
		}
		if p.stream.Until.IsZero() {
			first = earliest
		}
		first = max(first, late)
	}
	if end := p.end(); first > end {
		first = end
	}
	return p.window(first)
}

// end is the last day of the pass.
func (p *pass) end() finance.Date {
	if !p.stream.Until.IsZero() {
		return max(earliest, min(p.stream.Until, p.stream.Today))
	}
	return p.stream.Today
}

func (p *pass) window(first finance.Date) position {
	return position{List: archive, From: first, To: min(yearEnd(first), p.end()), Back: p.at.Back}
}

// query asks for a page. The row before it is asked for once more, to see that the list has not moved. The recent list
// shows reservations only when no endDate is given; generation 1 answers an endDate of today with 500.
func (p *pass) query() url.Values {
	q := url.Values{
		"startDate": {p.at.From.String()},
		"index":     {strconv.Itoa(max(p.at.Index-1, 0))},
		"length":    {strconv.Itoa(p.settings.PageLength)},
	}
	if p.at.List == archive && p.takesEnd() {
		q.Set("endDate", p.at.To.String())
	}
	return q
}

// takesEnd says that the bank takes the last day of the window for an endDate.
func (p *pass) takesEnd() bool { return p.settings.APIVersion > 1 || p.at.To < p.stream.Today }

// answer is what one page tells.
type answer struct {
	list
	page     fetch.Page
	first    string // marks of the first and the last row; empty where a row could not be read
	last     string
	nameless bool // there are rows without an id
	archived int  // archived rows from a given day on
	oldest   finance.Date
}

func (p *pass) decode(a *fetch.Answer) (fetch.Page, error) {
	over := p.at.Over
	if p.at.List == archive {
		over = p.overlap()
	}
	d := reader{
		rows: rowReader{s: jsonread.Scan(a.Body), account: p.stream.Account},
		at:   &p.at, over: over,
	}
	d.got.page.Records.Transactions = make([]finance.Transaction, 0, len(a.Body)/400+1)
	var err error
	if d.got.list, err = readList(d.rows.s, d.items); err != nil {
		return fetch.Page{}, err
	}
	if err := p.stream.Vet(p.ctx, &d.got.page); err != nil {
		return fetch.Page{}, err
	}
	d.got.page.Seen = d.got.items
	if p.at.List == archive {
		return p.afterArchive(&d.got)
	}
	return p.afterRecent(&d.got)
}

// overlap is the first day of the window that the recent list will show too.
func (p *pass) overlap() finance.Date { return max(p.at.From, p.recentFrom()) }

func (p *pass) recentFrom() finance.Date { return max(earliest, p.stream.Today.AddDays(-recentDays)) }

// change is what speaks against an answer being a page of the list that the page before was of.
type change int

const (
	atRest     change = iota
	moved             // the list has changed since the page before
	miscounted        // it counts more rows than it shows, or fewer
)

// behind is how many rows of the list are read once the answer is, and whether the list has changed since the last page.
func (p *pass) behind(got *answer) (rows int, is change) {
	rows = p.at.Index + got.items
	if p.at.Index > 0 {
		rows--
		if got.available != p.at.Total || !sameMark(got.first, p.at.Last) {
			return rows, moved
		}
	}
	left := got.available - int64(rows)
	switch {
	case left < 0, left > 0 && rows <= p.at.Index:
		return rows, miscounted
	}
	return rows, atRest
}

// tired says that a list was read often enough. One that does not count what it shows is read again once: it may have moved
// at that very moment.
func (p *pass) tired(is change) bool {
	if is == miscounted {
		return p.at.Tries > 0
	}
	return p.at.Tries >= maxTries
}

// afterArchive decides what follows a page of a window.
func (p *pass) afterArchive(got *answer) (fetch.Page, error) {
	if search, day, ok := p.give(); ok {
		got.page.Next = p.lookAt(search, day)
		return got.page, nil
	}
	rows, is := p.behind(got)
	at := p.at
	at.Tail += got.archived
	if got.page.Holds() {
		p.lacking()
	}
	last := int64(rows) >= got.available
	inOneAnswer := last && p.at.Index == 0
	switch {
	case is != atRest:
		return p.smaller(got, is)
	case got.nameless && !inOneAnswer:
		// Rows without an id are numbered within one answer, so their day must fit into one.
		return p.smaller(got, moved)
	case !last:
		at.Index = rows
		at.Total = got.available
		at.Last = got.last
		return p.next(got, &at), nil
	}
	if err := p.unlisted(got, finance.Extent{Status: finance.Booked, From: at.From, To: at.To}); err != nil {
		return fetch.Page{}, err
	}
	if got.page.Partial != "" {
		p.lacking()
	}
	return p.closed(got, at)
}

// give goes on with the search for the first day that the bank gives; ok false where there is none, or it is over.
func (p *pass) give() (search resume.DaySearch, day finance.Date, ok bool) {
	if p.at.Search == nil || p.at.Index > 0 {
		return search, 0, false
	}
	return p.at.Search.Give(p.at.From)
}

// unlisted finds out whether something is missing from a list whose items are null. It is not if no rows of it are known.
func (p *pass) unlisted(got *answer, set finance.Extent) error {
	if !got.null || p.at.Index > 0 {
		return nil
	}
	others, err := p.stream.Others(p.ctx, set, nil)
	if others {
		got.page.Partial = "the answer has no list of transactions, and some are known"
	}
	return err
}

// lacking notes that something of the window could not be had, so that the next pass begins with it.
func (p *pass) lacking() {
	if p.cursor.Again.IsZero() {
		p.cursor.Again = p.at.From
	}
	p.cursor.Again = min(p.cursor.Again, p.at.From)
}

// closed decides what follows a window.
func (p *pass) closed(got *answer, at position) (fetch.Page, error) {
	p.cursor.Through = max(p.cursor.Through, at.To)
	if s := at.Search; s != nil { // no reason to come back: those days will never be given
		got.page.AddMissing(s.Missing(at.From))
	}
	switch {
	case at.To < p.end():
		next := p.window(at.To + 1)
		return p.next(got, &next), nil
	case !p.stream.Until.IsZero():
		return p.done(got), nil
	}
	return p.next(got, &position{List: recent, From: p.recentFrom(), Over: p.overlap(), Tail: at.Tail, Back: at.Back}), nil
}

// smaller reads the window again, half of it if it has several days and the list has moved. What moves is the newest end of
// the list, so a window soon holds only what rests, or fits into one answer, which can't move. A window that never rests
// is left: later days are had all the same, and the next pass begins with it.
func (p *pass) smaller(got *answer, is change) (fetch.Page, error) {
	at := position{List: archive, From: p.at.From, To: p.at.To, Back: p.at.Back, Tries: p.at.Tries + 1, Search: p.at.Search}
	if is == moved && at.From < at.To {
		at.To -= (at.To - at.From + 1) / 2
		at.Tries = 0
	} else if p.tired(is) {
		rows, _ := p.behind(got)
		got.page.Partial = restless(rows, got)
		p.lacking()
		at = p.at
		at.Tail += got.archived
		return p.closed(got, at)
	}
	got.page.Moved = "the list of a window has moved, or has rows that only one answer can tell apart"
	return p.next(got, &at), nil
}

// restless says that a list was left although it never rested, or counts rows that it does not show.
func restless(rows int, got *answer) string {
	return fmt.Sprintf("the list kept changing, or does not count what it shows: %d rows, and %d were shown", got.available, rows)
}

// afterRecent decides what follows a page of the recent list. The last page declares the set whole: every row with a
// made id that was not in this reading has been archived, or has lapsed.
func (p *pass) afterRecent(got *answer) (fetch.Page, error) {
	rows, is := p.behind(got)
	at := p.at
	at.Seen += got.archived
	switch {
	case is != atRest && p.tired(is):
		if at.Index > 0 {
			got.page.Records = finance.Records{} // see beginAnew
		}
		got.page.Partial = restless(rows, got)
		return p.done(got), nil
	case is != atRest:
		return p.beginAnew(got), nil
	case int64(rows) < got.available:
		at.Index = rows
		at.Total = got.available
		at.Last = got.last
		for i := range got.page.Records.Transactions {
			at.Earlier = append(at.Earlier, got.page.Records.Transactions[i].ID)
		}
		return p.next(got, &at), nil
	case at.Seen > at.Tail && at.Back < maxBack:
		p.at.Back++
		next := p.window(at.Over)
		return p.next(got, &next), nil
	}
	if err := p.unlisted(got, finance.Extent{Prefix: recentPrefix}); err != nil {
		return fetch.Page{}, err
	}
	page := p.done(got)
	if !page.Hidden() && !got.null {
		page.Whole = &finance.Whole{Prefix: p.wholePrefix(got)}
	}
	return page, nil
}

// beginAnew reads the recent list again. Nothing of the page is kept: its rows have no ids, and their numbers count those of
// the pages before, which may show up once more in a list that has moved.
func (p *pass) beginAnew(got *answer) fetch.Page {
	got.page = fetch.Page{Seen: got.items, Moved: "the recent list has moved"}
	at := p.at
	return p.next(got, &position{List: recent, From: at.From, Over: at.Over, Tail: at.Tail, Back: at.Back, Tries: at.Tries + 1})
}

// wholePrefix is what the made ids of the set begin with. In January the list begins in the old year, and the bank has
// been seen to leave that part out. If no row of the old year is there, the list speaks for the new year only.
func (p *pass) wholePrefix(got *answer) string {
	year := p.stream.Today.Time().Year()
	showsOldYear := !got.oldest.IsZero() && got.oldest <= yearEnd(p.at.From)
	if showsOldYear || p.at.From.Time().Year() == year {
		return recentPrefix
	}
	return fmt.Sprintf("%s%d-", recentPrefix, year)
}

func (p *pass) next(got *answer, at *position) fetch.Page {
	c := p.cursor
	c.Pass = at
	got.page.Next = c.String()
	return got.page
}

func (p *pass) done(got *answer) fetch.Page {
	got.page.Next = cursor{V: 1, Through: p.cursor.Through, Again: p.cursor.Again}.String()
	got.page.Done = true
	// A pass that was broken off in the recent list has read the archive up to the day of its beginning.
	got.page.Behind = p.stream.Until.IsZero() && p.cursor.Through < p.stream.Today
	return got.page
}
