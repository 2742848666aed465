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

	"syncer/fetch"
	"syncer/finance"
)

type connector struct {
	client *fetch.Client
	about  *api
}

// PerAccount says whether the dataset's request names an account.
func (c *connector) PerAccount(d finance.Dataset) bool {
	p := c.about.plans[d]
	return p != nil && p.account
}

// Probe makes the call that the description names for it.
func (c *connector) Probe(ctx context.Context) error {
	check := c.about.Check
	r := c.request(finance.Scope{}, finance.ForCheck)
	r.Method, r.Path = check.Method, belowBase(check.Path)
	r.Template = "/" + strings.TrimPrefix(check.Path, "/")
	_, err := c.client.Do(ctx, r)
	return err
}

// Pages reads a stream of a dataset that is described.
func (c *connector) Pages(ctx context.Context, s fetch.Stream, from string) iter.Seq2[fetch.Page, error] {
	return c.client.Walk(ctx, s, from, func(from string) (fetch.Step, error) {
		p := c.about.plans[s.Dataset]
		if p == nil {
			return fetch.Step{}, c.rejected(&s, fmt.Sprintf("%s, as %s describes it, has no dataset %s (it has %s): take it out of the job",
				cmp.Or(c.about.Title, "the API"), c.about.file, s.Dataset, c.about.datasets()))
		}
		return c.step(p, &s, from)
	})
}

// rejected fails one item with words for the operator; nothing was sent.
func (c *connector) rejected(s *fetch.Stream, reason string) error {
	return &fetch.Error{Class: finance.Rejected, Op: "read " + string(s.Dataset), Connection: c.about.connection, Reason: reason}
}

func (c *connector) step(p *plan, s *fetch.Stream, from string) (fetch.Step, error) {
	consent := s.Scope.Consent
	switch {
	case consent == nil:
		return fetch.Step{}, errors.New("a described API is read by consent, and there is none")
	case consent.SingleUse && p.Pagination.paged():
		return fetch.Step{}, c.rejected(s, "a consent for a single use can't be read page by page")
	case p.dated && s.Today.IsZero():
		return fetch.Step{}, errors.New("the stream names no day")
	}
	cur, err := p.readCursor(from, s.Today)
	if err != nil {
		return fetch.Step{}, err
	}
	walk := &pass{plan: p, stream: s, through: cur.Through, again: cur.Again, resolve: c.client.Resolve}
	if cur.Pass != nil {
		walk.at = *cur.Pass
	} else {
		walk.at = walk.begin()
		walk.again = 0
	}
	if err := c.ask(walk); err != nil {
		return fetch.Step{}, err
	}
	r, err := c.call(walk)
	if err != nil {
		return fetch.Step{}, err
	}
	walk.request = r
	version := []string{p.version, from}
	if p.dated { // what follows a page depends on the days too
		version = append(version, s.Since.String(), s.Until.String(), s.Today.String(), itoa(s.Lookback))
	}
	return fetch.Step{
		Request: r, Version: strings.Join(version, " "), Together: walk.together(), Decode: walk.decode,
	}, nil
}

// ask finds out what the placeholders stand for, and refuses to ask without.
func (c *connector) ask(p *pass) error {
	consent := p.stream.Scope.Consent
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
		if (name == forConsent || name == forAccount) && consent.Subject.Known() && consent.Subject.Is(p.asked[name]) {
			return c.rejected(p.stream, "the id of the "+name+" is the person's national identity number, which must not stand in an address")
		}
	}
	return nil
}

// request is what all calls share.
func (c *connector) request(scope finance.Scope, purpose finance.Purpose) fetch.Request {
	return fetch.Request{
		Header: maps.Clone(c.about.headers), IDHeader: c.about.RequestIDHeader, Purpose: purpose, Scope: scope,
	}
}

// call is the request of the present page.
func (c *connector) call(p *pass) (r fetch.Request, err error) {
	r = c.request(p.stream.Scope, finance.ForData)
	r.Method, r.Once = p.Request.Method, p.stream.Scope.Consent.SingleUse
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
	r.Query = url.Values{}
	for _, q := range p.query {
		r.Query.Set(q.name, q.fill(p.asked, asItIs))
	}
	if p.at.Link != "" { // stored, so it is checked like the provider's
		link, err := c.client.Resolve(p.at.Link, p.follows(&r))
		r.Path, r.Query, r.RawQuery = link.Path, nil, link.RawQuery
		return r, err
	}
	p.parameters(r.Query)
	return r, nil
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
	plans      map[finance.Dataset]*plan
	faults     *faults
}

func (a *api) datasets() string {
	var names []string
	for d := range a.plans {
		names = append(names, string(d))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
