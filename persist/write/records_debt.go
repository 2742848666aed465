package write

import "syncer/finance"

var debtKind = kind[finance.Debt]{
	table: "debts",
	key:   []string{"debt_id"},
	content: []string{"creditor", "kind", "currency", "balance", "original_balance", "credit_limit",
		"interest_bearing", "non_interest_bearing", "nominal_rate", "installment_charges", "installment_period",
		"terms_left", "co_borrower", "reported_at", "extra"},
	id:    func(d *finance.Debt) [3]string { return [3]string{d.ID} },
	place: func(d *finance.Debt) int32 { return d.Place },
	hash:  (*finance.Hasher).Debt,
	encode: func(e *encoder, d *finance.Debt) {
		e.text(d.ID)
		e.text(d.Creditor)
		e.text(d.Kind)
		e.text(d.Currency)
		e.amount(d.Balance)
		e.amount(d.OriginalBalance)
		e.amount(d.CreditLimit)
		e.amount(d.InterestBearing)
		e.amount(d.NonInterestBearing)
		e.amount(d.NominalRate)
		e.amount(d.InstallmentCharges)
		e.textOrNull(d.InstallmentPeriod)
		e.int4OrNull(d.TermsLeft)
		e.int4OrNull(d.CoBorrower)
		e.time(d.ReportedAt)
		e.json(d.Extra)
	},
}
