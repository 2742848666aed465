package write

import "syncer/finance"

var accountKind = kind[finance.Account]{
	table:   "accounts",
	key:     []string{"account_id"},
	content: []string{"number", "name", "kind", "currency", "extra"},
	id:      func(a *finance.Account) [3]string { return [3]string{a.ID} },
	place:   func(a *finance.Account) int32 { return a.Place },
	hash:    (*finance.Hasher).Account,
	encode: func(e *encoder, a *finance.Account) {
		e.text(a.ID)
		e.textOrNull(a.Number)
		e.textOrNull(a.Name)
		e.textOrNull(a.Kind)
		e.textOrNull(a.Currency)
		e.json(a.Extra)
	},
}

var balanceKind = kind[finance.Balance]{
	table:   "balances",
	key:     []string{"account_id", "kind", "currency"},
	content: []string{"amount"},
	id:      func(b *finance.Balance) [3]string { return [3]string{b.AccountID, b.Kind, b.Currency} },
	place:   func(b *finance.Balance) int32 { return b.Place },
	hash:    (*finance.Hasher).Balance,
	encode: func(e *encoder, b *finance.Balance) {
		e.text(b.AccountID)
		e.text(b.Kind)
		e.text(b.Currency)
		e.amount(b.Amount)
	},
}
