package pg

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// TakeTurn waits until no other transaction has the turn of that name, however long the others take, and has it until tx
// ends. What the transaction looks at afterwards, it sees as the one before has left it. It is for what must not be done
// twice side by side, and takes too long for the session's lock_timeout: planning, or the import of a long list.
//
// Postgres ends the turn of a session that has died. One that is frozen loses it by idle_in_transaction_session_timeout.
func TakeTurn(ctx context.Context, tx pgx.Tx, name string) error {
	var usual string
	if err := tx.QueryRow(ctx, `SELECT current_setting('lock_timeout')`).Scan(&usual); err != nil {
		return err
	}
	if err := LongStatement(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '15min'`); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(lock_key($1))`, name); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `SELECT set_config('lock_timeout', $1, true)`, usual)
	return err
}
