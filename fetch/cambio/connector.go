package cambio

import (
	"context"
	"crypto/sha256"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
)

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

type connector struct {
	client   *fetch.Client
	name     string // of the connection
	settings Settings
	zone     *time.Location
}

// PerAccount is false: what a person owes is one stream.
func (*connector) PerAccount(finance.Dataset) bool { return false }

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

// Probe asks what the FHIR server can do, which is about nobody. Where only patients have tokens, the gateway can say no
// more than that one is missing; then it has taken the subscription key.
func (c *connector) Probe(ctx context.Context) error {
	r := c.request(calls.Task{}, fhirJSON)
	r.Path = c.settings.FHIRPath + "/metadata"
	r.Template = checkTemplate
	r.Purpose = calls.ForCheck
	_, err := c.client.Do(ctx, r)
	if c.settings.Grant == byCode && fetch.ClassOf(err) == finance.TokenDenied {
		return nil
	}
	return err
}

// request is what all requests share.
func (c *connector) request(task calls.Task, accept string) fetch.Request {
	r := fetch.Request{
		Header: http.Header{"Accept": {accept}},
		Task:   task, Purpose: calls.ForData,
		Token: fetch.TokenKey{Scope: strings.Join(c.settings.scopes(), " ")},
	}
	if c.settings.Grant == byCode && task.Consent != nil {
		r.Token.Consent = task.Consent.ID
	}
	return r
}

// search is a FHIR search as the settings want it sent. By POST nothing of it stands in the URL, and it works where the
// gateway spoils the query of a GET by adding a parameter of its own.
func (c *connector) search(kind, template string, form url.Values, task calls.Task) fetch.Request {
	r := c.request(task, fhirJSON)
	r.Template = template
	if c.settings.Search == "get" {
		r.Path = c.settings.FHIRPath + "/" + kind
		r.Query = form
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

var _ fetch.Connector = (*connector)(nil)
