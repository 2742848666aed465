package dbnordics

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"

	"syncer/fetch"
	"syncer/finance"
)

// version is that of the decoder.
const version = "dbnordics-debt-1"

// Pages reads a company's debts, which is one page, so the only position is the beginning.
func (c *connector) Pages(ctx context.Context, s fetch.Stream, from string) iter.Seq2[fetch.Page, error] {
	key, kept := pageKey(), s.Kept
	if kept != nil {
		s.Kept = func(finance.PageKey) (finance.Kept, bool) { return kept(key) }
	}
	pages := c.client.Walk(ctx, s, from, func(at fetch.At) (fetch.Step, error) { return c.step(ctx, s, at.Position) })
	return func(yield func(fetch.Page, error) bool) {
		for page, err := range pages {
			if err == nil {
				page.Key = key
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

// pageKey names the only page of a stream. Walk's own name of it is a hash of the request's body too, and the unkeyed hash
// of a body with a personal identity number gives the number away.
func pageKey() finance.PageKey {
	sum := sha256.Sum256([]byte("POST /companies/{country} " + version))
	return finance.PageKey(sum[:16])
}

func (c *connector) step(ctx context.Context, s fetch.Stream, from string) (fetch.Step, error) {
	switch {
	case s.Dataset != finance.Debts:
		return fetch.Step{}, fmt.Errorf("dbnordics has no %s", s.Dataset)
	case from != "":
		return fetch.Step{}, fetch.Misfit("a cursor is set, but debt has none")
	}
	about, err := companyOf(s.Scope.Consent)
	if err != nil {
		return fetch.Step{}, &fetch.Error{Class: finance.Rejected, Op: "read " + string(s.Dataset), Connection: c.name, Reason: err.Error()}
	}
	body, err := json.Marshal(question{
		RegistrationNumber: about.number, Language: c.settings.Language, Segments: []string{"RISK"},
		Reference: c.settings.Reference, OnBehalfOf: c.settings.OnBehalfOf,
	})
	if err != nil {
		return fetch.Step{}, errors.New("the request can't be written as JSON")
	}
	r := c.post("companies/"+about.country, body, finance.ForData)
	r.Scope, r.Once = s.Scope, s.Scope.Consent.SingleUse
	return fetch.Step{Request: r, Version: version, Decode: func(a *fetch.Answer) (fetch.Page, error) {
		page, silent, err := decodeDebt(a.Body, about, a.Status == http.StatusMultiStatus)
		if err != nil {
			return page, err
		}
		return page, unsaid(ctx, &s, &page, silent)
	}}, nil
}

// section is one that is there and says nothing, not even that it is empty: what its records' ids begin with, and its words.
type section struct{ prefix, words string }

// unsaid finds out whether something is missing from sections that are there and say nothing. It is if records of theirs are
// known.
func unsaid(ctx context.Context, s *fetch.Stream, page *fetch.Page, silent []section) error {
	var ids []string
	for i := range page.Records.Debts {
		ids = append(ids, page.Records.Debts[i].ID)
	}
	for _, of := range silent {
		others, err := s.Others(ctx, finance.Extent{Prefix: of.prefix}, ids)
		if err != nil {
			return err
		}
		if others {
			lack := "the answer says nothing of " + of.words + ", and some are known"
			page.Lack(lack)
			page.Whole = nil
		}
	}
	return nil
}

// question is the body of a request. Of the segments only the debts' is asked for; who the company is comes with each.
type question struct {
	RegistrationNumber string   `json:"registrationNumber"`
	Language           string   `json:"language"`
	Segments           []string `json:"segments"`
	Reference          string   `json:"reference,omitempty"`
	OnBehalfOf         string   `json:"onBehalfOf,omitempty"`
}

// decoder reads one answer. A record is numbered by where it stands among the records of the answer.
type decoder struct {
	extra   fetch.Extra
	rating  rating
	debts   []keyed
	rejects []finance.Reject
	missing []string // what the vendor said it left out
	numbers []string // the registration numbers of the company that the answer is about
	risk    bool     // the segment is there
	silent  []section
	place   int32
}

// decodeDebt reads an answer. One about another company, or about nobody, is refused as a whole and stores nothing.
// It also gives the sections that say nothing.
func decodeDebt(body []byte, about company, incomplete bool) (page fetch.Page, silent []section, err error) {
	d := decoder{}
	s := fetch.Scan(body)
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "companyInformation":
			d.company(s)
		case "registrationNumber": // the flat form that some clients have seen in Sweden
			d.number(s)
		case "risk":
			d.risk = d.risk || s.Peek() == '{'
			for in := s.Object(); in.Next(); {
				d.section(s, in.Key())
			}
		default:
			if d.section(s, o.Key()) {
				d.risk = true
			}
		}
	}
	if err := s.End(); err != nil {
		return fetch.Page{}, nil, err
	}
	if err := d.check(about); err != nil {
		return fetch.Page{}, nil, err
	}
	d.rating.add(&d)
	if incomplete {
		d.missing = append(d.missing, "the provider called its answer incomplete (status 207)")
	}
	if !d.risk {
		d.missing = append(d.missing, "the answer has no segment of risk")
	}
	p := fetch.Page{
		Records: finance.Records{Debts: identify(d.debts)}, Rejects: d.rejects, Done: true,
		Partial: strings.Join(d.missing, "; "),
	}
	p.Vet()
	if p.Partial == "" && !p.Hidden() {
		p.Whole = &finance.Whole{}
	}
	return p, d.silent, nil
}

// check says whether the answer is about the company that was asked for, without repeating a number.
func (d *decoder) check(about company) error {
	if len(d.numbers) == 0 {
		return fetch.WrongSubject("the answer does not say which company it is about")
	}
	for _, number := range d.numbers {
		if !about.is(number) {
			return fetch.WrongSubject("the answer is about another company than the consent")
		}
	}
	return nil
}

func (d *decoder) number(s *fetch.Scanner) {
	if number := s.Word(); number != "" {
		d.numbers = append(d.numbers, number)
	}
}

func (d *decoder) company(s *fetch.Scanner) {
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "registrationNumber":
			d.number(s)
		case "identifiers":
			for in := s.Object(); in.Next(); {
				if in.Key() == "registrationNumber" {
					d.number(s)
				}
			}
		}
	}
}

// section reads a section of risk and says whether it knows the name. A section that is not there is empty: the company is
// known, and the vendor leaves out what it has nothing of. What is no debt (inquiries, payment index) stays in the kept
// answer alone.
func (d *decoder) section(s *fetch.Scanner, name string) bool {
	if !d.rating.found {
		d.rating.place = d.place
	}
	switch name {
	case "creditRatings":
		if s.Peek() != '{' {
			d.silent = append(d.silent, section{"rating", "the credit rating"})
		}
		d.apart(s, "a rating", d.rating.ratings)
	case "ratingCreditLimits", "creditLimits": // the first in Sweden, the second in Norway
		d.apart(s, "a credit limit", d.rating.limits)
	case "financialCommitments":
		for o := s.Object(); o.Next(); {
			if o.Key() == "debtBalance" {
				if s.Peek() != '{' {
					d.silent = append(d.silent, section{"balance", "the debt balance"})
				}
				d.apart(s, "the debt balance", d.balance)
			}
		}
	case "paymentRemarks":
		d.list(s, remark)
	case "petitions":
		d.list(s, petition)
	default:
		return false
	}
	return true
}

// apart reads the next value by itself, so that a record that is broken does not cost its neighbours. read leaves nothing
// in d.extra, broken or not.
func (d *decoder) apart(s *fetch.Scanner, what string, read func(*fetch.Scanner)) {
	raw := s.Part()
	if s.Err() != nil {
		return
	}
	in := fetch.Scan([]byte(raw))
	before := len(d.debts)
	read(in)
	if err := in.End(); err != nil {
		d.debts = d.debts[:before]
		d.reject(what+": "+reasonOf(err), raw)
	}
	d.place++
}

func (d *decoder) reject(reason, text string) {
	d.rejects = append(d.rejects, fetch.Reject(d.place, reason, "", text))
}

// reasonOf is why a value could not be read, without the offset, which counts from the value's own beginning.
func reasonOf(err error) string {
	e, ok := errors.AsType[*fetch.ScanError](err)
	switch {
	case !ok:
		return err.Error()
	case e.Key == "":
		return e.Reason
	}
	return e.Key + ": " + e.Reason
}
