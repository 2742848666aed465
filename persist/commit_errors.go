package persist

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"syncer/finance"
)

// failure is what an error of an attempt means for the next one.
type failure int

const (
	other     failure = iota // nothing known helps: the caller hears of it
	data                     // Postgres can't store what a page holds, and never will
	conflict                 // another transaction was in the way
	waiting                  // a lock was not given up in time, or there is no room: the page is kept and tried again
	duplicate                // a record thought to be new was there
	lost                     // the connection, or the server behind it, has gone
)

// classify sorts the error of an attempt. A connection error that is not Postgres' own is a lost connection; pgx's
// SafeToRetry is not asked, because it calls a COMMIT safe whose answer was lost.
func classify(err error) failure {
	var bad *dataError
	if errors.As(err, &bad) {
		return data
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		if errors.Is(err, pgx.ErrTxCommitRollback) || errors.Is(err, errInternal) {
			return other
		}
		return lost
	}
	switch pg.Code {
	case "40001", "40P01":
		return conflict
	case "55P03":
		return waiting
	case "23505":
		if recordTable(pg.TableName) && pg.ConstraintName == pg.TableName+"_pkey" {
			return duplicate
		}
		return data // such as an index that an administrator has added
	case "53300":
		return lost
	}
	switch {
	case gone(pg.Code):
		return lost
	case full(pg.Code):
		return waiting
	case strings.HasPrefix(pg.Code, "08"):
		return lost
	case lasting(pg.Code):
		return data
	}
	return other
}

// lasting says whether Postgres will give the same error each time the same rows come: taken for passing trouble it would have
// their calls made again, for ever.
func lasting(code string) bool {
	switch code[:2] {
	case "21", "22", "23", "27", "44": // of the values: their form, their range, a constraint, a view's check
		return true
	case "54": // beyond a limit of Postgres itself, such as that of an index entry
		return true
	case "2F", "38", "39", "P0": // a trigger or a function refuses them
		return true
	case "42": // the role may not write them, or a column is not there
		return true
	}
	return false
}

// ofRecords says whether a lasting error may be a record's, rather than that of all there are.
func ofRecords(err error) bool {
	var pg *pgconn.PgError
	return !errors.As(err, &pg) || !strings.HasPrefix(pg.Code, "42")
}

// errInternal marks errors made by this package, which no new connection would help.
var errInternal = errors.New("not a database error")

// dataError says that Postgres, or the check before it, can't store what a page holds.
type dataError struct {
	err    error
	record any    // the record that is refused, as a pointer into the page's; nil: not known
	why    string // of that record alone
}

func (e *dataError) Error() string { return e.err.Error() }
func (e *dataError) Unwrap() error { return e.err }

// UnstorableError says that Postgres refuses what a page holds, so trying again would bring the same. Nothing of the
// page is in the tables, its call included.
type UnstorableError struct {
	Call finance.Call
	Err  error
}

func (e *UnstorableError) Error() string { return e.Err.Error() }
func (e *UnstorableError) Unwrap() error { return e.Err }

func isPostgres(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg)
}

// describe keeps what a person needs of a Postgres error and leaves out its detail, which quotes the row.
func describe(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return &pgFailure{pg}
	}
	return err
}

// pgFailure is a PgError that prints neither detail nor context: both may quote a row's content.
type pgFailure struct{ pg *pgconn.PgError }

func (e *pgFailure) Unwrap() error { return e.pg }

func (e *pgFailure) Error() string {
	s := fmt.Sprintf("postgres error %s", e.pg.Code)
	if e.pg.TableName != "" {
		s += " at table " + e.pg.TableName
	}
	if e.pg.ColumnName != "" {
		s += ", column " + e.pg.ColumnName
	}
	if e.pg.ConstraintName != "" {
		s += ", constraint " + e.pg.ConstraintName
	}
	switch e.pg.Code[:2] {
	case "22", "2F", "38", "39", "44", "P0": // the message may quote the value
	default:
		s += ": " + e.pg.Message
	}
	return s
}

// landed says, on a new connection, whether the attempt's COMMIT took effect although its answer was lost. It first
// takes the locks of the attempt's streams, which waits for a server process that may still be busy with that very
// COMMIT, and then looks for what only the attempt can have written.
func (a *attempt) landed(ctx context.Context) (bool, error) {
	tx, err := a.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: beginCommit})
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	rows, err := tx.Query(ctx, lockCursors, a.streams.keys()...)
	if err != nil {
		return false, err
	}
	calls, err := pgx.CollectRows(rows, pgx.RowTo[*[16]byte])
	if err != nil {
		return false, err
	}
	for i, call := range calls {
		if call != nil && *call == a.streams.call[i] {
			return true, nil
		}
	}
	// Somebody else may have moved the cursors since.
	var found bool
	err = tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM calls WHERE id = ANY($1))", a.ownCalls()).Scan(&found)
	return found, err
}

// ownCalls are the calls that this attempt has inserted.
func (a *attempt) ownCalls() [][16]byte {
	var ids [][16]byte
	for _, p := range a.live {
		if !p.Call.Durable {
			ids = append(ids, p.Call.ID)
		}
	}
	return ids
}
