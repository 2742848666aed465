package pg_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"syncer/persist/pg"
)

func TestOnlySocketsAndLoopbackMayBeUnencrypted(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"postgres://u@db.example/x?sslmode=disable":                  "db.example",
		"postgres://u@db.example/x?sslmode=allow":                    "db.example",
		"postgres://u@db.example/x?sslmode=prefer":                   "db.example",
		"postgres://u@db.example/x":                                  "db.example",
		"host=db.example user=u sslmode=disable":                     "db.example",
		"postgres://u@10.0.0.1,127.0.0.1,[::1],10.0.0.2/x":           "10.0.0.1 10.0.0.2",
		"postgres://u@db.example/x?sslmode=require":                  "",
		"postgres://u@127.0.0.1:5433/x?sslmode=disable":              "",
		"postgres://u@[::1]/x":                                       "",
		"postgres://u@localhost/x":                                   "",
		"postgres:///x?host=/var/run/postgresql":                     "",
		"postgres://u@db.example/x?sslmode=require&pool_max_conns=4": "",
	} {
		if got := strings.Join(pg.Unencrypted(url), " "); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}

func TestWhichFailuresPass(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err              error
		passing, refused bool
	}{
		{&pgconn.PgError{Code: "53300"}, true, true},
		{&pgconn.PgError{Code: "57P03"}, true, true},
		{&pgconn.PgError{Code: "25006"}, true, true},
		{fmt.Errorf("connect: %w", pg.ErrReadOnly), true, true},
		{&pgconn.PgError{Code: "08006"}, true, true},
		{&pgconn.PgError{Code: "08P01", Message: "unsupported startup parameter: lock_timeout"}, false, false},
		{&pgconn.PgError{Code: "28P01"}, false, false},
		{&pgconn.PgError{Code: "42P01"}, false, false},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), true, false},
		{fmt.Errorf("write: %w", syscall.EPIPE), true, false},
		{pgconn.ErrConnClosed, true, false},
		{errors.New("no such job"), false, false},
		{context.Canceled, false, false},
	} {
		if got := pg.Passing(c.err); got != c.passing {
			t.Errorf("Passing(%v) = %v", c.err, got)
		}
		if got := pg.Refused(c.err); got != c.refused {
			t.Errorf("Refused(%v) = %v", c.err, got)
		}
	}
}
