package dbnordics

import (
	"syncer/fetch/jsonread"
	"syncer/finance"
)

// rating is the one record that the credit rating and the credit limit make, which stand apart in the answer. Its limit is
// what the vendor recommends; its code (AAA to C, AN or -) and its history are in Extra.
type rating struct {
	debt   finance.Debt
	extra  jsonread.Extra
	place  int32
	found  bool
	broken bool
}

func (r *rating) ratings(s *jsonread.Scanner) {
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

func (r *rating) limits(s *jsonread.Scanner) {
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
				r.debt.CreditLimit = m.amount
				r.debt.Currency = m.currency
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
	debt.Extra = discreet(r.extra.JSON())
	debt.Place = r.place
	d.debts = append(d.debts, keyed{Debt: debt, fixed: "rating"})
}
