package persist_test

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/finance"
	"syncer/persist"
	"syncer/persist/persisttest"
)

// BenchmarkCommit measures what a page costs beside a plain COPY of the same typed rows into the same table over one
// connection, in the same run: pages of 100 transactions with a body of 9 KB (compressed), 25 pages a transaction,
// one writer. "ratio" is rows/s over those of that COPY; WAL is that of everything, calls and cursors included.
//
//	first      nothing is there, and the streams are known to be new
//	asked      nothing is there, but the writer must ask
//	repeat     the same pages again, decoded although their bytes are the same
//	unchanged  the same bytes again
//	million    first, beside a million rows of other consents
func BenchmarkCommit(b *testing.B) {
	for _, c := range []struct {
		name              string
		seeded, unchanged bool
		virgin            bool
		beside            int
	}{
		{name: "first", virgin: true},
		{name: "asked"},
		{name: "repeat", seeded: true},
		{name: "unchanged", seeded: true, unchanged: true},
		{name: "million", virgin: true, beside: 1_000_000},
		{name: "million-asked", beside: 1_000_000},
		{name: "million-repeat", seeded: true, beside: 1_000_000},
	} {
		b.Run(c.name, func(b *testing.B) {
			pool := persisttest.New(b)
			w := newWriter(pool)
			if c.beside > 0 {
				besides(b, pool, c.beside)
			}
			copied := plainCopy(b, pool)
			batch := newBatch(b, pool, benchStreams()...)
			if c.seeded {
				benchCommit(b, w, benchPages(batch, true, false))
			}
			var rows int
			var spent time.Duration
			var wal int64
			for b.Loop() {
				if !c.seeded {
					clearTables(b, pool)
				}
				groups := benchPages(batch, c.virgin, c.unchanged)
				before, start := lsn(b, pool), time.Now()
				rows += benchCommit(b, w, groups)
				spent += time.Since(start)
				wal += lsn(b, pool) - before
			}
			rate := float64(rows) / spent.Seconds()
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(rate, "rows/s")
			b.ReportMetric(rate/copied, "ratio")
			b.ReportMetric(float64(wal)/float64(rows), "WAL-B/row")
		})
	}
}

const (
	benchAccounts     = 100
	benchPagesEach    = 5
	benchPageRows     = 100
	benchPagesAGroup  = 25
	benchFirstConsent = 1000
)

func benchStreams() (streams []finance.Stream) {
	for i := range benchAccounts {
		streams = append(streams, transactionsStream(benchFirstConsent+int64(i)/2, fmt.Sprintf("account-%06d", i)))
	}
	return streams
}

// benchPages are the pages of one pass over all streams, in groups of one transaction.
func benchPages(batch int64, virgin, unchanged bool) (groups [][]persist.PageWrite) {
	var group []persist.PageWrite
	body := make([]byte, 9000)
	for _, s := range benchStreams() {
		for n := range benchPagesEach {
			p := newPage(s, fmt.Sprintf("%s:%d", "2026-03-29", n))
			binary.BigEndian.PutUint64(p.Call.ID[:8], uint64(time.Now().UnixNano())) // in order, as version 7 is
			p.Scope.Batch, p.Scope.Fence, p.Virgin, p.Remember, p.Unchanged = batch, 1, virgin, true, unchanged
			p.Key, p.Hash = finance.PageKey{byte(n)}, finance.Hash{byte(n)} // the same bytes every time
			p.Body, p.Facts.Records = body, benchPageRows
			if unchanged {
				p.KeptCall = p.Call.ID
			} else {
				for i := range benchPageRows {
					p.Records.Transactions = append(p.Records.Transactions, benchTransaction(s.Account, n*benchPageRows+i, i))
				}
			}
			if group = append(group, p); len(group) == benchPagesAGroup {
				groups, group = append(groups, group), nil
			}
		}
	}
	return groups
}

func benchTransaction(account string, n, place int) finance.Transaction {
	t := newTransaction(account, fmt.Sprintf("%016x", n*7919), fmt.Sprintf("Varekjop REMA 1000 %d", n%97), place)
	t.Amount, _ = finance.MinorUnits(int64(n*37+1), 2)
	t.ValueOn, t.Kind, t.Code = t.BookedOn, "Varekjop", "714"
	t.CounterpartyName, t.Reference = "REMA 1000 AS", fmt.Sprintf("%012d", n)
	return t
}

func benchCommit(b *testing.B, w *persist.Writer, groups [][]persist.PageWrite) (rows int) {
	for _, group := range groups {
		for _, r := range w.Commit(b.Context(), group) {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
		}
		for i := range group {
			rows += group[i].Facts.Records
		}
	}
	return rows
}

func lsn(b *testing.B, pool *pgxpool.Pool) int64 {
	return queryInt(b, pool, "SELECT (pg_current_wal_insert_lsn() - '0/0')::int8")
}

func clearTables(b *testing.B, pool *pgxpool.Pool) {
	_, err := pool.Exec(b.Context(), `DELETE FROM transactions WHERE consent_id >= $1`, benchFirstConsent)
	if err == nil {
		_, err = pool.Exec(b.Context(), "TRUNCATE calls, answers, cursors, pages")
	}
	if err == nil {
		_, err = pool.Exec(b.Context(), "VACUUM transactions")
	}
	if err != nil {
		b.Fatal(err)
	}
}

// besides fills the table with other consents' rows.
func besides(b *testing.B, pool *pgxpool.Pool, n int) {
	_, err := pool.Exec(b.Context(), `INSERT INTO transactions (consent_id, account_id, transaction_id, status, booked_on,
		amount, currency, text, content_hash, call_id, place)
		SELECT 1 + n % 500, 'account-' || n % 1000, md5(n::text), 'booked', '2026-01-01', n, 'NOK', 'Varekjop REMA 1000',
		decode(md5(n::text), 'hex'), gen_random_uuid(), 0 FROM generate_series(1, $1::int) n`, n)
	if err != nil {
		b.Fatal(err)
	}
}

// plainCopy is the rows/s of a plain COPY of the same rows: pgx.CopyFrom in one connection, 2,500 rows a
// transaction, nothing else written. The median of five.
func plainCopy(b *testing.B, pool *pgxpool.Pool) float64 {
	columns := []string{"consent_id", "account_id", "transaction_id", "status", "booked_on", "value_on", "amount",
		"currency", "text", "kind", "code", "counterparty_account", "counterparty_name", "reference", "merchant_name",
		"merchant_category", "purchased_on", "original_amount", "original_currency", "exchange_rate", "extra",
		"content_hash", "call_id", "place"}
	var groups [][][]any
	for _, group := range benchPages(0, true, false) {
		groups = append(groups, copyRows(group))
	}
	var rates []float64
	for range 5 {
		clearTables(b, pool)
		conn, err := pool.Acquire(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		start, rows := time.Now(), 0
		for _, group := range groups {
			n, err := conn.CopyFrom(b.Context(), pgx.Identifier{"transactions"}, columns, pgx.CopyFromRows(group))
			if err != nil {
				b.Fatal(err)
			}
			rows += int(n)
		}
		rates = append(rates, float64(rows)/time.Since(start).Seconds())
		conn.Release()
	}
	clearTables(b, pool)
	slices.Sort(rates)
	b.Logf("plain COPY: %.0f rows/s", rates[2])
	return rates[2]
}

func copyRows(group []persist.PageWrite) (rows [][]any) {
	var h finance.Hasher
	for i := range group {
		p := &group[i]
		for j := range p.Records.Transactions {
			t := &p.Records.Transactions[j]
			hash := h.Transaction(t)
			amount := pgtype.Numeric{Int: new(big.Int).SetUint64(t.Amount.Decimal.Coef()), Exp: -int32(t.Amount.Decimal.Scale()), Valid: true}
			rows = append(rows, []any{p.Stream.Consent, t.AccountID, t.ID, t.Status, t.BookedOn.Time(), t.ValueOn.Time(),
				amount, t.Currency, t.Text, t.Kind, t.Code, nil, t.CounterpartyName, t.Reference, nil, nil, nil, nil, nil,
				nil, nil, hash[:], [16]byte(p.Call.ID), t.Place})
		}
	}
	return rows
}
