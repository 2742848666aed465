package persist_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/write"
)

// plainArchive keeps a body as it is.
type plainArchive struct{}

func (plainArchive) SealBody(body []byte, _ finance.CallID) ([]byte, error) { return body, nil }

func newCall(s finance.Stream) calls.Call {
	var id finance.CallID
	_, _ = rand.Read(id[:])
	return calls.Call{
		ID: id, Connection: "bank", Bucket: "bank", Purpose: calls.ForData,
		Task:   calls.Task{Run: 1, Dataset: s.Dataset, Consent: &finance.Consent{ID: s.Consent}},
		Method: "GET", Path: "/v1/transactions", Attempt: 1, SentAt: time.Now(), Duration: time.Millisecond,
		Status: 200, Bytes: 100, Correlation: "corr-" + id.String()[:8], Class: finance.OK,
	}
}

// newPage is a page outside a batch; tests change what they are about.
func newPage(s finance.Stream, position string) write.PageWrite {
	call := newCall(s)
	body := []byte(call.ID.String())
	sum := sha256.Sum256(body)
	return write.PageWrite{
		Task: call.Task, Stream: s, Key: finance.PageKey(sum[16:]), Call: call, Body: body,
		Hash: finance.Hash(sum[:16]), Position: position, Keep: time.Hour,
	}
}

func transactionsStream(consent int64, account string) finance.Stream {
	return finance.Stream{Consent: consent, Dataset: finance.Transactions, Account: account}
}

func newTransaction(account, id, text string, place int) finance.Transaction {
	amount, err := finance.MinorUnits(-12345, 2)
	if err != nil {
		panic(err)
	}
	return finance.Transaction{
		Lineage: finance.Lineage{Place: int32(place)}, AccountID: account, ID: id, Status: finance.Booked,
		BookedOn: finance.NewDate(2026, 3, 29), Amount: amount, Currency: "NOK", Text: text,
	}
}

// transactionsPage is a page of booked transactions: id, text, id, text ...
func transactionsPage(s finance.Stream, position string, idText ...string) write.PageWrite {
	p := newPage(s, position)
	for i := 0; i < len(idText); i += 2 {
		p.Records.Transactions = append(p.Records.Transactions, newTransaction(s.Account, idText[i], idText[i+1], i/2))
	}
	p.Facts.Records = p.Records.Len()
	return p
}

// refusedPage is a page that Postgres refuses, and no record of it is to blame.
func refusedPage(t testing.TB, pool *pgxpool.Pool, s finance.Stream) write.PageWrite {
	t.Helper()
	if _, err := pool.Exec(t.Context(), `ALTER TABLE cursors ADD CHECK (position <> 'refused')`); err != nil {
		t.Fatal(err)
	}
	return transactionsPage(s, "refused", "a", "x")
}

func newWriter(pool *pgxpool.Pool) *write.Writer {
	return write.NewWriter(pool, plainArchive{}, write.WriterOptions{})
}

// commitAll commits the pages together and fails the test if one fails.
func commitAll(t *testing.T, w *write.Writer, pages ...write.PageWrite) []write.Written {
	t.Helper()
	var written []write.Written
	for i, r := range w.Commit(t.Context(), pages) {
		if r.Err != nil {
			t.Fatalf("page %d: %v", i, r.Err)
		}
		written = append(written, r.Written)
	}
	return written
}

// querier is a pool or a connection.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// queryAll is the answer of a query, one line a row.
func queryAll(t testing.TB, q querier, sql string, args ...any) []string {
	t.Helper()
	rows, err := q.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (string, error) {
		v, err := r.Values()
		s := fmt.Sprint(v...)
		for i := range v {
			if i == 0 {
				s = fmt.Sprint(v[0])
			} else {
				s += " " + fmt.Sprint(v[i])
			}
		}
		return s, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func queryInt(t testing.TB, pool *pgxpool.Pool, sql string, args ...any) int64 {
	t.Helper()
	var n int64
	if err := pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// newBatch makes a run with one working batch of fence 1 whose items are those of the streams.
func newBatch(t testing.TB, pool *pgxpool.Pool, streams ...finance.Stream) (batch int64) {
	t.Helper()
	err := pool.QueryRow(t.Context(), `WITH c AS (INSERT INTO connections (name, provider) VALUES ('bank', 'bank')
		ON CONFLICT (name) DO UPDATE SET provider = 'bank' RETURNING name),
		r AS (INSERT INTO runs (job, connection, kind, scheduled_for, datasets)
		SELECT 'nightly', name, 'manual', clock_timestamp(), '{transactions}' FROM c RETURNING id)
		INSERT INTO batches (run_id, seq, state, fence, holder)
		SELECT id, 1, 'working', 1, gen_random_uuid() FROM r RETURNING id`).Scan(&batch)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range streams {
		if _, err := pool.Exec(t.Context(), `INSERT INTO items (batch_id, consent_id, dataset) VALUES ($1, $2, $3)
			ON CONFLICT DO NOTHING`, batch, s.Consent, s.Dataset); err != nil {
			t.Fatal(err)
		}
	}
	return batch
}
