package vipps

import (
	"strconv"
	"time"

	"syncer/fetch/jsonread"
	"syncer/finance"
)

// renamed are entry types under their former names. A row keeps its key when the provider renames its type.
var renamed = map[string]string{"scheduled-for-payout": "payout-scheduled"}

// decimals is how many decimals the currencies of the provider's markets have. The amount of any other currency could
// only be guessed.
var decimals = map[string]int{"NOK": 2, "DKK": 2, "SEK": 2, "EUR": 2, "GBP": 2, "USD": 2, "PLN": 2, "CHF": 2, "ISK": 0}

// rowReader reads entries of one topic of one ledger.
type rowReader struct {
	s      *jsonread.Scanner
	extra  jsonread.Extra
	ledger string
	topic  string
	gdpr   bool         // keep what tells who has paid
	on     finance.Date // the day that was asked for; zero in the feed
}

// row reads one entry. Types that nobody has heard of are kept as the provider's words.
func (r *rowReader) row(e *entry) {
	s := r.s
	e.AccountID = r.ledger
	e.Status = finance.Booked
	e.Code = r.topic
	amount := false
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "pspReference":
			e.psp = s.Word()
			r.extra.Add("pspReference", e.psp)
		case "time":
			e.at = r.instant()
		case "ledgerDate":
			e.BookedOn = s.Date()
		case "entryType":
			r.kind(e, s.Text())
		case "reference":
			e.Reference = s.Word()
		case "currency":
			e.Currency = s.Text()
		case "amount":
			e.minor, amount = s.Int()
		case "balanceBefore":
			e.before = r.balance("balanceBefore")
		case "balanceAfter":
			e.after = r.balance("balanceAfter")
		default:
			r.other(e, &o)
		}
	}
	r.check(e, amount)
}

func (r *rowReader) kind(e *entry, word string) {
	e.Kind = word
	if now, ok := renamed[word]; ok {
		e.Kind = now
		r.extra.Add("entryType", word)
	}
}

// instant reads a time in either form of the documents, with a colon in its offset or without, and keeps it
// in one. Its offset stays, since the row's day may be told by it.
func (r *rowReader) instant() time.Time {
	text := r.s.Text()
	if text == "" {
		return time.Time{}
	}
	t, err := jsonread.ParseInstant(text)
	if err != nil {
		r.s.Fail("not an instant")
		return time.Time{}
	}
	utc := jsonread.InUTC(t)
	if utc.IsZero() {
		return utc
	}
	r.extra.Add("time", utc.Format(time.RFC3339Nano))
	return t
}

// balance reads a running balance and keeps it, in minor units as it came.
func (r *rowReader) balance(name string) *int64 {
	n, ok := r.s.Int()
	if !ok {
		return nil
	}
	r.extra.Add(name, strconv.FormatInt(n, 10))
	return &n
}

// check fails for a row that can't be booked. Where the ledger date is missing it is the day that was asked for, in
// the feed the day of the row's own time.
func (r *rowReader) check(e *entry, amount bool) {
	if r.s.Err() != nil {
		return
	}
	if e.BookedOn.IsZero() {
		if e.BookedOn = r.on; r.on.IsZero() && !e.at.IsZero() {
			e.BookedOn = finance.DateOf(e.at)
		}
	}
	digits, known := decimals[e.Currency]
	switch {
	case e.BookedOn.IsZero():
		r.s.Fail("a row without a ledger date and a time")
	case !amount:
		r.s.Fail("a row without an amount")
	case !known:
		r.s.Fail("a row whose currency's minor unit is not known")
	default:
		var err error
		if e.Amount, err = finance.MinorUnits(e.minor, digits); err != nil {
			r.s.Fail("an amount that can't be expressed")
		}
	}
}
