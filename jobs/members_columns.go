package jobs

import "syncer/finance"

// column is a column that an answer fills, by its name in the table.
type column[T any] struct {
	name string
	held func(*T) bool
}

func accountColumns() []column[finance.Account] {
	type a = finance.Account
	return []column[a]{
		{"number", func(x *a) bool { return x.Number != "" }},
		{"name", func(x *a) bool { return x.Name != "" }},
		{"kind", func(x *a) bool { return x.Kind != "" }},
		{"currency", func(x *a) bool { return x.Currency != "" }},
	}
}

func balanceColumns() []column[finance.Balance] {
	type b = finance.Balance
	return []column[b]{
		{"amount", func(x *b) bool { return x.Amount.Valid }},
		{"currency", func(x *b) bool { return x.Currency != "" }},
	}
}

func transactionColumns() []column[finance.Transaction] {
	type t = finance.Transaction
	return []column[t]{
		{"booked_on", func(x *t) bool { return !x.BookedOn.IsZero() }},
		{"value_on", func(x *t) bool { return !x.ValueOn.IsZero() }},
		{"amount", func(x *t) bool { return x.Amount.Valid }},
		{"currency", func(x *t) bool { return x.Currency != "" }},
		{"text", func(x *t) bool { return x.Text != "" }},
		{"kind", func(x *t) bool { return x.Kind != "" }},
		{"code", func(x *t) bool { return x.Code != "" }},
		{"counterparty_account", func(x *t) bool { return x.CounterpartyAccount != "" }},
		{"counterparty_name", func(x *t) bool { return x.CounterpartyName != "" }},
		{"reference", func(x *t) bool { return x.Reference != "" }},
		{"merchant_name", func(x *t) bool { return x.MerchantName != "" }},
		{"merchant_category", func(x *t) bool { return x.MerchantCategory != "" }},
		{"purchased_on", func(x *t) bool { return !x.PurchasedOn.IsZero() }},
		{"original_amount", func(x *t) bool { return x.OriginalAmount.Valid }},
		{"original_currency", func(x *t) bool { return x.OriginalCurrency != "" }},
		{"exchange_rate", func(x *t) bool { return x.ExchangeRate.Valid }},
	}
}

func debtColumns() []column[finance.Debt] {
	type d = finance.Debt
	return []column[d]{
		{"creditor", func(x *d) bool { return x.Creditor != "" }},
		{"kind", func(x *d) bool { return x.Kind != "" }},
		{"currency", func(x *d) bool { return x.Currency != "" }},
		{"balance", func(x *d) bool { return x.Balance.Valid }},
		{"original_balance", func(x *d) bool { return x.OriginalBalance.Valid }},
		{"credit_limit", func(x *d) bool { return x.CreditLimit.Valid }},
		{"interest_bearing", func(x *d) bool { return x.InterestBearing.Valid }},
		{"non_interest_bearing", func(x *d) bool { return x.NonInterestBearing.Valid }},
		{"nominal_rate", func(x *d) bool { return x.NominalRate.Valid }},
		{"installment_charges", func(x *d) bool { return x.InstallmentCharges.Valid }},
		{"installment_period", func(x *d) bool { return x.InstallmentPeriod != "" }},
		{"terms_left", func(x *d) bool { return x.TermsLeft >= 0 }},
		{"co_borrower", func(x *d) bool { return x.CoBorrower >= 0 }},
		{"reported_at", func(x *d) bool { return !x.ReportedAt.IsZero() }},
	}
}

// columns are those of all kinds of records.
type columns struct {
	account     []column[finance.Account]
	balance     []column[finance.Balance]
	transaction []column[finance.Transaction]
	debt        []column[finance.Debt]
}

func newColumns() *columns {
	return &columns{accountColumns(), balanceColumns(), transactionColumns(), debtColumns()}
}
