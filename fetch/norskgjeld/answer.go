package norskgjeld

import (
	"errors"
	"fmt"
	"strings"

	"syncer/fetch"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

// envelope is what an answer says around its loans.
type envelope struct {
	subject  string
	consent  string
	loans    bool // the list is there, be it empty
	silent   int  // loans that are null: their creditor did not answer
	answered int64
	missing  int64
}

// decodeDebt reads an answer. One about another person, or about nobody, is refused as a whole and stores nothing.
func decodeDebt(body []byte, consent *finance.Consent) (fetch.Page, error) {
	d := decoder{s: jsonread.Scan(body)}
	var e envelope
	for o := d.s.Object(); o.Next(); {
		switch o.Key() {
		case "ssn":
			e.subject = d.s.Text()
		case "loans":
			e.loans = d.s.Peek() == '['
			e.silent = d.loans()
		case "numberOfCreditorsAnswered":
			e.answered, _ = d.s.Int()
		case "numberOfcreditorsMissing", "numberOfCreditorsMissing": // the first is the real spelling
			e.missing, _ = d.s.Int()
		case "consent":
			e.consent = d.consentID()
		}
	}
	if err := d.s.End(); err != nil {
		return fetch.Page{}, err
	}
	if err := e.check(consent); err != nil {
		return fetch.Page{}, err
	}
	identify(d.debts)
	p := fetch.Page{Records: finance.Records{Debts: d.debts}, Rejects: d.rejects, Done: true, Partial: e.partial()}
	p.Vet()
	if p.Partial == "" && !p.Hidden() {
		p.Whole = &finance.Whole{}
	}
	return p, nil
}

func (e *envelope) check(consent *finance.Consent) error {
	switch {
	case !e.loans:
		return errors.New("the answer has no list of loans")
	case consent.Subject.Known() && e.subject == "":
		return fetch.WrongSubject("the answer does not say whose debt it is")
	case e.subject != "" && !consent.Subject.Is(e.subject):
		return fetch.WrongSubject("the answer is about another person than the consent")
	case e.consent != "" && !strings.EqualFold(e.consent, consent.ExternalID):
		return fetch.WrongSubject("the answer is about another consent")
	}
	return nil
}

// partial says how many creditors did not answer, by the counter or by the nulls, whichever knows more.
func (e *envelope) partial() string {
	missing := max(e.missing, int64(e.silent))
	if missing == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d creditors did not answer", missing, max(e.answered, 0)+missing)
}

type decoder struct {
	s       *jsonread.Scanner
	extra   jsonread.Extra
	debts   []finance.Debt
	rejects []finance.Reject
}

func (d *decoder) consentID() (id string) {
	for o := d.s.Object(); o.Next(); {
		if o.Key() == "id" {
			id = d.s.Text()
		}
	}
	return id
}

// loans reads the list and counts the creditors that did not answer.
func (d *decoder) loans() (silent int) {
	for a := d.s.Array(); a.Next(); {
		debt, answered := d.entry()
		if answered && d.s.Err() == nil && debt.Kind == "" {
			d.s.Fail("a loan without a type")
		}
		if why := a.Broken(); why != "" {
			d.extra.Reset()
			d.rejects = append(d.rejects, a.Reject(why, ""))
			continue
		}
		debt.Extra = d.extra.JSON()
		if !answered {
			silent++
			continue
		}
		debt.Place = a.Place()
		d.debts = jsonread.Append(d.s, d.debts, debt)
	}
	return silent
}

func (d *decoder) entry() (debt finance.Debt, answered bool) {
	debt = finance.Debt{Currency: "NOK", TermsLeft: -1, CoBorrower: -1}
	for o := d.s.Object(); o.Next(); {
		switch o.Key() {
		case "creditorName":
			debt.Creditor = d.s.Text()
		case "loan":
			if !d.s.Null() {
				answered = true
				d.loan(&debt)
			}
		case "ssn", "nin":
			// a person's number belongs into no column
		default:
			o.Extra(&d.extra)
		}
	}
	return debt, answered
}
