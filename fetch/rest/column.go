package rest

import (
	"slices"
	"time"

	"syncer/finance"
)

// kind is what a column holds.
type kind int

const (
	asText kind = iota
	asAmount
	asDay
	asInstant
	asCount
	asOrder
)

// use is a column as a description fills it. Field is nil for one that it doesn't fill.
type use struct {
	name  string
	field *Field
	kind  kind
}

// column is a use and where the value goes.
type column[T any] struct {
	use
	source *source
	set    func(*T, value)
	show   func(*T) string // for hashing
}

// value is what a column is set to; which part of it holds the value depends on the kind.
type value struct {
	text   string
	amount finance.Amount
	day    finance.Date
	at     time.Time
	count  int32
	order  finance.Version
}

func texts[T any](name string, f *Field, at func(*T) *string) column[T] {
	return column[T]{use{name, f, asText}, nil, func(t *T, v value) { *at(t) = v.text }, func(t *T) string { return *at(t) }}
}

func amounts[T any](name string, f *Field, at func(*T) *finance.Amount) column[T] {
	return column[T]{use{name, f, asAmount}, nil, func(t *T, v value) { *at(t) = v.amount }, func(t *T) string { return at(t).String() }}
}

func days[T any](name string, f *Field, at func(*T) *finance.Date) column[T] {
	return column[T]{use{name, f, asDay}, nil, func(t *T, v value) { *at(t) = v.day }, func(t *T) string { return at(t).String() }}
}

func instants[T any](name string, f *Field, at func(*T) *time.Time) column[T] {
	return column[T]{use{name, f, asInstant}, nil, func(t *T, v value) { *at(t) = v.at }, func(t *T) string { return at(t).Format(time.RFC3339Nano) }}
}

func counts[T any](name string, f *Field, at func(*T) *int32) column[T] {
	return column[T]{use{name, f, asCount}, nil, func(t *T, v value) { *at(t) = v.count }, func(t *T) string { return itoa(int(*at(t))) }}
}

func orders[T any](f *Field, at func(*T) *finance.Lineage) column[T] {
	return column[T]{use{"version", f, asOrder}, nil, func(t *T, v value) { at(t).Version = v.order }, func(t *T) string { return "" }}
}

func (f *AccountFields) columns() []column[finance.Account] {
	type a = finance.Account
	return []column[a]{
		texts("number", f.Number, func(x *a) *string { return &x.Number }),
		texts("name", f.Name, func(x *a) *string { return &x.Name }),
		texts("kind", f.Kind, func(x *a) *string { return &x.Kind }),
		texts("currency", f.Currency, func(x *a) *string { return &x.Currency }),
		orders(f.Version, func(x *a) *finance.Lineage { return &x.Lineage }),
	}
}

func (f *TransactionFields) columns() []column[finance.Transaction] {
	type t = finance.Transaction
	return []column[t]{
		texts("account", f.Account, func(x *t) *string { return &x.AccountID }),
		texts("status", f.Status, func(x *t) *string { return &x.Status }),
		days("booked_on", f.BookedOn, func(x *t) *finance.Date { return &x.BookedOn }),
		days("value_on", f.ValueOn, func(x *t) *finance.Date { return &x.ValueOn }),
		amounts("amount", f.Amount, func(x *t) *finance.Amount { return &x.Amount }),
		texts("currency", f.Currency, func(x *t) *string { return &x.Currency }),
		texts("text", f.Text, func(x *t) *string { return &x.Text }),
		texts("kind", f.Kind, func(x *t) *string { return &x.Kind }),
		texts("code", f.Code, func(x *t) *string { return &x.Code }),
		texts("counterparty_account", f.CounterpartyAccount, func(x *t) *string { return &x.CounterpartyAccount }),
		texts("counterparty_name", f.CounterpartyName, func(x *t) *string { return &x.CounterpartyName }),
		texts("reference", f.Reference, func(x *t) *string { return &x.Reference }),
		texts("merchant_name", f.MerchantName, func(x *t) *string { return &x.MerchantName }),
		texts("merchant_category", f.MerchantCategory, func(x *t) *string { return &x.MerchantCategory }),
		days("purchased_on", f.PurchasedOn, func(x *t) *finance.Date { return &x.PurchasedOn }),
		amounts("original_amount", f.OriginalAmount, func(x *t) *finance.Amount { return &x.OriginalAmount }),
		texts("original_currency", f.OriginalCurrency, func(x *t) *string { return &x.OriginalCurrency }),
		amounts("exchange_rate", f.ExchangeRate, func(x *t) *finance.Amount { return &x.ExchangeRate }),
		orders(f.Version, func(x *t) *finance.Lineage { return &x.Lineage }),
	}
}

func (f *DebtFields) columns() []column[finance.Debt] {
	type d = finance.Debt
	return []column[d]{
		texts("creditor", f.Creditor, func(x *d) *string { return &x.Creditor }),
		texts("kind", f.Kind, func(x *d) *string { return &x.Kind }),
		texts("currency", f.Currency, func(x *d) *string { return &x.Currency }),
		amounts("balance", f.Balance, func(x *d) *finance.Amount { return &x.Balance }),
		amounts("original_balance", f.OriginalBalance, func(x *d) *finance.Amount { return &x.OriginalBalance }),
		amounts("credit_limit", f.CreditLimit, func(x *d) *finance.Amount { return &x.CreditLimit }),
		amounts("interest_bearing", f.InterestBearing, func(x *d) *finance.Amount { return &x.InterestBearing }),
		amounts("non_interest_bearing", f.NonInterestBearing, func(x *d) *finance.Amount { return &x.NonInterestBearing }),
		amounts("nominal_rate", f.NominalRate, func(x *d) *finance.Amount { return &x.NominalRate }),
		amounts("installment_charges", f.InstallmentCharges, func(x *d) *finance.Amount { return &x.InstallmentCharges }),
		texts("installment_period", f.InstallmentPeriod, func(x *d) *string { return &x.InstallmentPeriod }),
		counts("terms_left", f.TermsLeft, func(x *d) *int32 { return &x.TermsLeft }),
		counts("co_borrower", f.CoBorrower, func(x *d) *int32 { return &x.CoBorrower }),
		instants("reported_at", f.ReportedAt, func(x *d) *time.Time { return &x.ReportedAt }),
		orders(f.Version, func(x *d) *finance.Lineage { return &x.Lineage }),
	}
}

// source fills a column from the values of a record.
type source struct {
	use
	label    string // the column and its path, for people
	slots    []int
	constant string            // JSON
	fallback string            // JSON
	words    map[string]string // to JSON
	clock    clock
	sign     []int // where the flag stands that makes an amount negative
	turns    Words
}

// newSource makes room for a field's values in the shape of a record. zone is the calendar of instants.
func newSource(u use, record *shape, zone *time.Location) (*source, error) {
	s := &source{use: u, label: u.name, slots: record.slots(u.field.Path), words: map[string]string{}}
	if len(u.field.Path) > 0 {
		s.label += " (" + u.field.Path[0] + ")"
	}
	if u.field.Const != "" {
		s.constant = quote(u.field.Const)
	}
	if u.field.Default != "" {
		s.fallback = quote(u.field.Default)
	}
	for word, ours := range u.field.Map {
		s.words[word] = quote(ours)
	}
	if flag := u.field.NegateWhen; flag != nil {
		s.sign = record.slots(flag.Path)
		s.turns = flag.Is
	}
	var err error
	s.clock, err = newClock(u.field.Format, zone)
	return s, err
}

// raw is the JSON text of the value, mapped; empty if there is none.
func (s *source) raw(v values) (string, error) {
	if s.constant != "" {
		return s.constant, nil
	}
	raw := v.first(s.slots)
	if raw == "" {
		return s.fallback, nil
	}
	if len(s.words) > 0 {
		text, err := textOf(raw)
		if err != nil {
			return "", err
		}
		if ours, ok := s.words[text]; ok {
			return ours, nil
		}
	}
	return raw, nil
}

// read gives the column's value, and whether there is one.
func (s *source) read(v values) (out value, there bool, err error) {
	raw, err := s.raw(v)
	if err != nil || raw == "" {
		return out, false, err
	}
	switch s.kind {
	case asText:
		out.text, err = textOf(raw)
		return out, out.text != "", err
	case asAmount:
		out.amount, err = s.amount(raw, v)
	case asDay:
		out.day, err = s.clock.day(raw)
		return out, out.day != 0, err
	case asInstant:
		out.at, err = s.clock.instant(raw)
		return out, !out.at.IsZero(), err
	case asOrder:
		out.order = s.clock.order(raw)
		return out, out.order.Told, nil
	case asCount:
		var n int64
		if n, err = wholeOf(raw); err == nil && (n < 0 || n > 1<<20) {
			err = errNoCount
		}
		out.count = int32(n)
	}
	return out, err == nil, err
}

func (s *source) amount(raw string, v values) (a finance.Amount, err error) {
	switch {
	case s.field.MinorUnits != nil:
		a, err = minorOf(raw, *s.field.MinorUnits)
	case isText(raw) && s.field.Decimal != "":
		a, err = writtenAmount(raw, s.field.Decimal)
	default:
		a, err = amountOf(raw)
	}
	if err != nil {
		return a, err
	}
	if len(s.sign) == 0 {
		return a, nil
	}
	flag, err := textOf(v.first(s.sign))
	if err != nil {
		return finance.Amount{}, err
	}
	if slices.Contains(s.turns, flag) && !a.Decimal.IsNeg() { // some write the sign twice, and it counts once
		a.Decimal = a.Decimal.Neg()
	}
	return a, nil
}
