package persist

import "syncer/finance"

var transactionKind = kind[finance.Transaction]{
	table: "transactions",
	key:   []string{"account_id", "transaction_id"},
	content: []string{"status", "booked_on", "value_on", "amount", "currency", "text", "kind", "code",
		"counterparty_account", "counterparty_name", "reference", "merchant_name", "merchant_category",
		"purchased_on", "original_amount", "original_currency", "exchange_rate", "extra"},
	id:    func(t *finance.Transaction) (string, string) { return t.AccountID, t.ID },
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
}
