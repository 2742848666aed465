package write

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"syncer/calls"
	"syncer/persist/pg"
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
	if _, ok := errors.AsType[*dataError](err); ok {
		return data
	}
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		if errors.Is(err, pgx.ErrTxCommitRollback) || errors.Is(err, errInternal) {
			return other
		}
		return lost
	}
	switch refused.Code {
	case "40001", "40P01":
		return conflict
	case "55P03":
		return waiting
	case "23505":
		if recordTable(refused.TableName) && refused.ConstraintName == refused.TableName+"_pkey" {
			return duplicate
		}
		return data // such as an index that an administrator has added
	case "53300":
		return lost
	}
	switch {
	case pg.Gone(refused.Code):
		return lost
	case pg.Full(refused.Code):
		return waiting
	case strings.HasPrefix(refused.Code, "08"):
		return lost
	case lasting(refused.Code):
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
	refused, told := errors.AsType[*pgconn.PgError](err)
	return !told || !strings.HasPrefix(refused.Code, "42")
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
	Call calls.Call
	Err  error
}

func (e *UnstorableError) Error() string { return e.Err.Error() }
func (e *UnstorableError) Unwrap() error { return e.Err }

func isPostgres(err error) bool {
	_, ok := errors.AsType[*pgconn.PgError](err)
	return ok
}
