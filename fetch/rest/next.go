package rest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// nextPage is the next page of the list, or nil at its end. moved says how the list has changed under the reader; empty: it
// has not.
func (p *pass) nextPage(d *decoder, header http.Header) (next *position, moved string, err error) {
	switch of := &p.Pagination; {
	case of.NextLink != nil:
		next, err = p.nextLink(d)
		return next, "", err
	case of.LinkHeader != nil:
		next, err = p.linkHeader(d, header)
		return next, "", err
	case of.Cursor != nil:
		next, err = p.cursored(d)
		return next, "", err
	case of.Page != nil, of.Offset != nil:
		return p.counted(d)
	}
	return nil, "", nil
}

// lead is the value that leads to the next page; empty: the list has ended. It is also empty where the answer does not have what it
// should say, and then the page is partial.
func (p *pass) lead(d *decoder, slots []int, at, hasMore Paths, words Words) (string, error) {
	if len(hasMore) > 0 {
		return p.leadIfMore(d, slots, hasMore, words)
	}
	p.ends.Full = max(p.ends.Full, d.count)
	raw, w := d.heard(slots)
	switch {
	case w == absent:
		return "", p.silence(d, at)
	case w == null, isEnd(raw, words):
		p.led.Note()
		p.ends.note(null)
		return "", nil
	}
	p.led.Note()
	return textOf(raw)
}

// leadIfMore is lead where the answer says in a word of its own whether there is more.
func (p *pass) leadIfMore(d *decoder, slots []int, hasMore Paths, words Words) (string, error) {
	more, err := p.hasMore(d, hasMore)
	if err != nil {
		return "", err
	}
	if !more {
		return "", nil
	}
	raw, w := d.heard(slots)
	if w != said || isEnd(raw, words) {
		return "", errors.New("the answer says that there is more, but not where")
	}
	return textOf(raw)
}

func (p *pass) nextLink(d *decoder) (*position, error) {
	of := p.Pagination.NextLink
	link, err := p.lead(d, p.link, of.Path, of.HasMore, of.Ends)
	if err != nil {
		return nil, fmt.Errorf("the next link can't be read: %w", err)
	}
	return p.linked(link, d)
}

func (p *pass) linkHeader(d *decoder, header http.Header) (*position, error) {
	values := header.Values("Link")
	if !readable(values) {
		d.page.AddMissing("the answer does not say whether there is more: its Link header can't be read")
		return nil, nil
	}
	return p.linked(linkTo(values, p.Pagination.LinkHeader.Rel), d)
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
	here, err := p.resolve("", p.follows(&p.request))
	if err != nil {
		return nil, err
	}
	if next.Address == here.Address {
		return nil, p.still(d)
	}
	d.page.More = true
	return &position{Link: next.Address}, nil
}

// still is for a page that leads to itself, as some APIs write an end. Where the answer says that there is more, it is none.
func (p *pass) still(d *decoder) error {
	if d.page.More {
		d.page.AddMissing("the list stays where it is although it says that there is more")
	}
	return nil
}

func (p *pass) cursored(d *decoder) (*position, error) {
	of := p.Pagination.Cursor
	after, err := p.lead(d, p.after, of.Path, of.HasMore, of.Ends)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the cursor can't be read: %w", err)
	case len(after) > longestText:
		return nil, errors.New("the cursor is too long")
	case after == "":
		return nil, nil
	case after == p.at.After:
		return nil, p.still(d)
	case d.revealing(after):
		return nil, errors.New("the cursor holds the person's national identity number, which must not stand in an address")
	}
	d.page.More = true
	return &position{After: after}, nil
}

// counted finds the next page of a list that is paged by number or by offset. What was received counts, not what was
// asked for: servers cap the size of a page.
func (p *pass) counted(d *decoder) (next *position, moved string, err error) {
	next = &position{
		Page: p.at.Page + 1, Offset: p.at.Offset + d.count, Total: p.at.Total, Pages: p.at.Pages,
	}
	if p.overlap == lastRecord {
		next.Offset--
	}
	if p.Pagination.Offset != nil {
		next.Page = 0
	}
	switch {
	case len(p.more) > 0:
		return p.flagged(next, d)
	case len(p.pages) > 0:
		return p.numbered(next, d)
	case len(p.total) > 0:
		return p.totalled(next, d)
	}
	if d.count == 0 {
		return nil, "", nil
	}
	return next, "", nil
}

func (p *pass) flagged(next *position, d *decoder) (*position, string, error) {
	more, err := p.hasMore(d, p.Pagination.hasMore())
	if err != nil {
		return nil, "", err
	}
	if !more {
		return nil, "", nil
	}
	return next, "", nil
}

// hasMore are the paths of has_more of a list that is paged by number or offset.
func (p *Pagination) hasMore() Paths {
	if p.Page != nil {
		return p.Page.HasMore
	}
	return p.Offset.HasMore
}

// told reads a count that an API may tell on the first page only; 0: it was not told so far.
func (d *decoder) told(slots []int, before int64) (int64, error) {
	raw, w := d.heard(slots)
	if w != said {
		return before, nil
	}
	n, err := wholeOf(raw)
	if err != nil || n < 0 {
		return 0, errNoCount
	}
	return n, nil
}

// numbered goes by the number of pages that the list has, or by the number of its last page.
func (p *pass) numbered(next *position, d *decoder) (*position, string, error) {
	pages, err := d.told(p.pages, p.at.Pages)
	if err != nil {
		return nil, "", errors.New("the answer does not say how many pages there are")
	}
	next.Pages = pages
	if pages == 0 { // never told, or none
		return untilEmpty(next, d)
	}
	last := pages
	if len(p.Pagination.Page.LastPage) > 0 {
		last += 1 - int64(p.Pagination.Page.first())
	}
	moved := ""
	if p.at.Pages > 0 && pages != p.at.Pages {
		moved = fmt.Sprintf("it has %d pages and had %d", pages, p.at.Pages)
	}
	if int64(next.Page) >= last {
		return nil, moved, nil
	}
	d.page.More = true
	if d.count == 0 {
		d.page.AddMissing(fmt.Sprintf("%d of %d pages are missing from the list", last-int64(next.Page), last))
		return nil, moved, nil
	}
	return next, moved, nil
}

// untilEmpty goes on until a page is empty.
func untilEmpty(next *position, d *decoder) (*position, string, error) {
	if d.count == 0 {
		return nil, "", nil
	}
	return next, "", nil
}

// totalled goes by the number of records that the list has. If it changes, or fewer different records come than it says,
// records have moved between the pages, and some may have slipped past the reader.
func (p *pass) totalled(next *position, d *decoder) (*position, string, error) {
	total, err := d.told(p.total, p.at.Total)
	if err != nil {
		return nil, "", errors.New("the answer does not say how many records there are")
	}
	next.Total = total
	if total == 0 {
		return untilEmpty(next, d)
	}
	moved := ""
	if p.at.Total > 0 && total != p.at.Total {
		moved = fmt.Sprintf("it has %d records and had %d", total, p.at.Total)
	}
	if int64(next.Offset) < total {
		d.page.More = true
		if d.count == 0 {
			d.page.AddMissing(fmt.Sprintf("%d of %d records are missing from the list", total-int64(next.Offset), total))
			return nil, moved, nil
		}
		return next, moved, nil
	}
	if twice := p.list.twice(d); p.list.begun && twice > 0 {
		moved = fmt.Sprintf("%d of its %d records were met twice", twice, total)
	}
	return nil, moved, nil
}

// parameters are the query parameters of the present page.
func (p *pass) parameters(q url.Values) {
	page := p.at.Page
	offset := p.at.Offset
	switch p.overlap {
	case lastRecord:
		offset--
	case lastPage:
		page--
	}
	switch of := &p.Pagination; {
	case of.Cursor != nil && p.at.After != "":
		q.Set(of.Cursor.Parameter, p.at.After)
	case of.Page != nil:
		q.Set(of.Page.Parameter, strconv.Itoa(of.Page.first()+page))
	case of.Offset != nil:
		q.Set(of.Offset.Parameter, strconv.Itoa(offset))
	}
}

// first is the number of the first page.
func (n *PageNumbers) first() int {
	if n.First == nil {
		return 1
	}
	return *n.First
}
