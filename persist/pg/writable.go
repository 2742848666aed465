package pg

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrReadOnly says that a server, or a role or database by default_transaction_read_only, takes no writes just now.
var ErrReadOnly = errors.New("the database takes no writes")

// mustWrite refuses a connection that can't be written: after a failover the old primary may answer as if nothing had
// happened.
func mustWrite(ctx context.Context, c *pgconn.PgConn) error {
	if err := pgconn.ValidateConnectTargetSessionAttrsReadWrite(ctx, c); err != nil {
		if ctx.Err() != nil || c.IsClosed() {
			return err
		}
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	return nil
}
