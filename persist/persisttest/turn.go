package persisttest

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
)

// turnLock is held by the test whose turn it is.
const turnLock int64 = 0x7379_6e63_7475

// Turn waits until no other test on this test server has its turn, and holds the turn until the test ends. Tests that
// measure time take turns: go test runs packages side by side, and two of them would measure each other.
//
// Take it before the test has a database or a process of its own. A test that is killed gives its turn up.
func Turn(t testing.TB) {
	t.Helper()
	server, err := serverURL(t.Context(), t.Logf)
	if err != nil {
		t.Fatalf("persisttest: %v", err)
	}
	end, err := turn(t.Context(), server, turnLock)
	if err != nil {
		t.Fatalf("persisttest: wait for a turn: %v", err)
	}
	t.Cleanup(end)
}

// turn holds a lock with a connection of its own, until end.
func turn(ctx context.Context, server string, lock int64) (end func(), err error) {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return nil, fmt.Errorf("connect to the test server: %w", err)
	}
	end = func() { _ = conn.Close(context.WithoutCancel(ctx)) }
	if err := (session{admin: conn}).exec(ctx, "SELECT pg_advisory_lock($1)", lock); err != nil {
		end()
		return nil, err
	}
	return end, nil
}
