package admit

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/pg"
)

const boardCall = `SELECT board_call(
	in_call => @call,
	in_connection => @connection,
	in_batch => @batch,
	in_fence => @fence,
	in_most => @most,
	in_for_us => @for)`

// Board counts a call among those on their way over its connection, if fewer than most are, over all processes. It counts until
// Land, for d at most; that of a batch no longer than its worker lives and has the batch.
func (s *Store) Board(ctx context.Context, ask calls.Ask, most int, d time.Duration) (bool, error) {
	var boarded bool
	err := s.db.QueryRow(ctx, boardCall, pgx.NamedArgs{
		"call":       [16]byte(ask.Call),
		"connection": ask.Connection,
		"batch":      pg.NullInt(ask.Task.Batch),
		"fence":      pg.NullInt(ask.Task.Fence),
		"most":       most,
		"for":        pg.Micros(d),
	}).Scan(&boarded)
	if err != nil {
		return false, fmt.Errorf("count a call to %s among those on their way: %w", ask.Connection, err)
	}
	return boarded, nil
}

// Land says that a call is not on its way any more.
func (s *Store) Land(ctx context.Context, call finance.CallID) error {
	_, err := s.db.Exec(ctx, `DELETE FROM flights WHERE call_id = @call`, pgx.NamedArgs{"call": [16]byte(call)})
	if err != nil {
		return fmt.Errorf("tell that call %s is over: %w", call, err)
	}
	return nil
}
