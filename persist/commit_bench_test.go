package persist_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/finance"
	"syncer/persist/persisttest"
	"syncer/persist/write"
)

// BenchmarkCommit measures what a page costs beside a plain COPY of the same typed rows into the same table over one
// connection, in the same run: pages of 100 transactions with 90 bytes of body each (compressed), 25 pages a transaction,
// one writer. "ratio" is rows/s over those of that COPY; WAL is that of everything, calls and cursors included.
//
//	first      nothing is there, and the streams are known to be new
//	asked      nothing is there, but the writer must ask
//	repeat     the same pages again, decoded although their bytes are the same
//	unchanged  the same bytes again
//	thousand   the same bytes again, in pages of 1,000 transactions, as Sbanken gives them
//	million    first, beside a million rows of other consents
func BenchmarkCommit(b *testing.B) {
	for _, c := range []struct {
		name              string
		seeded, unchanged bool
		fresh             bool
		beside            int
		rows              int // of a page
	}{
		{name: "first", fresh: true, rows: 100},
		{name: "asked", rows: 100},
		{name: "repeat", seeded: true, rows: 100},
		{name: "unchanged", seeded: true, unchanged: true, rows: 100},
		{name: "thousand", seeded: true, unchanged: true, rows: 1000},
		{name: "million", fresh: true, beside: 1_000_000, rows: 100},
		{name: "million-asked", beside: 1_000_000, rows: 100},
		{name: "million-repeat", seeded: true, beside: 1_000_000, rows: 100},
	} {
		b.Run(c.name, func(b *testing.B) {
			pool := persisttest.New(b)
			w := newWriter(pool)
			if c.beside > 0 {
				persisttest.Beside(b, pool, 1, c.beside)
			}
			copied := plainCopy(b, pool, c.rows)
			batch := newBatch(b, pool, benchStreams(c.rows)...)
			if c.seeded {
				benchCommit(b, w, benchPages(batch, c.rows, true, false))
			}
			var rows int
			var spent time.Duration
			var wal int64
			for b.Loop() {
				if !c.seeded {
					clearTables(b, pool)
				}
				groups := benchPages(batch, c.rows, c.fresh, c.unchanged)
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
	benchRows         = 50_000 // of a pass
	benchPagesEach    = 5
	benchPagesAGroup  = 25
	benchFirstConsent = 1000
)

func benchStreams(rows int) (streams []finance.Stream) {
	for i := range benchRows / benchPagesEach / rows {
		streams = append(streams, transactionsStream(benchFirstConsent+int64(i)/2, fmt.Sprintf("account-%06d", i)))
	}
	return streams
}

// benchPages are the pages of one pass over all streams, of so many rows each, in groups of one transaction.
func benchPages(batch int64, rows int, fresh, unchanged bool) (groups [][]write.PageWrite) {
	var group []write.PageWrite
	body := make([]byte, 90*rows)
	for _, s := range benchStreams(rows) {
		for n := range benchPagesEach {
			p := newPage(s, fmt.Sprintf("%s:%d", "2026-03-29", n))
			binary.BigEndian.PutUint64(p.Call.ID[:8], uint64(time.Now().UnixNano())) // in order, as version 7 is
			p.Task.Batch, p.Task.Fence, p.NewStream, p.Remember, p.Unchanged = batch, 1, fresh, true, unchanged
			p.Key, p.Hash = finance.PageKey{byte(n)}, finance.Hash{byte(n)} // the same bytes every time
			p.Body, p.Facts.Records = body, rows
			if unchanged {
				p.KeptCall = p.Call.ID
			} else {
				for i := range rows {
					p.Records.Transactions = append(p.Records.Transactions, benchTransaction(s.Account, n*rows+i, i))
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

func benchCommit(b *testing.B, w *write.Writer, groups [][]write.PageWrite) (rows int) {
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

// plainCopy is the rows/s of a plain COPY of the same rows, 2,500 rows a transaction. The median of five.
func plainCopy(b *testing.B, pool *pgxpool.Pool, rows int) float64 {
	var pages []persisttest.CopyPage
	for _, group := range benchPages(0, rows, true, false) {
		for i := range group {
			p := &group[i]
			pages = append(pages, persisttest.CopyPage{Consent: p.Stream.Consent, Call: p.Call.ID, Transactions: p.Records.Transactions})
		}
	}
	groups := persisttest.CopyRows(pages, benchPagesAGroup)
	var rates []float64
	for range 5 {
		clearTables(b, pool)
		rows, took := persisttest.Copy(b, pool, groups)
		rates = append(rates, float64(rows)/took.Seconds())
	}
	clearTables(b, pool)
	slices.Sort(rates)
	b.Logf("plain COPY: %.0f rows/s", rates[2])
	return rates[2]
}
