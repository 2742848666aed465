package norskgjeld

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strings"

	"syncer/fetch"
	"syncer/finance"
)

// version is that of the decoder of debt.
const version = "norskgjeld-debt-1"

// Pages reads a person's debt, which is one page and always all of it, so the only position is the beginning.
func (c *connector) Pages(ctx context.Context, s fetch.Stream, from string) iter.Seq2[fetch.Page, error] {
	return c.client.Walk(ctx, s, from, func(at fetch.At) (fetch.Step, error) {
		consent := s.Scope.Consent
		switch {
		case s.Dataset != finance.Debts:
			return fetch.Step{}, fmt.Errorf("norskgjeld has no %s", s.Dataset)
		case consent == nil || consent.ExternalID == "":
			return fetch.Step{}, errors.New("debt is read by consent, and there is none with an id of the registry's")
		case at.Position != "":
			return fetch.Step{}, fetch.Misfit("a cursor is set, but debt has none")
		}
		r := c.request(debtService, c.settings.DebtScope)
		r.Path = "v1/debt/" + url.PathEscape(consent.ExternalID)
		r.Template, r.Purpose, r.Scope, r.Once = "/v1/debt/{consent}", finance.ForData, s.Scope, consent.SingleUse
		return fetch.Step{Request: r, Version: version, Decode: func(a *fetch.Answer) (fetch.Page, error) {
			return decodeDebt(a.Body, consent)
		}}, nil
	})
}

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
	d := decoder{s: fetch.Scan(body)}
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
	s       *fetch.Scanner
	extra   fetch.Extra
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
		d.debts = append(d.debts, debt)
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

// loan reads one loan. Amounts come as whole øre and rates as hundredths of a per cent. A repayment loan has a
// balance; of a facility and a card it is the sum of what bears interest and what does not.
func (d *decoder) loan(debt *finance.Debt) {
	for o := d.s.Object(); o.Next(); {
		switch o.Key() {
		case "type":
			debt.Kind = d.s.Text()
		case "timestamp":
			debt.ReportedAt = d.s.Time()
		case "coBorrower":
			debt.CoBorrower = d.small()
		case "terms":
			debt.TermsLeft = d.small()
		case "creditLimit":
			debt.CreditLimit = d.minor()
		case "originalBalance":
			debt.OriginalBalance = d.minor()
		case "balance":
			debt.Balance = d.minor()
		case "interestBearingBalance":
			debt.InterestBearing = d.minor()
		case "nonInterestBearingBalance":
			debt.NonInterestBearing = d.minor()
		case "nominalInterestRate":
			debt.NominalRate = d.minor()
		case "installmentCharges":
			debt.InstallmentCharges = d.minor()
		case "installmentChargePeriod":
			debt.InstallmentPeriod = d.s.Text()
		case "ssn", "nin":
		default:
			o.Extra(&d.extra)
		}
	}
	d.total(debt)
}

func (d *decoder) total(debt *finance.Debt) {
	if debt.Balance.Valid || !debt.InterestBearing.Valid && !debt.NonInterestBearing.Valid {
		return
	}
	sum, err := debt.InterestBearing.Decimal.Add(debt.NonInterestBearing.Decimal) // an absent one is zero
	if err != nil {
		d.s.Fail("the balances have no exact sum")
		return
	}
	debt.Balance = finance.Amount{Decimal: sum.Trim(0), Valid: true}
}

// minor reads a whole number of hundredths.
func (d *decoder) minor() finance.Amount {
	n, ok := d.s.Int()
	if !ok {
		return finance.Amount{}
	}
	a, err := finance.MinorUnits(n, 2)
	if err != nil {
		d.s.Fail("not an amount")
	}
	return a
}

// small reads a count; -1 when it is not given.
func (d *decoder) small() int32 {
	n, ok := d.s.Int()
	if !ok {
		return -1
	}
	if n < 0 || n > 1<<20 {
		d.s.Fail("not a count")
		return -1
	}
	return int32(n)
}
