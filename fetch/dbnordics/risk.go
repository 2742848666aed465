package dbnordics

import (
	"syncer/fetch"
	"syncer/finance"
)

// The kinds of records. Behind a remark's, a petition's and a registration's stands the vendor's word for its type.
const (
	kindRating    = "rating"
	kindBalance   = "debt_balance"
	kindRemark    = "payment_remark"
	kindPetition  = "petition"
	kindVoluntary = "voluntary_registration"
	kindTotal     = "_total" // behind the kind of a list
)

func newDebt(kind string) finance.Debt {
	return finance.Debt{Kind: kind, TermsLeft: -1, CoBorrower: -1}
}

// rating is the one record that the credit rating and the credit limit make, which stand apart in the answer. Its limit is
// what the vendor recommends; its code (AAA to C, AN or -) and its history are in Extra.
type rating struct {
	debt   finance.Debt
	extra  fetch.Extra
	place  int32
	found  bool
	broken bool
}

func (r *rating) ratings(s *fetch.Scanner) {
	for o := s.Object(); o.Next(); {
		if o.Key() != "currentCreditRating" {
			o.ExtraUnder(&r.extra, "ratings.")
			continue
		}
		for in := s.Object(); in.Next(); {
			r.found = true
			switch in.Key() {
			case "code":
				r.extra.Add("code", s.Word())
			case "date":
				at := readMoment(s)
				r.extra.Add("date", at.text)
				r.debt.ReportedAt = at.time()
			default:
				in.Extra(&r.extra)
			}
		}
	}
	r.broken = r.broken || s.Err() != nil
}

func (r *rating) limits(s *fetch.Scanner) {
	for o := s.Object(); o.Next(); {
		if o.Key() != "currentRatingCreditLimit" {
			o.ExtraUnder(&r.extra, "limits.")
			continue
		}
		for in := s.Object(); in.Next(); {
			r.found = true
			switch in.Key() {
			case "amount":
				m := readMoney(s, &r.extra)
				r.debt.CreditLimit, r.debt.Currency = m.amount, m.currency
			case "date":
				r.extra.Add("limit.date", readMoment(s).text)
			default:
				in.ExtraUnder(&r.extra, "limit.")
			}
		}
	}
	r.broken = r.broken || s.Err() != nil
}

// add makes the record, unless there is nothing or a part of it could not be read: half a rating would look like a new one.
func (r *rating) add(d *decoder) {
	if !r.found || r.broken {
		return
	}
	debt := newDebt(kindRating)
	debt.CreditLimit, debt.Currency, debt.ReportedAt = r.debt.CreditLimit, r.debt.Currency, r.debt.ReportedAt
	debt.Extra, debt.Place = discreet(r.extra.JSON()), r.place
	d.debts = append(d.debts, keyed{Debt: debt, fixed: "rating"})
}

// balance reads what is owed by the books of the Swedish Enforcement Authority (Kronofogden): public claims, whose creditor is
// the state, and private ones. It is made anew every week, need not be the sum of the remarks, and only its week moves
// while nothing else does: so the week is no part of the record's content.
func (d *decoder) balance(s *fetch.Scanner) {
	debt := newDebt(kindBalance)
	found := false
	for o := s.Object(); o.Next(); {
		if o.Key() == "currentDebtBalance" {
			found = s.Peek() == '{' || found
			d.currentBalance(s, &debt)
			continue
		}
		found = found || s.Peek() == '[' && o.Key() == "historicalDebtBalance"
		o.ExtraUnder(&d.extra, "debtBalance.")
	}
	debt.Extra, debt.Place = discreet(d.extra.JSON()), d.place
	if found {
		d.debts = append(d.debts, keyed{Debt: debt, fixed: "balance"})
	}
}

// claims are one of the two kinds of claims that a balance is made of.
type claims struct {
	money
	count int64
}

func (d *decoder) currentBalance(s *fetch.Scanner, debt *finance.Debt) {
	var private, public claims
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "date":
			at := readMoment(s)
			if debt.ReportedAt = at.time(); debt.ReportedAt.IsZero() {
				d.extra.Add("date", at.text)
			}
		case "privateClaimsAmount":
			private.money = readMoney(s, &d.extra)
			d.extra.Add("privateClaimsAmount", private.amount.String())
		case "publicClaimsAmount":
			public.money = readMoney(s, &d.extra)
			d.extra.Add("publicClaimsAmount", public.amount.String())
		case "privateClaimsCount":
			private.count = d.count(s, o.Key())
		case "publicClaimsCount":
			public.count = d.count(s, o.Key())
		default:
			o.Extra(&d.extra)
		}
	}
	d.sum(s, debt, private, public)
}

// sum adds private and public claims. One that is not told is zero only where there are no such claims; else the whole is
// not known.
func (d *decoder) sum(s *fetch.Scanner, debt *finance.Debt, private, public claims) {
	unknown := func(c claims) bool { return !c.amount.Valid && c.count > 0 }
	debt.Currency = private.currency
	if debt.Currency == "" {
		debt.Currency = public.currency
	}
	switch {
	case s.Err() != nil, unknown(private), unknown(public), !private.amount.Valid && !public.amount.Valid:
		return
	case private.currency != "" && public.currency != "" && private.currency != public.currency:
		s.Fail("private and public claims have different currencies")
		return
	}
	sum, err := private.amount.Decimal.Add(public.amount.Decimal)
	if err != nil {
		s.Fail("the claims have no exact sum")
		return
	}
	debt.Balance = finance.Amount{Decimal: sum.Trim(0), Valid: true}
}
