package cambio

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"syncer/fetch"
	"syncer/finance"
)

// version is that of the decoders.
const version = "cambio-debt-1"

// What calls are recorded as.
const (
	patientTemplate  = "/fhir/Patient/_search"
	invoicesTemplate = "/fhir/Invoice/_search"
	pageTemplate     = "/fhir/{page}"
	visitsTemplate   = "/api/open/contacts"
	checkTemplate    = "/fhir/metadata"
)

const (
	fhirJSON  = "application/fhir+json"
	plainJSON = "application/json"
)

// mostRestarts is how often a pass begins its search anew because the pages of the one before had expired. Whoever
// needs more than five minutes for a page won't succeed the next time either.
const mostRestarts = 3

// Pages reads what a person owes, in three parts: the patient is looked up by personnummer; the invoices of that
// patient are searched, page by page; and the care contacts are listed for their fees. Every pass reads all there is.
func (c *connector) Pages(ctx context.Context, s fetch.Stream, from string) iter.Seq2[fetch.Page, error] {
	return func(yield func(fetch.Page, error) bool) {
		p := &pass{c: c, ctx: ctx, stream: s}
		for page, err := range c.client.Walk(ctx, s, from, p.step) {
			if err == nil && page.Answer.Call.Path == patientTemplate {
				page.Key = lookupKey()
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

// lookupKey is the page key of every look for a patient. The usual one is a hash of what was asked, and here that is a
// personnummer: there are so few that their hashes can be turned back. The page is never skipped, so it needs no better.
func lookupKey() finance.PageKey {
	sum := sha256.Sum256([]byte("cambio: the look for a patient"))
	return finance.PageKey(sum[:16])
}

// pass is one pass over a person's debt.
type pass struct {
	c        *connector
	ctx      context.Context // of the reading, for what is asked of the store
	stream   fetch.Stream
	number   string
	restarts int
	search   search
}

// search is what this reading has seen of the current search.
type search struct {
	begun bool            // its first page too
	links map[string]bool // next links
	seen  map[string]bool // ids of invoices in whatever state
	debts []string        // ids of those that are owed
}

func newSearch(begun bool) search {
	return search{begun: begun, links: map[string]bool{}, seen: map[string]bool{}}
}

// add takes note of a page, and says whether it has shown an invoice that the pages before had not.
func (s *search) add(b *bundle) (fresh bool) {
	for _, id := range b.ids {
		fresh = fresh || id == "" || !s.seen[id]
		s.seen[id] = true
	}
	for i := range b.debts {
		s.debts = append(s.debts, b.debts[i].ID)
	}
	return fresh || len(b.ids) == 0
}

func (p *pass) step(place fetch.At) (fetch.Step, error) {
	consent := p.stream.Scope.Consent
	switch {
	case p.stream.Dataset != finance.Debts:
		return fetch.Step{}, fmt.Errorf("cambio has no %s", p.stream.Dataset)
	case consent == nil:
		return fetch.Step{}, errors.New("debt is read by consent, and there is none")
	}
	at, err := readCursor(place.Position)
	if err == nil {
		p.number, err = subjectOf(consent)
	}
	if err != nil {
		return fetch.Step{}, err
	}
	switch {
	case at.At == "":
		return p.patient(), nil
	case at.At == atVisits:
		return p.visits(), nil
	case at.Link != "":
		if p.search.links == nil {
			p.search = newSearch(false)
		}
		return p.page(at)
	}
	p.search = newSearch(true)
	return p.invoices(at), nil
}

// patient looks for the patient. The page has no records; it leads to the invoices.
func (p *pass) patient() fetch.Step {
	r := p.c.search("Patient", patientTemplate, url.Values{"identifier": {p.c.settings.PatientSystem + "|" + p.number}}, p.stream.Scope)
	return fetch.Step{Request: r, Version: version, First: true, Afresh: true, Set: "patient", Decode: func(a *fetch.Answer) (fetch.Page, error) {
		id, err := decodePatient(a.Body, p.number)
		if err != nil {
			return fetch.Page{}, err
		}
		if id == "" {
			return fetch.Page{}, p.c.fail(finance.Withheld, a, patientTemplate, "the provider knows no patient with the consent's personnummer")
		}
		return fetch.Page{Next: cursor{At: atInvoices, Patient: id}.String()}, nil
	}}
}

// invoices searches the patient's invoices.
func (p *pass) invoices(at cursor) fetch.Step {
	r := p.c.search("Invoice", invoicesTemplate, url.Values{"subject": {"Patient/" + at.Patient}}, p.stream.Scope)
	return fetch.Step{Request: r, Version: version, First: true, Afresh: true, Set: "invoices", Decode: func(a *fetch.Answer) (fetch.Page, error) {
		return p.decode(a, at, &r)
	}}
}

// page follows a next link.
func (p *pass) page(at cursor) (fetch.Step, error) {
	r := p.c.request(p.stream.Scope, fhirJSON)
	r.Path, r.Template = p.c.settings.FHIRPath, pageTemplate
	link, err := p.c.link(at.Link, &r)
	if err != nil {
		search := cursor{At: atInvoices, Patient: at.Patient, Again: at.Again + 1}
		return fetch.Step{}, &fetch.StrayError{Anew: search.String(), Err: err}
	}
	r.Path, r.RawQuery = link.Path, link.RawQuery
	return fetch.Step{Request: r, Version: version, Afresh: true, Set: "invoices", Decode: func(a *fetch.Answer) (fetch.Page, error) {
		if a.Status != http.StatusOK {
			return p.restart(a, at)
		}
		return p.decode(a, at, &r)
	}}, nil
}

// restart leads back to the search, because its pages can't be read any more. What was read before is read once more,
// under the same keys.
func (p *pass) restart(a *fetch.Answer, at cursor) (fetch.Page, error) {
	if p.restarts++; p.restarts > mostRestarts {
		return fetch.Page{}, p.c.fail(finance.Transient, a, pageTemplate,
			fmt.Sprintf("the pages of the search have expired %d times before they were read", p.restarts))
	}
	return fetch.Page{Next: cursor{At: atInvoices, Patient: at.Patient, Again: at.Again + 1}.String()}, nil
}

// decode reads a page of invoices and finds out what follows it. asked is the request for it.
func (p *pass) decode(a *fetch.Answer, at cursor, asked *fetch.Request) (fetch.Page, error) {
	b, err := decodeInvoices(a.Body, at.Patient, p.number)
	if err != nil {
		return fetch.Page{}, err
	}
	page := fetch.Page{
		Records: finance.Records{Debts: b.debts}, Rejects: b.rejects, Partial: strings.Join(b.notes, "; "), Seen: int(b.entries),
	}
	page.Vet()
	fresh := p.search.add(b)
	next := at
	next.Seen += b.entries
	next.Total = nil
	if b.counted {
		next.Total = &b.total
		if at.Total != nil && *at.Total != b.total {
			page.Moved = fmt.Sprintf("it has %d invoices and had %d", b.total, *at.Total)
		}
	}
	if b.next != "" {
		err := p.follow(&page, next, b, fresh, asked)
		return page, err
	}
	if b.counted && b.total > next.Seen {
		page.Lack(fmt.Sprintf("the search has %d invoices and shows %d", b.total, next.Seen))
	}
	p.endInvoices(&page)
	err = p.declare(&page, b)
	return page, err
}

// endInvoices makes a page the last one of the search: the visits follow, or the pass is at its end.
func (p *pass) endInvoices(page *fetch.Page) {
	page.Done = !p.c.settings.VisitFees
	page.Next = ""
	if !page.Done {
		page.Next = cursor{At: atVisits}.String()
	}
}

// declare declares the invoices whole. FHIR has no empty arrays and no link that leads nowhere, so both may be absent. But
// an answer without either member could as well be one whose members have moved: then only its total proves that this is
// all, and without one something is missing if other invoices are known.
func (p *pass) declare(page *fetch.Page, b *bundle) error {
	if b.counted || b.listed && b.linked {
		page.Whole = &finance.Whole{Prefix: invoicePrefix}
		return nil
	}
	if !p.search.begun {
		return nil
	}
	others, err := p.stream.Others(p.ctx, finance.Extent{Prefix: invoicePrefix}, p.search.debts)
	if others {
		page.Lack("the answer does not say that these are all invoices, and others are known")
	}
	return err
}

// follow puts the next link into the page's cursor. A link that comes twice in a search, or leads on from a page that
// shows only what was shown before, would be followed for ever: the search ends there, and is not proven.
func (p *pass) follow(page *fetch.Page, next cursor, b *bundle, fresh bool, asked *fetch.Request) error {
	if holdsNumber(b.next, p.number) {
		return errors.New("the next link holds the patient's personnummer, which may stand in no address and in no cursor")
	}
	link, err := p.c.link(b.next, asked)
	switch {
	case err != nil:
		return err
	case p.search.links[link.Address] || !fresh:
		page.Lack("the search repeats itself although it says that there is more")
		p.endInvoices(page)
		return nil
	}
	p.search.links[link.Address] = true
	next.Link = link.Address
	page.More = true
	page.Next = next.String()
	return nil
}

// visits lists the care contacts. Their fees are a set of their own: the answer is one page, and all of it.
func (p *pass) visits() fetch.Step {
	r := p.c.request(p.stream.Scope, plainJSON)
	r.Header.Set("patient", p.number)
	r.Path, r.Template = p.c.settings.RESTPath+"/contacts", visitsTemplate
	// Without a beginning, some services look back for a while only. Never a moving one: a visit that fell out of the
	// window would look as if it had vanished.
	r.Query = url.Values{"fromDateTime": {"1970-01-01T01:00:00"}}
	return fetch.Step{Request: r, Version: version, Afresh: true, Decode: func(a *fetch.Answer) (fetch.Page, error) {
		if a.Status != http.StatusOK {
			return fetch.Page{Done: true, Partial: "the care contacts are missing: the service does not know the patient"}, nil
		}
		return decodeVisits(a.Body, p.number, p.c.zone)
	}}
}

// search is a FHIR search as the settings want it sent. By POST nothing of it stands in the URL, and it works where the
// gateway spoils the query of a GET by adding a parameter of its own.
func (c *connector) search(kind, template string, form url.Values, scope finance.Scope) fetch.Request {
	r := c.request(scope, fhirJSON)
	r.Template = template
	if c.settings.Search == "get" {
		r.Path, r.Query = c.settings.FHIRPath+"/"+kind, form
		return r
	}
	r.Method, r.Path, r.Body = http.MethodPost, c.settings.FHIRPath+"/"+kind+"/_search", []byte(form.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// link takes a next link apart, which stands in the answer to what was asked. It must stay not only below the base,
// which is the whole gateway with the authorization server, but below the FHIR API, and lead to no other resource.
func (c *connector) link(link string, asked *fetch.Request) (fetch.Link, error) {
	return c.client.Resolve(link, fetch.Follow{From: asked, To: func(path, _ string) error {
		rest, found := strings.CutPrefix("/"+path+"/", "/"+c.settings.FHIRPath+"/")
		if !found {
			return errors.New("it leaves the FHIR API")
		}
		kind, _, _ := strings.Cut(rest, "/")
		if isResource := kind != "" && 'A' <= kind[0] && kind[0] <= 'Z'; isResource && kind != "Invoice" {
			return errors.New("it leads to another list than the invoices")
		}
		return nil
	}})
}

// fail is an error about an answer that is no defect of the answer.
func (c *connector) fail(class finance.Class, a *fetch.Answer, template, reason string) error {
	return &fetch.Error{
		Class: class, Op: a.Call.Method + " " + template, Connection: c.name, Reason: reason, Call: a.Call.ID, Correlation: a.Call.Correlation,
	}
}

// Probe asks what the FHIR server can do, which is about nobody. Where only patients have tokens, the gateway can say no
// more than that one is missing; then it has taken the subscription key.
func (c *connector) Probe(ctx context.Context) error {
	r := c.request(finance.Scope{}, fhirJSON)
	r.Path, r.Template, r.Purpose = c.settings.FHIRPath+"/metadata", checkTemplate, finance.ForCheck
	_, err := c.client.Do(ctx, r)
	if c.settings.Grant == byCode && fetch.ClassOf(err) == finance.TokenDenied {
		return nil
	}
	return err
}

var _ fetch.Connector = (*connector)(nil)
