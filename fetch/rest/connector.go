package rest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/resume"
	"syncer/finance"
)

type connector struct {
	client *fetch.Client
	about  *api
	led    map[finance.Dataset]*fetch.Tonight
}

func newConnector(client *fetch.Client, about *api) *connector {
	c := &connector{client: client, about: about, led: map[finance.Dataset]*fetch.Tonight{}}
	for dataset := range about.readings {
		c.led[dataset] = &fetch.Tonight{}
	}
	return c
}

// PerAccount says whether the dataset's request names an account.
func (c *connector) PerAccount(d finance.Dataset) bool {
	if p := c.about.readings[d]; p != nil {
		return p.account
	}
	return false
}

// SameAs is where in a row stands what the description says to stay of an account.
func (c *connector) SameAs() []string {
	if p := c.about.readings[finance.Accounts]; p != nil {
		return p.sameAs
	}
	return nil
}

// TakesDays says whether the dataset's request names both ends of a range of days.
func (c *connector) TakesDays(d finance.Dataset) bool {
	p := c.about.readings[d]
	if p == nil {
		return false
	}
	return slices.Contains(p.used, forSince) && slices.Contains(p.used, forUntil)
}

// Version names the description.
func (c *connector) Version() string { return c.about.version }

// Probe makes the call that the description names for it.
func (c *connector) Probe(ctx context.Context) error {
	check := c.about.Check
	r := c.request(calls.Task{}, calls.ForCheck)
	r.Method, r.Path = check.Method, belowBase(check.Path)
	r.Template = "/" + strings.TrimPrefix(check.Path, "/")
	_, err := c.client.Do(ctx, r)
	return err
}

// Pages reads a stream of a dataset that is described.
func (c *connector) Pages(ctx context.Context, s fetch.Stream, from string) iter.Seq2[fetch.Page, error] {
	var list *reading
	var known ends
	others := func(set finance.Extent, ids []string) (bool, error) { return s.Others(ctx, set, ids) }
	return c.client.Walk(ctx, s, from, func(at fetch.At) (fetch.Step, error) {
		p := c.about.readings[s.Dataset]
		if p == nil {
			return fetch.Step{}, c.rejected(&s, fmt.Sprintf("%s, as %s describes it, has no dataset %s (it has %s): take it out of the job",
				cmp.Or(c.about.Title, "the API"), c.about.file, s.Dataset, c.about.datasets()))
		}
		walk, cur, err := c.enter(p, &s, at)
		if err != nil {
			return fetch.Step{}, err
		}
		known.learn(cur.ends)
		walk.ends = &known
		if list == nil || walk.at.opens() {
			list = newReading(walk.at.opens(), len(p.Records))
		}
		list.asked++
		walk.list = list
		walk.others = others
		walk.ctx = ctx
		return c.step(walk, cur, at.Position)
	})
}

// rejected fails one item with words for the operator; nothing was sent.
func (c *connector) rejected(s *fetch.Stream, reason string) error {
	return &fetch.Error{Class: finance.Rejected, Op: "read " + string(s.Dataset), Connection: c.about.connection, Reason: reason}
}

// enter reads a position.
func (c *connector) enter(p *compiledReading, s *fetch.Stream, at fetch.At) (*pass, cursor, error) {
	consent := s.Task.Consent
	switch {
	case consent == nil:
		return nil, cursor{}, errors.New("a described API is read by consent, and no consent is given")
	case consent.SingleUse && p.Pagination.paged():
		return nil, cursor{}, c.rejected(s, "a consent for a single use can't be read page by page")
	case p.dated && s.Today.IsZero():
		return nil, cursor{}, errors.New("the stream names no day")
	}
	cur, err := p.readCursor(at.Position, s.Today)
	if err != nil {
		return nil, cur, err
	}
	walk := &pass{
		compiledReading: p, stream: s, through: cur.Through, again: cur.Again, reach: cur.Reach, led: c.led[p.dataset],
		resolve: c.client.Resolve,
	}
	// Where the provider has given an older day in this pass, a refusal is not about the day.
	if cur.Pass == nil {
		walk.mayBeTooOld = true
		walk.at = walk.begin()
		walk.again = 0
		return walk, cur, nil
	}
	brokenOff := at.Stored && s.Stale
	walk.mayBeTooOld = brokenOff || cur.Pass.Search != nil
	walk.at = *cur.Pass
	walk.overlap = walk.overlapAt(at)
	return walk, cur, nil
}

// overlapAt is what is asked for once more at a place where the list may have moved. The last record costs nothing, since it
// comes with the present page; the last page costs a call, so it is asked for only behind a break.
func (p *pass) overlapAt(at fetch.At) overlap {
	switch {
	case p.at.Last == "", p.at.opens():
		return noOverlap
	case at.Seam && p.Pagination.Offset != nil:
		return lastRecord
	case at.Stored && p.Pagination.Page != nil:
		return lastPage
	}
	return noOverlap
}

func (c *connector) step(p *pass, cur cursor, position string) (fetch.Step, error) {
	if err := c.ask(p); err != nil {
		return fetch.Step{}, err
	}
	r, err := c.call(p)
	if err != nil {
		return fetch.Step{}, err
	}
	p.request = r
	p.judged = c.about.faults.judged
	st := fetch.Step{
		Request: r, Version: p.pageVersion(cur, position), Beside: p.beside(), First: p.at.opens(), Afresh: !p.dated,
		Look: p.overlap == lastPage, Overlaps: p.overlap == lastRecord, NoContent: true, Parts: p.inParts(),
		Judged: p.judged, Decode: p.decode,
	}
	st.Shifts = p.Pagination.counts()
	st.Set, st.Status = p.set()
	if p.Pagination.paged() {
		st.End = p.endList
	}
	if p.at.Link != "" || p.at.After != "" {
		st.Anew = func() string { return p.cursor(p.first()) }
	}
	opensWithDay := p.dated && p.at.opens()
	if opensWithDay && p.mayBeTooOld {
		st.Narrow = p.narrow
	}
	return st, nil
}

// pageVersion is what a page's key is made of beside its request: what follows the page depends on it. How the lists of the
// stream end is left out, or a page would be another one as soon as that is known.
func (p *pass) pageVersion(cur cursor, position string) string {
	positionKey := position
	if cur.ends != (ends{}) {
		cur.ends = ends{}
		positionKey = ""
		if cur != (cursor{V: 1}) {
			positionKey = cur.String()
		}
	}
	version := []string{p.version, positionKey}
	if p.dated { // and on the days
		s := p.stream
		version = append(version, s.Since.String(), s.Until.String(), s.Today.String(), itoa(s.Lookback))
	}
	return strings.Join(version, " ")
}

// beside is what of an answer leads on beside its body: with another header the same body leads elsewhere.
func (p *pass) beside() func(*fetch.Answer) string {
	if p.Pagination.LinkHeader == nil {
		return nil
	}
	return func(a *fetch.Answer) string { return strings.Join(a.Header.Values("Link"), ", ") }
}

// ask finds out what the placeholders stand for, and refuses to ask without.
func (c *connector) ask(p *pass) error {
	consent := p.stream.Task.Consent
	number, _ := consent.Subject.Reveal()
	until := p.at.To
	if w := p.Pagination.Windows; w != nil && w.ExclusiveEnd {
		until++
	}
	p.asked = map[string]string{
		forConsent: consent.ExternalID, forAccount: p.stream.Account, forSubject: number,
		forSince: p.at.From.String(), forUntil: until.String(),
	}
	why := map[string]string{
		forConsent: "the consent has no id of the provider's",
		forAccount: "the stream names no account",
		forSubject: "the consent has no national identity number stored: import it with the number kept",
	}
	for _, name := range p.used {
		if p.asked[name] == "" {
			return c.rejected(p.stream, why[name])
		}
		inAddress := name == forConsent || name == forAccount
		if inAddress && consent.Subject.Known() && consent.Subject.Is(p.asked[name]) {
			return c.rejected(p.stream, "the id of the "+name+" is the person's national identity number, which must not stand in an address")
		}
	}
	return nil
}

// request is what all calls share.
func (c *connector) request(task calls.Task, purpose calls.Purpose) fetch.Request {
	return fetch.Request{
		Header: maps.Clone(c.about.headers), IDHeader: c.about.RequestIDHeader, Purpose: purpose, Task: task,
	}
}

// call is the request of the present page.
func (c *connector) call(p *pass) (r fetch.Request, err error) {
	r = c.request(p.stream.Task, calls.ForData)
	r.Method = p.Request.Method
	r.Once = p.stream.Task.Consent.SingleUse
	r.Template = "/" + strings.TrimPrefix(p.Request.Path, "/")
	for _, h := range p.headers {
		r.Header.Set(h.name, h.fill(p.asked, asItIs))
	}
	if r.Body, err = encode(p.Request.Body, p.asked); err != nil {
		return r, err
	}
	if r.Body != nil && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Path = belowBase(p.path.fill(p.asked, url.PathEscape))
	r.Query = p.queryOf()
	if p.at.Link != "" { // stored, so it is checked like the provider's
		link, err := c.client.Resolve(p.at.Link, p.follows(&r))
		if err != nil {
			return r, &resume.StrayError{Anew: p.cursor(p.first()), Err: err}
		}
		r.Path = link.Path
		r.Query = nil
		r.RawQuery = link.RawQuery
		return r, nil
	}
	if !p.at.opens() {
		r.Empty = p.Pagination.beyond()
	}
	return r, nil
}

// queryOf is the query of the present page.
func (p *pass) queryOf() url.Values {
	query := url.Values{}
	for _, q := range p.compiledReading.query {
		query.Set(q.name, q.fill(p.asked, asItIs))
	}
	p.parameters(query)
	return query
}

// beyond are the statuses that say that there is no such page.
func (p *Pagination) beyond() []int {
	switch {
	case p.Page != nil:
		return p.Page.Beyond
	case p.Offset != nil:
		return p.Offset.Beyond
	}
	return nil
}

// belowBase is a described path as a Request has it. The slash in front of it may be left out; a slash alone is the base
// with a slash at its end.
func belowBase(path string) string {
	if path == "/" {
		return path
	}
	return strings.TrimPrefix(path, "/")
}

// api is a description with a connection's addresses and credentials.
type api struct {
	*Description
	file       string
	connection string
	base       *url.URL
	headers    http.Header
	version    string // of the description
	readings   map[finance.Dataset]*compiledReading
	faults     *faults
}

func (a *api) datasets() string {
	var names []string
	for d := range a.readings {
		names = append(names, string(d))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
