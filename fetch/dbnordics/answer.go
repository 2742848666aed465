package dbnordics

import (
	"errors"
	"strings"

	"syncer/fetch"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

// decoder reads one answer. A record is numbered by where it stands among the records of the answer.
type decoder struct {
	extra   jsonread.Extra
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
	s := jsonread.Scan(body)
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

func (d *decoder) number(s *jsonread.Scanner) {
	if number := s.Word(); number != "" {
		d.numbers = append(d.numbers, number)
	}
}

func (d *decoder) company(s *jsonread.Scanner) {
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
func (d *decoder) section(s *jsonread.Scanner, name string) bool {
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
func (d *decoder) apart(s *jsonread.Scanner, what string, read func(*jsonread.Scanner)) {
	raw := s.Part()
	if s.Err() != nil {
		return
	}
	in := jsonread.Scan([]byte(raw))
	before := len(d.debts)
	read(in)
	if err := in.End(); err != nil {
		d.debts = d.debts[:before]
		d.reject(what+": "+reasonOf(err), raw)
	}
	d.place++
}

func (d *decoder) reject(reason, text string) {
	d.rejects = append(d.rejects, jsonread.Reject(d.place, reason, "", text))
}

// reasonOf is why a value could not be read, without the offset, which counts from the value's own beginning.
func reasonOf(err error) string {
	e, ok := errors.AsType[*jsonread.Error](err)
	switch {
	case !ok:
		return err.Error()
	case e.Key == "":
		return e.Reason
	}
	return e.Key + ": " + e.Reason
}
