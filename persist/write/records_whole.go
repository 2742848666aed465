package write

import (
	"context"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// remove takes away the rows that a whole set no longer has, as far as that is proven.
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
	ids = append(ids, p.unread()...)
	if err := moveAccounts(ctx, a, p, ids); err != nil {
		return err
	}
	sql := accountKind.findGoneSQL("starts_with(account_id, $3)", "SELECT unnest($4::text[])")
	if err := removeRows(ctx, a, p, &accountKind, sql, p.Whole.Prefix, ids); err != nil {
		return err
	}
	var accounts, kinds, currencies []string
	for i := range p.Records.Balances {
		b := &p.Records.Balances[i]
		accounts = append(accounts, b.AccountID)
		kinds = append(kinds, b.Kind)
		currencies = append(currencies, b.Currency)
	}
	elsewhere := append([]string{}, p.Whole.Earlier...)
	elsewhere = append(elsewhere, p.unread()...)
	sql = balanceKind.findGoneSQL("starts_with(account_id, $3) AND account_id NOT IN (SELECT unnest($7::text[]))",
		"SELECT * FROM unnest($4::text[], $5::text[], $6::text[])")
	return removeRows(ctx, a, p, &balanceKind, sql, p.Whole.Prefix, accounts, kinds, currencies, elsewhere)
}

func (a *attempt) removeTransactions(ctx context.Context, p *page) error {
	ids := append([]string{}, p.Whole.Earlier...)
	for i := range p.Records.Transactions {
		ids = append(ids, p.Records.Transactions[i].ID)
	}
	ids = append(ids, p.unread()...)
	// The range is what the key's index can find, where starts_with reads every row of the account: texts of keys compare
	// bytewise, and no character stands behind U+10FFFF.
	where := `account_id = $3 AND starts_with(transaction_id, $4) AND transaction_id >= $4
		AND transaction_id < $4 || U&'\+10FFFF'`
	switch p.Whole.Status { // as a literal, so that the partial index on pending rows serves
	case finance.Booked:
		where += " AND status = 'booked'"
	case finance.Pending:
		where += " AND status = 'pending'"
	}
	sql := transactionKind.findGoneSQL(where, "SELECT $3, unnest($5::text[])")
	return removeRows(ctx, a, p, &transactionKind, sql, p.Stream.Account, p.Whole.Prefix, ids, pg.NullInt(p.Task.Run))
}

func (a *attempt) removeDebts(ctx context.Context, p *page) error {
	ids := append([]string{}, p.Whole.Earlier...)
	for i := range p.Records.Debts {
		ids = append(ids, p.Records.Debts[i].ID)
	}
	ids = append(ids, p.unread()...)
	sql := debtKind.findGoneSQL("starts_with(debt_id, $3)", "SELECT unnest($4::text[])")
	return removeRows(ctx, a, p, &debtKind, sql, p.Whole.Prefix, ids)
}

// unread are the keys of records that the page shows, though they could not be read or stored.
func (p *page) unread() (keys []string) {
	for i := range p.Rejects {
		if p.Rejects[i].Key != "" {
			keys = append(keys, p.Rejects[i].Key)
		}
	}
	return keys
}

// missingRow is a row that is alive in the tables and that a whole set lacks.
type missingRow struct {
	Account, Record string    // its key, as its note in absences has it
	Pending         bool      // it is a reservation
	Replaced        bool      // and the pass has brought the booking that it waited for
	First           *[16]byte // the call that lacked it first, if that is written down
}

// confirmed says that the row is known to be gone. One answer that shows the whole set proves it. A set that took
// several may have moved meanwhile, so another pass must have lacked the row before: every pass that proves anything
// ends with a call of its own.
func (m *missingRow) confirmed(p *page) bool {
	lackedBefore := m.First != nil && *m.First != [16]byte(p.Call.ID)
	return !p.Whole.Paged || m.Replaced || lackedBefore
}

// removeRows finds what a whole set lacks, removes what is known to be gone, and notes the rest. When nothing is
// missing, the finding is all.
func removeRows[T any](ctx context.Context, a *attempt, p *page, k *kind[T], find string, args ...any) error {
	rows, err := a.tx.Query(ctx, find, append([]any{p.Stream.Consent, p.Whole.Paged}, args...)...)
	if err != nil {
		return k.failed("look what has gone from", err)
	}
	lacked, err := pgx.CollectRows(rows, pgx.RowToStructByPos[missingRow])
	if err != nil {
		return k.failed("look what has gone from", err)
	}
	var known, doubted []missingRow
	for _, m := range lacked {
		if m.confirmed(p) {
			known = append(known, m)
		} else {
			doubted = append(doubted, m)
		}
	}
	if err := noteAbsent(ctx, a, p, k, doubted); err != nil {
		return err
	}
	if len(known) == 0 {
		return nil
	}
	by, err := a.withhold(ctx, p, k.table, known)
	if err != nil {
		return err
	}
	if by != 0 {
		return withholdFrom(ctx, a, p, k, known, by)
	}
	accounts, records := missingKeys(known)
	tag, err := a.tx.Exec(ctx, k.removeSQL(), p.Stream.Consent, [16]byte(p.Call.ID), accounts, records)
	if err != nil {
		return k.failed("mark as removed in", err)
	}
	k.wrote(p, Written{Removed: int(tag.RowsAffected())})
	return nil
}

// missingKeys are the keys of rows, a parameter for each column.
func missingKeys(list []missingRow) (accounts, records []string) {
	for _, m := range list {
		accounts = append(accounts, m.Account)
		records = append(records, m.Record)
	}
	return accounts, records
}
