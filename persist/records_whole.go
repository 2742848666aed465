package persist

import (
	"context"

	"syncer/finance"
)

// remove gives removed_at to the rows that a whole set no longer has.
func (a *attempt) remove(ctx context.Context, p *page) error {
	switch p.Stream.Dataset {
	case finance.Accounts:
		return a.removeAccounts(ctx, p)
	case finance.Transactions:
		return a.removeTransactions(ctx, p)
	default:
		return a.removeDebts(ctx, p)
	}
}

// removeAccounts covers the balances too: those of an account that has gone, and those that an account on this page
// no longer has. What the accounts of earlier pages have was said there.
func (a *attempt) removeAccounts(ctx context.Context, p *page) error {
	ids := append([]string{}, p.Whole.Earlier...)
	for i := range p.Records.Accounts {
		ids = append(ids, p.Records.Accounts[i].ID)
	}
	sql := accountKind.removeSQL("starts_with(account_id, $3)", "SELECT unnest($4::text[])")
	if err := removeRows(ctx, a, p, &accountKind, sql, p.Whole.Prefix, ids); err != nil {
		return err
	}
	var accounts, kinds []string
	for i := range p.Records.Balances {
		accounts = append(accounts, p.Records.Balances[i].AccountID)
		kinds = append(kinds, p.Records.Balances[i].Kind)
	}
	earlier := append([]string{}, p.Whole.Earlier...)
	sql = balanceKind.removeSQL("starts_with(account_id, $3) AND account_id NOT IN (SELECT unnest($6::text[]))",
		"SELECT * FROM unnest($4::text[], $5::text[])")
	return removeRows(ctx, a, p, &balanceKind, sql, p.Whole.Prefix, accounts, kinds, earlier)
}

func (a *attempt) removeTransactions(ctx context.Context, p *page) error {
	ids := append([]string{}, p.Whole.Earlier...)
	for i := range p.Records.Transactions {
		ids = append(ids, p.Records.Transactions[i].ID)
	}
	// The range is what the key's index can find, where starts_with reads every row of the account: texts of keys compare
	// bytewise, and no character stands behind U+10FFFF.
	scope := `account_id = $3 AND starts_with(transaction_id, $4) AND transaction_id >= $4
		AND transaction_id < $4 || U&'\+10FFFF'`
	switch p.Whole.Status { // as a literal, so that the partial index on pending rows serves
	case finance.Booked:
		scope += " AND status = 'booked'"
	case finance.Pending:
		scope += " AND status = 'pending'"
	}
	sql := transactionKind.removeSQL(scope, "SELECT $3, unnest($5::text[])")
	return removeRows(ctx, a, p, &transactionKind, sql, p.Stream.Account, p.Whole.Prefix, ids)
}

func (a *attempt) removeDebts(ctx context.Context, p *page) error {
	ids := append([]string{}, p.Whole.Earlier...)
	for i := range p.Records.Debts {
		ids = append(ids, p.Records.Debts[i].ID)
	}
	sql := debtKind.removeSQL("starts_with(debt_id, $3)", "SELECT unnest($4::text[])")
	return removeRows(ctx, a, p, &debtKind, sql, p.Whole.Prefix, ids)
}

func removeRows[T any](ctx context.Context, a *attempt, p *page, k *kind[T], sql string, args ...any) error {
	tag, err := a.tx.Exec(ctx, sql, append([]any{p.Stream.Consent, [16]byte(p.Call.ID)}, args...)...)
	if err != nil {
		return k.failed("mark as removed in", err)
	}
	p.written.Removed += int(tag.RowsAffected())
	return nil
}
