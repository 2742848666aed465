package pg

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrFenced says that another worker has taken the batch over, or that it is done: nothing was written, and the
// asker must stop working on it.
var ErrFenced = errors.New("the batch has been taken over by another worker")

// ErrNotFound says that there is no such run, batch, consent or connection.
var ErrNotFound = errors.New("not found")

// Describe is an error without what quotes a row: of a Postgres error it keeps what a person needs.
func Describe(err error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
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
