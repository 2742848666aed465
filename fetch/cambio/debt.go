package cambio

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"syncer/fetch"
	"syncer/fetch/resume"
	"syncer/finance"
)

// version is that of the decoders.
const version = "cambio-debt-1"

// mostRestarts is how often a pass begins its search anew because the pages of the one before had expired. Whoever
// needs more than five minutes for a page won't succeed the next time either.
const mostRestarts = 3

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
		known := id != "" && s.seen[id]
		if !known {
			fresh = true
		}
		s.seen[id] = true
	}
	for i := range b.debts {
		s.debts = append(s.debts, b.debts[i].ID)
	}
	return fresh || len(b.ids) == 0
}

func (p *pass) step(where fetch.At) (fetch.Step, error) {
	consent := p.stream.Task.Consent
	switch {
	case p.stream.Dataset != finance.Debts:
		return fetch.Step{}, fmt.Errorf("cambio has no %s", p.stream.Dataset)
	case consent == nil:
		return fetch.Step{}, errors.New("debt is read by consent, and no consent is given")
	}
	at, err := readCursor(where.Position)
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
	r := p.c.search("Patient", patientTemplate, url.Values{"identifier": {p.c.settings.PatientSystem + "|" + p.number}}, p.stream.Task)
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
	r := p.c.search("Invoice", invoicesTemplate, url.Values{"subject": {"Patient/" + at.Patient}}, p.stream.Task)
	return fetch.Step{Request: r, Version: version, First: true, Afresh: true, Set: "invoices", Decode: func(a *fetch.Answer) (fetch.Page, error) {
		return p.decode(a, at, &r)
	}}
}

// page follows a next link.
func (p *pass) page(at cursor) (fetch.Step, error) {
	r := p.c.request(p.stream.Task, fhirJSON)
	r.Path = p.c.settings.FHIRPath
	r.Template = pageTemplate
	link, err := p.c.link(at.Link, &r)
	if err != nil {
		search := cursor{At: atInvoices, Patient: at.Patient, Again: at.Again + 1}
		return fetch.Step{}, &resume.StrayError{Anew: search.String(), Err: err}
	}
	r.Path = link.Path
	r.RawQuery = link.RawQuery
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
		page.AddMissing(fmt.Sprintf("the search has %d invoices and shows %d", b.total, next.Seen))
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

// tellsAll says that an answer without a next link shows by itself that it is the last one.
func (b *bundle) tellsAll() bool {
	if b.counted {
		return true
	}
	return b.listed && b.linked
}

// declare declares the invoices whole. FHIR has no empty arrays and no link that leads nowhere, so both may be absent. But
// an answer without either member could as well be one whose members have moved: then only its total proves that this is
// all, and without one something is missing if other invoices are known.
func (p *pass) declare(page *fetch.Page, b *bundle) error {
	if b.tellsAll() {
		page.Whole = &finance.Whole{Prefix: invoicePrefix}
		return nil
	}
	if !p.search.begun {
		return nil
	}
	others, err := p.stream.Others(p.ctx, finance.Extent{Prefix: invoicePrefix}, p.search.debts)
	if others {
		page.AddMissing("the answer does not say that these are all invoices, and others are known")
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
	case p.search.links[link.Address], !fresh:
		page.AddMissing("the search repeats itself although it says that there is more")
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
	r := p.c.request(p.stream.Task, plainJSON)
	r.Header.Set("patient", p.number)
	r.Path = p.c.settings.RESTPath + "/contacts"
	r.Template = visitsTemplate
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
