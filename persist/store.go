package persist

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/finance"
)

// ErrFenced says that another worker has taken the batch over, or that it is done: nothing was written, and the
// asker must stop working on it.
var ErrFenced = errors.New("the batch has been taken over by another worker")

// ErrNotFound says that there is no such run, batch, consent or connection.
var ErrNotFound = errors.New("not found")

// vault seals what must not be readable in the database and keys what must not be guessable there.
type vault interface {
	// Seal encrypts plain; aad must be given again to Unseal, so that a value can't be moved to another row.
	Seal(plain, aad []byte) ([]byte, error)
	Unseal(sealed, aad []byte) ([]byte, error)
	// SealBody compresses and seals an answer, to be opened as the answer of that call only.
	SealBody(body []byte, call finance.CallID) ([]byte, error)
	OpenBody(sealed []byte, call finance.CallID) ([]byte, error)
	// SubjectHMAC is the keyed HMAC of a national identity number.
	SubjectHMAC(nationalID string) []byte
}

// Worker is the process that a Store writes for.
type Worker struct {
	ID      [16]byte // a new UUID for every start of the process
	Host    string
	PID     int
	Version string
}

// Store is every statement and every transaction that is not the writing of pages. It is safe for concurrent use.
type Store struct {
	pool       *pgxpool.Pool
	guard      *guard
	vault      vault
	worker     Worker
	asks       *combiner[finance.Ask, finance.Admission]
	looks      *combiner[finance.Ask, finance.Admission]
	itemWrites *combiner[itemWrite, bool]

	transit transit // of what admit answers
}

// execer is a pool, a connection or a transaction.
type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// NewStore makes a Store over a migrated database.
func NewStore(pool *pgxpool.Pool, vault vault, worker Worker) *Store {
	s := &Store{pool: pool, guard: guardOf(pool), vault: vault, worker: worker}
	s.asks = newCombiner(s.admit)
	s.looks = newCombiner(s.admit) // not in the company of asks, which wait for each other at the gates' rows
	s.itemWrites = newCombiner(s.writeItems)
	return s
}

// Worker is the process that the Store writes for.
func (s *Store) Worker() Worker { return s.worker }

// inTx runs f in one READ COMMITTED transaction. what names the attempt in errors.
func (s *Store) inTx(ctx context.Context, what string, f func(pgx.Tx) error) error {
	if err := pgx.BeginFunc(ctx, s.pool, f); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// sendBatch sends the statements of b in one round trip; they commit together or not at all.
func (s *Store) sendBatch(ctx context.Context, what string, b *pgx.Batch) error {
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// oneRow collects exactly one row, or fails with ErrNotFound.
func oneRow[T any](rows pgx.Rows, err error, scan pgx.RowToFunc[T], what string) (T, error) {
	var v T
	if err == nil {
		v, err = pgx.CollectExactlyOneRow(rows, scan)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return v, fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	if err != nil {
		return v, fmt.Errorf("%s: %w", what, err)
	}
	return v, nil
}

// allRows collects every row.
func allRows[T any](rows pgx.Rows, err error, scan pgx.RowToFunc[T], what string) ([]T, error) {
	var list []T
	if err == nil {
		list, err = pgx.CollectRows(rows, scan)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return list, nil
}

func placeholders(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(i+1))
	}
	return b.String()
}

// micros is d for make_interval-like arithmetic in SQL: whole microseconds, rounded up, because rounding down would
// open a gate early.
func micros(d time.Duration) int64 {
	us := d.Microseconds()
	if d > time.Duration(us)*time.Microsecond {
		us++
	}
	return us
}

func fromMicros(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

func orZero[T any](v *T) (zero T) {
	if v == nil {
		return zero
	}
	return *v
}
