package persisttest

import (
	"math/big"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/finance"
)

// CopyPage is a page of transactions of one consent.
type CopyPage struct {
	Consent      int64
	Call         finance.CallID
	Transactions []finance.Transaction
}

var copyColumns = []string{"consent_id", "account_id", "transaction_id", "status", "booked_on", "value_on", "amount",
	"currency", "text", "kind", "code", "counterparty_account", "counterparty_name", "reference", "merchant_name",
	"merchant_category", "purchased_on", "original_amount", "original_currency", "exchange_rate", "extra",
	"content_hash", "call_id", "place"}

// CopyRows are the pages' transactions as values ready for Copy, in groups of the given number of pages.
func CopyRows(pages []CopyPage, pagesAGroup int) (groups [][][]any) {
	var h finance.Hasher
	for i, p := range pages {
		if i%pagesAGroup == 0 {
			groups = append(groups, nil)
		}
		last := &groups[len(groups)-1]
		for j := range p.Transactions {
			*last = append(*last, copyRow(&p, &p.Transactions[j], &h))
		}
	}
	return groups
}

func copyRow(p *CopyPage, t *finance.Transaction, h *finance.Hasher) []any {
	hash := h.Transaction(t)
	return []any{p.Consent, t.AccountID, t.ID, t.Status, dateOrNull(t.BookedOn), dateOrNull(t.ValueOn), numeric(t.Amount),
		t.Currency, textOrNull(t.Text), textOrNull(t.Kind), textOrNull(t.Code), textOrNull(t.CounterpartyAccount),
		textOrNull(t.CounterpartyName), textOrNull(t.Reference), textOrNull(t.MerchantName),
		textOrNull(t.MerchantCategory), dateOrNull(t.PurchasedOn), numeric(t.OriginalAmount),
		textOrNull(t.OriginalCurrency), numeric(t.ExchangeRate), jsonOrNull(t.Extra), hash[:], [16]byte(p.Call), t.Place}
}

// Copy is the yardstick of the write path: pgx.CopyFrom over one connection, a transaction for each group, and
// nothing written but the rows. It says how many rows it wrote in which time. The table must not have them yet.
func Copy(t testing.TB, pool *pgxpool.Pool, groups [][][]any) (rows int, took time.Duration) {
	t.Helper()
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	start := time.Now()
	for _, group := range groups {
		n, err := conn.CopyFrom(t.Context(), pgx.Identifier{"transactions"}, copyColumns, pgx.CopyFromRows(group))
		if err != nil {
			t.Fatal(err)
		}
		rows += int(n)
	}
	return rows, time.Since(start)
}

// Beside fills the table of transactions with n rows of 500 other consents, from the given id on.
func Beside(t testing.TB, pool *pgxpool.Pool, first int64, n int) {
	t.Helper()
	const step = 100_000 // a statement has a time limit
	for from := 1; from <= n; from += step {
		_, err := pool.Exec(t.Context(), `INSERT INTO transactions (consent_id, account_id, transaction_id, status, booked_on,
			amount, currency, text, content_hash, call_id, place)
			SELECT $1::int8 + n % 500, 'account-' || n % 1000, md5(n::text), 'booked', '2026-01-01', n, 'NOK',
			'Varekjop REMA 1000', decode(md5(n::text), 'hex'), gen_random_uuid(), 0 FROM generate_series($2::int, $3::int) n`,
			first, from, min(from+step-1, n))
		if err != nil {
			t.Fatal(err)
		}
	}
}

func numeric(a finance.Amount) any {
	if !a.Valid {
		return nil
	}
	n := pgtype.Numeric{Int: new(big.Int).SetUint64(a.Decimal.Coef()), Exp: -int32(a.Decimal.Scale()), Valid: true}
	if a.Decimal.IsNeg() {
		n.Int.Neg(n.Int)
	}
	return n
}

func textOrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func dateOrNull(d finance.Date) any {
	if d.IsZero() {
		return nil
	}
	return d.Time()
}

func jsonOrNull(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}
