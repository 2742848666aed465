package write

import (
	"context"
	"fmt"

	"syncer/finance"
	"syncer/persist/pg"
)

// Stored says whether all of these records of the stream are stored as they are, and none is removed: then they bring
// nothing new. An account's figures count as parts of it.
func (w *Writer) Stored(ctx context.Context, s finance.Stream, r *finance.Records) (bool, error) {
	var h finance.Hasher
	p := &page{PageWrite: &PageWrite{Stream: s}}
	for _, stored := range []func() (bool, error){
		func() (bool, error) {
			return allStored(ctx, w, &accountKind, entriesOf(&accountKind, p, r.Accounts, &h))
		},
		func() (bool, error) {
			return allStored(ctx, w, &balanceKind, entriesOf(&balanceKind, p, r.Balances, &h))
		},
		func() (bool, error) {
			return allStored(ctx, w, &transactionKind, entriesOf(&transactionKind, p, r.Transactions, &h))
		},
		func() (bool, error) { return allStored(ctx, w, &debtKind, entriesOf(&debtKind, p, r.Debts, &h)) },
	} {
		all, err := stored()
		if err != nil || !all {
			return false, err
		}
	}
	return true, nil
}

func allStored[T any](ctx context.Context, w *Writer, k *kind[T], es []entry[T]) (bool, error) {
	if len(es) == 0 {
		return true, nil
	}
	asked := make([]*entry[T], len(es))
	hashes := make([][]byte, len(es))
	for i := range es {
		asked[i] = &es[i]
		hashes[i] = es[i].hash[:]
	}
	var differ bool
	sql := "SELECT EXISTS (" + k.probeSQL() + ")"
	err := w.pool.QueryRow(ctx, sql, append(k.keyArrays(asked), hashes)...).Scan(&differ)
	if err != nil {
		return false, k.failed("compare with", err)
	}
	return !differ, nil
}

// Others says whether records of the stream are stored, and not removed, that are not among those with these ids. A
// reservation without a day belongs to every stretch of days.
func (w *Writer) Others(ctx context.Context, s finance.Stream, of finance.Extent, ids []string) (bool, error) {
	var sql string
	args := []any{s.Consent, ids, of.Prefix}
	switch s.Dataset {
	case finance.Accounts:
		sql = `SELECT FROM accounts
			WHERE consent_id = $1 AND removed_at IS NULL AND account_id <> ALL ($2::text[])
			AND starts_with(account_id, $3)`
	case finance.Debts:
		sql = `SELECT FROM debts
			WHERE consent_id = $1 AND removed_at IS NULL AND debt_id <> ALL ($2::text[])
			AND starts_with(debt_id, $3)`
	case finance.Transactions:
		sql = `SELECT FROM transactions
			WHERE consent_id = $1 AND removed_at IS NULL AND transaction_id <> ALL ($2::text[])
			AND starts_with(transaction_id, $3)
			AND ($4 = '' OR account_id = $4)
			AND ($5 = '' OR status = $5)
			AND ($6::date IS NULL OR booked_on IS NULL OR booked_on >= $6)
			AND ($7::date IS NULL OR booked_on IS NULL OR booked_on <= $7)`
		args = append(args, s.Account, of.Status, pg.NullDate(of.From), pg.NullDate(of.To))
	}
	if ids == nil {
		args[1] = []string{}
	}
	var others bool
	if err := w.pool.QueryRow(ctx, "SELECT EXISTS ("+sql+")", args...).Scan(&others); err != nil {
		return false, fmt.Errorf("look for other records of %s: %w", streamName(s), pg.Describe(err))
	}
	return others, nil
}
