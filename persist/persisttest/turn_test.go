package persisttest

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Of two that want a turn the second waits until the first has ended. The lock is one of this test's own: a proof that has
// the real one would make it wait.
func TestTheSecondWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	lock := rand.Int64()
	s := admin(t)
	first, err := turn(t.Context(), s.server, lock)
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan error, 1)
	go func() {
		end, err := turn(t.Context(), s.server, lock)
		if err == nil {
			end()
		}
		second <- err
	}()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for waiting := false; !waiting; {
		<-look.C
		if err := s.admin.QueryRow(t.Context(), `SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory'
			AND classid::int8 << 32 | objid::int8 = $1 AND NOT granted`, lock).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-second:
			t.Fatalf("the second had its turn while the first had it: %v", err)
		default:
		}
	}
	first()
	if err := <-second; err != nil {
		t.Errorf("the second did not get its turn: %v", err)
	}
}
