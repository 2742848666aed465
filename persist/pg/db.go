// Package pg is the way to Postgres: the pool and its guard, transactions, what is common to errors, and values for SQL.
package pg

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Worker is the process that a Store writes for.
type Worker struct {
	ID      [16]byte // a new UUID for every start of the process
	Host    string
	PID     int
	Version string
	Schema  int64 // the version of the schema that its program is made for; 0: not known
}

// DB is where statements go to: the pool, or one transaction over it.
type DB struct {
	database
	Whole  *pgxpool.Pool // the pool itself, also within a transaction
	Guard  *Guard
	Worker Worker
}

// database is what a pool and a transaction have in common.
type database interface {
	Begin(ctx context.Context) (pgx.Tx, error)
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// NewDB makes a DB over a migrated database.
func NewDB(pool *pgxpool.Pool, worker Worker) *DB {
	return &DB{database: pool, Whole: pool, Guard: GuardOf(pool), Worker: worker}
}

// Within is the DB whose statements are parts of one transaction.
func (db *DB) Within(tx pgx.Tx) *DB {
	return &DB{database: tx, Whole: db.Whole, Guard: db.Guard, Worker: db.Worker}
}

// InTx runs f in one READ COMMITTED transaction. what names the attempt in errors.
func (db *DB) InTx(ctx context.Context, what string, f func(pgx.Tx) error) error {
	if err := pgx.BeginFunc(ctx, db, f); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// SendAll sends the statements of b in one round trip; they commit together or not at all.
func (db *DB) SendAll(ctx context.Context, what string, b *pgx.Batch) error {
	if err := db.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// LongStatement lifts the limit on one statement: planning a million consents takes longer than any page.
func LongStatement(ctx context.Context, tx pgx.Tx) error {
	limitTrips(tx.Conn(), 15*time.Minute)
	_, err := tx.Exec(ctx, `SET LOCAL statement_timeout = '15min'`)
	return err
}

// JoinByHash keeps the planner from pairing every consent with every batch, which it does right after a large import,
// while it still takes the table of consents for small. Where there is no way round such a join, before Postgres 18, the
// price of the forbidden one makes the server compile the statement, which takes longer than planning a small run.
const JoinByHash = `SELECT set_config('enable_nestloop', 'off', true), set_config('jit', 'off', true)`
