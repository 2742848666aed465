package vipps

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"syncer/fetch"
	"syncer/finance"
)

// renamed are entry types under their former names. A row keeps its key when the provider renames its type.
var renamed = map[string]string{"scheduled-for-payout": "payout-scheduled"}

// decimals is how many decimals the currencies of the provider's markets have. The amount of any other currency could
// only be guessed.
var decimals = map[string]int{"NOK": 2, "DKK": 2, "SEK": 2, "EUR": 2, "GBP": 2, "USD": 2, "PLN": 2, "CHF": 2, "ISK": 0}

// rowReader reads entries of one topic of one ledger.
type rowReader struct {
	s      *fetch.Scanner
	extra  fetch.Extra
	ledger string
	topic  string
	gdpr   bool         // keep what tells who has paid
	on     finance.Date // the day that was asked for; zero in the feed
}

// row reads one entry. Types that nobody has heard of are kept as the provider's words.
func (r *rowReader) row(e *entry) {
	s := r.s
	e.AccountID, e.Status, e.Code = r.ledger, finance.Booked, r.topic
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
	t, err := fetch.ParseInstant(text)
	if err != nil {
		r.s.Fail("not an instant")
		return time.Time{}
	}
	utc := fetch.InUTC(t)
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

// other reads what tells who has paid, and what nobody has given a column. The former comes only where it was asked
// for; without that it is dropped even if it comes, under the names that are known and those that look like one.
func (r *rowReader) other(e *entry, o *fetch.Object) {
	switch key := strings.ToLower(o.Key()); {
	case !r.gdpr && (personal.MatchString(key) || r.nested()):
	case key == "name":
		e.CounterpartyName = r.s.Text()
	case key == "message":
		e.Text = r.s.Text()
	default:
		o.Extra(&r.extra)
	}
}

// personal is what names of members that tell who has paid look like.
var personal = regexp.MustCompile(`(?i)name|phone|message|e-?mail|address|payer`)

// nested says whether the value ahead holds members with such names in its depths.
func (r *rowReader) nested() bool {
	if c := r.s.Peek(); c != '{' && c != '[' {
		return false
	}
	ahead := *r.s // a look ahead: the scanner itself stays where it is
	return personal.MatchString(ahead.Raw())
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
	places, known := decimals[e.Currency]
	switch {
	case e.BookedOn.IsZero():
		r.s.Fail("a row without a ledger date and a time")
	case !amount:
		r.s.Fail("a row without an amount")
	case !known:
		r.s.Fail("a row whose currency's minor unit is not known")
	default:
		var err error
		if e.Amount, err = finance.MinorUnits(e.minor, places); err != nil {
			r.s.Fail("an amount that can't be expressed")
		}
	}
}
