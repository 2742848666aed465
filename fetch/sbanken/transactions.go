package sbanken

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"syncer/fetch"
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
	settings Settings
	stream   fetch.Stream
	cursor   cursor
	at       position
}

func (c *connector) transactions(s fetch.Stream, from string) (fetch.Step, error) {
	cur, err := readCursor(from, s.Today)
	if err != nil {
		return fetch.Step{}, err
	}
	if s.Account == "" || s.Today.IsZero() {
		return fetch.Step{}, fmt.Errorf("transactions are read for an account on a day, and the stream names none")
	}
	p := &pass{settings: c.settings, stream: s, cursor: cur}
	if cur.Pass != nil {
		p.at = *cur.Pass
	} else {
		p.at = p.begin()
		p.cursor.Again = 0
	}
	if p.at.List == recent && !s.Until.IsZero() {
		return fetch.Step{}, fmt.Errorf("the stored cursor is that of a normal run, and this is a backfill")
	}
	r := c.request(s.Scope, finance.ForData)
	list, set := "Transactions/", recent
	if p.at.List == archive {
		list += "archive/"
		set = "" // nothing is declared whole of the archive
	}
	r.Path, r.Template, r.Query = list+url.PathEscape(s.Account), "/"+list+"{account}", p.query()
	return fetch.Step{
		Request: r,
		// What follows a page depends on the cursor and on the days below, so a page is the same only where they are.
		Version: strings.Join([]string{rowsVersion, from, s.Since.String(), s.Until.String(), s.Today.String(), strconv.Itoa(s.Lookback)}, " "),
		First:   p.at.Index == 0,
		Set:     set,
		Decode:  p.decode,
	}, nil
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
	if p.at.List == archive && (p.settings.APIVersion > 1 || p.at.To < p.stream.Today) {
		q.Set("endDate", p.at.To.String())
	}
	return q
}

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
		rows: rowReader{s: fetch.Scan(a.Body), account: p.stream.Account},
		at:   &p.at, over: over,
	}
	d.got.page.Records.Transactions = make([]finance.Transaction, 0, len(a.Body)/400+1)
	var err error
	if d.got.list, err = readList(d.rows.s, d.items); err != nil {
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

// behind is how many rows of the list are read once the answer is, and whether the list has moved since the last page.
func (p *pass) behind(got *answer) (rows int, moved bool) {
	rows = p.at.Index + got.items
	if p.at.Index > 0 {
		rows--
		moved = got.available != p.at.Total || got.first != "" && p.at.Last != "" && got.first != p.at.Last
	}
	stuck := rows <= p.at.Index && int64(rows) < got.available
	return rows, moved || stuck || int64(rows) > got.available
}

// afterArchive decides what follows a page of a window.
func (p *pass) afterArchive(got *answer) (fetch.Page, error) {
	rows, moved := p.behind(got)
	at := p.at
	at.Tail += got.archived
	if len(got.page.Rejects) > 0 && (p.cursor.Again.IsZero() || at.From < p.cursor.Again) {
		p.cursor.Again = at.From
	}
	last := int64(rows) >= got.available
	switch {
	case moved || got.nameless && !(last && p.at.Index == 0):
		// Rows without an id are numbered within one answer, so their day must fit into one.
		return p.smaller(got)
	case !last:
		at.Index, at.Total, at.Last = rows, got.available, got.last
		return p.next(got, &at), nil
	}
	p.cursor.Through = max(p.cursor.Through, at.To)
	switch {
	case at.To < p.end():
		next := p.window(at.To + 1)
		return p.next(got, &next), nil
	case !p.stream.Until.IsZero():
		return p.done(got), nil
	}
	return p.next(got, &position{List: recent, From: p.recentFrom(), Over: p.overlap(), Tail: at.Tail, Back: at.Back}), nil
}

// smaller reads the window again, half of it if it has several days. What moves is the newest end of the list, so a
// window soon holds only what rests, or fits into one answer, which can't move.
func (p *pass) smaller(got *answer) (fetch.Page, error) {
	at := position{List: archive, From: p.at.From, To: p.at.To - (p.at.To-p.at.From+1)/2, Back: p.at.Back}
	if at.To == p.at.To {
		at.Tries = p.at.Tries + 1
	}
	if at.Tries > maxTries {
		return fetch.Page{}, p.restless()
	}
	return p.next(got, &at), nil
}

func (p *pass) restless() error {
	return &fetch.Error{Class: finance.Transient, Op: "GET /Transactions", Reason: fmt.Sprintf("the list changed under each of %d readings", maxTries)}
}

// afterRecent decides what follows a page of the recent list. The last page declares the set whole: every row with a
// made id that was not in this reading has been archived, or has lapsed.
func (p *pass) afterRecent(got *answer) (fetch.Page, error) {
	rows, moved := p.behind(got)
	at := p.at
	at.Seen += got.archived
	switch {
	case moved && at.Tries == maxTries:
		return fetch.Page{}, p.restless()
	case moved:
		return p.next(got, &position{List: recent, From: at.From, Over: at.Over, Tail: at.Tail, Back: at.Back, Tries: at.Tries + 1}), nil
	case int64(rows) < got.available:
		at.Index, at.Total, at.Last = rows, got.available, got.last
		for i := range got.page.Records.Transactions {
			at.Earlier = append(at.Earlier, got.page.Records.Transactions[i].ID)
		}
		return p.next(got, &at), nil
	case at.Seen > at.Tail && at.Back < maxBack:
		p.at.Back++
		next := p.window(at.Over)
		return p.next(got, &next), nil
	}
	page := p.done(got)
	if len(page.Rejects) == 0 {
		page.Whole = &finance.Whole{Prefix: p.wholePrefix(got)}
	}
	return page, nil
}

// wholePrefix is what the made ids of the set begin with. In January the list begins in the old year, and the bank has
// been seen to leave that part out. If no row of the old year is there, the list speaks for the new year only.
func (p *pass) wholePrefix(got *answer) string {
	if p.at.From.Time().Year() == p.stream.Today.Time().Year() || !got.oldest.IsZero() && got.oldest <= yearEnd(p.at.From) {
		return recentPrefix
	}
	return fmt.Sprintf("%s%d-", recentPrefix, p.stream.Today.Time().Year())
}

func (p *pass) next(got *answer, at *position) fetch.Page {
	c := p.cursor
	c.Pass = at
	got.page.Next = c.String()
	return got.page
}

func (p *pass) done(got *answer) fetch.Page {
	got.page.Next, got.page.Done = cursor{V: 1, Through: p.cursor.Through, Again: p.cursor.Again}.String(), true
	return got.page
}
