package rest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"syncer/fetch"
	"syncer/finance"
)

const (
	// mostTries is how often a list that moves under the reader is read again before what was read is called partial.
	mostTries = 3
	// defaultLookback is how many days before the watermark are read again where the job says nothing.
	defaultLookback = 10
	// earliest is the first day that is asked for, 2000-01-01: a stream that names none must not begin with the year 1.
	earliest finance.Date = 730120
)

// pass reads a stream: window by window, oldest first, and page by page within each.
type pass struct {
	*plan
	stream  *fetch.Stream
	through finance.Date // the watermark before the pass
	again   finance.Date // see cursor.Again
	at      position
	asked   map[string]string // what the placeholders stand for
	request fetch.Request     // of the present page
	resolve func(link string, f fetch.Follow) (fetch.Link, error)
}

// begin is where a new pass starts: at the oldest day wanted, or as many days before the watermark as records come late,
// or where the last pass first met something that it could not have.
func (p *pass) begin() position {
	if !p.dated {
		return position{}
	}
	first := max(p.stream.Since, earliest)
	if !p.through.IsZero() {
		lookback := p.stream.Lookback
		if lookback <= 0 {
			lookback = defaultLookback
		}
		late := p.through.AddDays(-lookback)
		if !p.again.IsZero() {
			late = min(late, p.again)
		}
		first = max(first, late)
	}
	end := p.stream.Today
	if !p.stream.Until.IsZero() {
		end = min(p.stream.Until, end)
	}
	first = min(first, end)
	return position{From: first, To: p.windowEnd(first, end), End: end}
}

func (p *pass) windowEnd(from, end finance.Date) finance.Date {
	if p.Pagination.Windows == nil {
		return end
	}
	return min(end, from.AddDays(p.Pagination.Windows.Days-1))
}

// last says that the present window is the pass's last.
func (p *pass) last() bool { return p.at.To == p.at.End }

// current says that the pass reaches today, so that what is pending is shown: one that was begun yesterday ends there.
func (p *pass) current() bool { return !p.dated || p.at.End >= p.stream.Today }

// together says that the present page belongs to a set that is declared whole at the end of the pass.
func (p *pass) together() bool {
	return p.Pagination.paged() && (p.Whole || p.wholePending && p.last() && p.current())
}

// decode reads an answer and finds out where the pass goes on.
func (p *pass) decode(a *fetch.Answer) (fetch.Page, error) {
	d := newDecoder(p.plan, p.stream, p.asked, p.at.Earlier)
	if err := d.read(a); err != nil {
		return fetch.Page{}, err
	}
	d.page.Seen = d.count
	next, err := p.follow(d, a.Header)
	if err != nil {
		return fetch.Page{}, err
	}
	lacking := d.page.Partial != "" || len(d.page.Rejects) > 0
	spoilt := p.at.Spoilt || lacking
	if p.dated && lacking && (p.again.IsZero() || p.at.From < p.again) {
		p.again = p.at.From
	}
	if next == nil {
		d.page.Done = true
		if !spoilt {
			d.page.Whole = p.whole()
		}
		if p.dated {
			d.page.Next = cursor{V: 1, Through: p.at.End, Again: p.again}.String()
		}
		return d.page, nil
	}
	next.Spoilt = spoilt
	if len(next.Earlier) > mostEarlier {
		return fetch.Page{}, fmt.Errorf("more than %d records whose ids must be kept: describe narrower windows, or ids of the API's own", mostEarlier)
	}
	d.page.Next = cursor{V: 1, Through: p.through, Again: p.again, Pass: next}.String()
	return d.page, nil
}

// whole is what the pass, now at its end, has shown all of.
func (p *pass) whole() *finance.Whole {
	switch {
	case p.Whole:
		return &finance.Whole{Earlier: p.at.Earlier}
	case p.wholePending && p.current():
		return &finance.Whole{Status: finance.Pending, Earlier: p.at.Earlier}
	}
	return nil
}

// follow is the next position, or nil at the end of the pass.
func (p *pass) follow(d *decoder, header http.Header) (*position, error) {
	next, moved, err := p.nextPage(d, header)
	switch {
	case err != nil:
		return nil, err
	case moved && p.at.Tries < mostTries: // the window is read again, and what was made on its pages is forgotten
		return &position{
			From: p.at.From, To: p.at.To, End: p.at.End, Tries: p.at.Tries + 1,
			Earlier: p.at.Earlier[:p.at.Base], Base: p.at.Base,
		}, nil
	case moved:
		d.page.Partial = "the list kept changing while it was read"
	}
	earlier := append(p.at.Earlier[:len(p.at.Earlier):len(p.at.Earlier)], d.ids...)
	if next != nil {
		next.From, next.To, next.End, next.Tries = p.at.From, p.at.To, p.at.End, p.at.Tries
		next.Earlier, next.Base = earlier, p.at.Base
		return next, nil
	}
	if p.last() || !p.dated {
		return nil, nil
	}
	from := p.at.To + 1
	return &position{From: from, To: p.windowEnd(from, p.at.End), End: p.at.End, Earlier: earlier, Base: len(earlier)}, nil
}

// nextPage is the next page of the list, or nil at its end. moved says that the list has changed under the reader.
func (p *pass) nextPage(d *decoder, header http.Header) (next *position, moved bool, err error) {
	switch of := &p.Pagination; {
	case of.NextLink != nil:
		link, err := textOf(d.found.first(p.link))
		if err != nil {
			return nil, false, errors.New("the next link is not a text")
		}
		next, err = p.linked(link, d)
		return next, false, err
	case of.LinkHeader != nil:
		next, err = p.linked(linkTo(header.Values("Link"), of.LinkHeader.Rel), d)
		return next, false, err
	case of.Cursor != nil:
		next, err = p.cursored(d)
		return next, false, err
	case of.Page != nil, of.Offset != nil:
		return p.counted(d)
	}
	return nil, false, nil
}

func (p *pass) linked(link string, d *decoder) (*position, error) {
	if link == "" {
		return nil, nil
	}
	if d.revealing(link) {
		return nil, errors.New("the next link holds the person's national identity number, which must not stand in an address")
	}
	next, err := p.resolve(link, p.follows(&p.request))
	if err != nil {
		return nil, err
	}
	if next.Address == p.at.Link {
		return nil, errors.New("the next link leads to the same page again")
	}
	return &position{Link: next.Address}, nil
}

func (p *pass) cursored(d *decoder) (*position, error) {
	after, err := textOf(d.found.first(p.after))
	if err != nil || len(after) > longestText {
		return nil, errors.New("the cursor is not a text, or too long")
	}
	if len(p.more) > 0 {
		more, err := boolOf(d.found.first(p.more))
		switch {
		case err != nil:
			return nil, errors.New("the answer does not say whether there is more")
		case !more:
			return nil, nil
		case after == "":
			return nil, errors.New("the answer says that there is more, but has no cursor")
		}
	}
	switch {
	case after == "":
		return nil, nil
	case after == p.at.After:
		return nil, errors.New("the cursor is the same as before: the list would never end")
	case d.revealing(after):
		return nil, errors.New("the cursor holds the person's national identity number, which must not stand in an address")
	}
	return &position{After: after}, nil
}

// counted finds the next page of a list that is paged by number or by offset. What was received counts, not what was
// asked for: servers cap the size of a page.
func (p *pass) counted(d *decoder) (next *position, moved bool, err error) {
	next = &position{Page: p.at.Page + 1, Offset: p.at.Offset + d.count, Total: p.at.Total}
	if p.Pagination.Offset != nil {
		next.Page = 0
	}
	switch {
	case len(p.more) > 0:
		more, err := boolOf(d.found.first(p.more))
		if err != nil {
			return nil, false, errors.New("the answer does not say whether there is more")
		}
		if more && d.count == 0 { // it could go on so for ever
			return nil, false, errors.New("the answer says that there is more, but has no records")
		}
		return orEnd(next, !more), false, nil
	case len(p.pages) > 0:
		pages, err := wholeOf(d.found.first(p.pages))
		if err != nil || pages < 0 {
			return nil, false, errors.New("the answer does not say how many pages there are")
		}
		if d.count == 0 && int64(next.Page) < pages {
			d.page.Partial = fmt.Sprintf("%d of %d pages are missing from the list", pages-int64(next.Page), pages)
			return nil, false, nil
		}
		return orEnd(next, int64(next.Page) >= pages), false, nil
	case len(p.total) > 0:
		return p.totalled(next, d)
	}
	return orEnd(next, d.count == 0), false, nil
}

// totalled goes by the number of records that the list has. If it changes, records have moved between the pages, and
// some may have slipped past the reader.
func (p *pass) totalled(next *position, d *decoder) (*position, bool, error) {
	total, err := wholeOf(d.found.first(p.total))
	if err != nil || total < 0 {
		return nil, false, errors.New("the answer does not say how many records there are")
	}
	if p.at.Offset > 0 && total != p.at.Total {
		return orEnd(next, d.count == 0 || int64(next.Offset) >= total).with(total), true, nil
	}
	if d.count == 0 && int64(next.Offset) < total {
		d.page.Partial = fmt.Sprintf("%d of %d records are missing from the list", total-int64(next.Offset), total)
		return nil, false, nil
	}
	return orEnd(next, int64(next.Offset) >= total).with(total), false, nil
}

func orEnd(next *position, end bool) *position {
	if end {
		return nil
	}
	return next
}

// with notes the total; nothing, on nothing.
func (p *position) with(total int64) *position {
	if p != nil {
		p.Total = total
	}
	return p
}

// parameters are the query parameters of the present page.
func (p *pass) parameters(q url.Values) {
	switch of := &p.Pagination; {
	case of.Cursor != nil && p.at.After != "":
		q.Set(of.Cursor.Parameter, p.at.After)
	case of.Page != nil:
		first := 1
		if of.Page.First != nil {
			first = *of.Page.First
		}
		q.Set(of.Page.Parameter, strconv.Itoa(first+p.at.Page))
	case of.Offset != nil:
		q.Set(of.Offset.Parameter, strconv.Itoa(p.at.Offset))
	}
}
