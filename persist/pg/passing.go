package pg

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// Refused says that a server has answered, and takes no work from us just now: it starts or ends, has no connection left, or
// takes no writes. Somebody or something is at it, so it is worth while to wait.
func Refused(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		unfit := strings.Contains(pg.Message, "unsupported startup parameter") // a pooler that must be configured for us
		return Gone(pg.Code) || pg.Code == "53300" || strings.HasPrefix(pg.Code, "08") && !unfit
	}
	return errors.Is(err, ErrReadOnly)
}

// Passing says that a statement failed for the database was not to be had, and not for what it was asked: it may be tried
// again later. An answer of the server's that says otherwise is no such failure.
func Passing(err error) bool {
	if _, answered := errors.AsType[*pgconn.PgError](err); answered {
		return Refused(err)
	}
	if _, unreached := errors.AsType[*pgconn.ConnectError](err); unreached {
		return true
	}
	for _, broken := range []error{
		ErrReadOnly, errSilent, pgconn.ErrConnClosed, net.ErrClosed, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE,
	} {
		if errors.Is(err, broken) {
			return true
		}
	}
	return false
}
