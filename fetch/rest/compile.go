package rest

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"syncer/finance"
)

// compiledReading is one dataset of a description, ready to be read.
type compiledReading struct {
	*Reading
	dataset      finance.Dataset
	version      string // of the description: part of every page's key
	wholePending bool
	zone         *time.Location

	path    template
	leadsTo []template // other paths that links may lead to
	query   templates
	headers templates
	echoes  templates // by path
	used    []string  // the placeholders of the request
	dated   bool      // the request names {since} or {until}
	account bool      // the request names {account}

	envelope *shape
	subject  []int
	repeated [][]int // the slots of echoes
	link     []int
	after    []int
	more     []int
	pages    []int
	total    []int
	signs    []int // the slots of Partial

	sameAs []string // see finance.Whole

	record *shape
	owner  []int // the slots of RecordSubject
	into   table
}

// table makes records of one kind.
type table interface {
	// own is the API's own key of the record that has these values; empty: it has none.
	own(v values) string
	// take adds the record that has these values to the page, or says why it can't be read.
	take(d *decoder, list *List, v values, place int32) error
}

// versionOf names a description, and this way of reading it.
func versionOf(text []byte) string {
	sum := sha256.Sum256(text)
	return fmt.Sprintf("rest-2 %x", sum[:8])
}

// compile makes the readings of a description that was checked, by dataset.
func compile(d *Description, version string) (map[finance.Dataset]*compiledReading, error) {
	zone, err := zoneOf(d.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("time_zone: %w", err)
	}
	readings := map[finance.Dataset]*compiledReading{}
	add := func(dataset finance.Dataset, r *Reading) *compiledReading {
		p := &compiledReading{Reading: r, dataset: dataset, version: version, zone: zone, envelope: newShape(), record: newShape()}
		readings[dataset] = p
		return p
	}
	if a := d.Datasets.Accounts; a != nil {
		p := add(finance.Accounts, &a.Reading)
		p.sameAs = a.sameAs()
		p.into, err = newAccountTable(a, p)
		if err != nil {
			return nil, err
		}
	}
	if t := d.Datasets.Transactions; t != nil {
		p := add(finance.Transactions, &t.Reading)
		p.wholePending = t.WholePending
		if p.into, err = newTransactionTable(t, p); err != nil {
			return nil, err
		}
	}
	if t := d.Datasets.Debt; t != nil {
		p := add(finance.Debts, &t.Reading)
		if p.into, err = newDebtTable(t, p); err != nil {
			return nil, err
		}
	}
	for _, p := range readings {
		if err := p.compile(); err != nil {
			return nil, err
		}
	}
	return readings, nil
}

func (p *compiledReading) compile() (err error) {
	if p.path, err = parseTemplate(p.Request.Path); err != nil {
		return err
	}
	_, targets := p.Pagination.links()
	for _, target := range targets {
		t, err := parseTemplate(target)
		if err != nil {
			return err
		}
		p.leadsTo = append(p.leadsTo, t)
	}
	if p.query, err = parseTemplates(p.Request.Query); err != nil {
		return err
	}
	if p.headers, err = parseTemplates(p.Request.Headers); err != nil {
		return err
	}
	if p.echoes, err = parseTemplates(p.Echoes); err != nil {
		return err
	}
	p.used = p.Request.placeholders()
	p.dated = slices.Contains(p.used, forSince) || slices.Contains(p.used, forUntil)
	p.account = slices.Contains(p.used, forAccount)

	e := p.envelope
	for i := range p.Records {
		e.find(p.Records[i].Path).list = i + 1
	}
	p.subject = e.slots(p.Subject)
	for _, echo := range p.echoes {
		p.repeated = append(p.repeated, e.slots(Paths{echo.name}))
	}
	for i := range p.Partial {
		p.signs = append(p.signs, e.slots(Paths{p.Partial[i].Path})...)
	}
	p.compilePagination()
	p.owner = p.record.slots(p.RecordSubject)
	p.record.slots(p.Drop) // taken out, and read by nobody
	return nil
}

func (p *compiledReading) compilePagination() {
	e := p.envelope
	of := &p.Pagination
	switch {
	case of.NextLink != nil:
		p.link, p.more = e.slots(of.NextLink.Path), e.slots(of.NextLink.HasMore)
	case of.Cursor != nil:
		p.after, p.more = e.slots(of.Cursor.Path), e.slots(of.Cursor.HasMore)
	case of.Page != nil:
		p.more, p.total = e.slots(of.Page.HasMore), e.slots(of.Page.Total)
		p.pages = e.slots(append(of.Page.Pages[:len(of.Page.Pages):len(of.Page.Pages)], of.Page.LastPage...))
	case of.Offset != nil:
		p.more, p.total = e.slots(of.Offset.HasMore), e.slots(of.Offset.Total)
	}
}

// paged says that the dataset takes more than one call.
func (p *Pagination) paged() bool { return len(p.kinds()) > 0 || p.Windows != nil }

// counts says that the list is paged by number or by offset.
func (p *Pagination) counts() bool { return p.Page != nil || p.Offset != nil }

// inParts says that one answer shows a part of the list and leads to the next.
func (p *compiledReading) inParts() bool { return len(p.Pagination.kinds()) > 0 }

// kinds are the ways of paging that are described.
func (p *Pagination) kinds() (kinds []string) {
	for _, k := range []struct {
		name  string
		given bool
	}{
		{"next_link", p.NextLink != nil}, {"link_header", p.LinkHeader != nil}, {"cursor", p.Cursor != nil},
		{"page", p.Page != nil}, {"offset", p.Offset != nil},
	} {
		if k.given {
			kinds = append(kinds, k.name)
		}
	}
	return kinds
}

// placeholders are those that a request uses, wherever.
func (r *Request) placeholders() (names []string) {
	add := func(_, text string) string {
		if t, err := parseTemplate(text); err == nil {
			names = append(names, t.names()...)
		}
		return text
	}
	add("", r.Path)
	for _, text := range r.Query {
		add("", text)
	}
	for _, text := range r.Headers {
		add("", text)
	}
	eachText(r.Body, "", add)
	return names
}
