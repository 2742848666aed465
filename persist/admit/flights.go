package admit

import (
	"context"
	"fmt"
	"sync"
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
	if err := s.landLate(ctx); err != nil {
		return false, err
	}
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

// Land says that a call is not on its way any more. Where it can't be told now, the next Board of the process tells it before
// it asks: else a batch would wait for its own call.
func (s *Store) Land(ctx context.Context, call finance.CallID) error {
	if err := s.land(ctx, [][16]byte{call}); err != nil {
		s.landed.add(call)
		return fmt.Errorf("tell that call %s is over: %w", call, err)
	}
	return nil
}

// landLate tells of the calls that could not be told of when they were over.
func (s *Store) landLate(ctx context.Context) error {
	calls := s.landed.take()
	if len(calls) == 0 {
		return nil
	}
	if err := s.land(ctx, calls); err != nil {
		s.landed.add(calls...)
		return fmt.Errorf("tell that %d calls are over: %w", len(calls), err)
	}
	return nil
}

func (s *Store) land(ctx context.Context, calls [][16]byte) error {
	_, err := s.db.Exec(ctx, `DELETE FROM flights WHERE call_id = ANY (@calls)`, pgx.NamedArgs{"calls": calls})
	return err
}

// landed are calls that are over. The zero value has none.
type landed struct {
	mu    sync.Mutex
	calls [][16]byte
}

func (l *landed) add(calls ...[16]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, calls...)
}

// take gives them all, and has none then.
func (l *landed) take() [][16]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	calls := l.calls
	l.calls = nil
	return calls
}
