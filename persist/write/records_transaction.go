package write

import "syncer/finance"

var transactionKind = kind[finance.Transaction]{
	table: "transactions",
	key:   []string{"account_id", "transaction_id"},
	content: []string{"status", "booked_on", "value_on", "amount", "currency", "text", "kind", "code",
		"counterparty_account", "counterparty_name", "reference", "merchant_name", "merchant_category",
		"purchased_on", "original_amount", "original_currency", "exchange_rate", "extra"},
	id:    func(t *finance.Transaction) [3]string { return [3]string{t.AccountID, t.ID} },
	place: func(t *finance.Transaction) int32 { return t.Place },
	hash:  (*finance.Hasher).Transaction,
	encode: func(e *encoder, t *finance.Transaction) {
		e.text(t.AccountID)
		e.text(t.ID)
		e.text(t.Status)
		e.date(t.BookedOn)
		e.date(t.ValueOn)
		e.amount(t.Amount)
		e.text(t.Currency)
		e.textOrNull(t.Text)
		e.textOrNull(t.Kind)
		e.textOrNull(t.Code)
		e.textOrNull(t.CounterpartyAccount)
		e.textOrNull(t.CounterpartyName)
		e.textOrNull(t.Reference)
		e.textOrNull(t.MerchantName)
		e.textOrNull(t.MerchantCategory)
		e.date(t.PurchasedOn)
		e.amount(t.OriginalAmount)
		e.textOrNull(t.OriginalCurrency)
		e.amount(t.ExchangeRate)
		e.json(t.Extra)
	},
	pending:  "t.status = 'pending'",
	replaced: bookedSince,
}

// bookedSince says that a reservation which the set lacks came back booked, under an id of its own: since the run $6
// began, the account has got as many bookings of its amount as reservations of it have gone. A second look is not
// needed then, and until one came, the money would be there twice.
const bookedSince = `$2::bool AND t.status = 'pending' AND row_number() OVER (
	PARTITION BY t.status, t.amount, t.currency ORDER BY t.first_seen_at, t.transaction_id) <= CASE WHEN $2::bool THEN (
	SELECT count(*) FROM transactions b WHERE b.consent_id = $1 AND b.account_id = $3 AND b.status = 'booked'
	AND b.removed_at IS NULL AND b.amount = t.amount AND b.currency = t.currency
	AND b.first_seen_at >= (SELECT root.created_at FROM runs r JOIN runs root ON root.id = coalesce(r.of_run, r.id)
		WHERE r.id = $6)) ELSE 0 END`
