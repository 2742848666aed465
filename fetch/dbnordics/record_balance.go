package dbnordics

import (
	"cmp"

	"syncer/fetch/jsonread"
	"syncer/finance"
)

// balance reads what is owed by the books of the Swedish Enforcement Authority (Kronofogden): public claims, whose creditor is
// the state, and private ones. It is made anew every week, need not be the sum of the remarks, and only its week moves
// while nothing else does: so the week is no part of the record's content.
func (d *decoder) balance(s *jsonread.Scanner) {
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
	debt.Extra = discreet(d.extra.JSON())
	debt.Place = d.place
	if found {
		d.debts = append(d.debts, keyed{Debt: debt, fixed: "balance"})
	}
}

// claims are one of the two kinds of claims that a balance is made of.
type claims struct {
	money
	count int64
}

func (d *decoder) currentBalance(s *jsonread.Scanner, debt *finance.Debt) {
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

// unknown says that there are such claims, and their sum is not told.
func (c claims) unknown() bool { return !c.amount.Valid && c.count > 0 }

// sum adds private and public claims. One that is not told is zero only where there are no such claims; else the whole is
// not known.
func (d *decoder) sum(s *jsonread.Scanner, debt *finance.Debt, private, public claims) {
	debt.Currency = cmp.Or(private.currency, public.currency)
	told := private.amount.Valid || public.amount.Valid
	if s.Err() != nil || !told {
		return
	}
	if private.unknown() || public.unknown() {
		return
	}
	if public.currency != "" && public.currency != debt.Currency {
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
