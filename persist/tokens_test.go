package persist_test

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/persist"
)

const tokenKey = "bank accounts.read"

func TestTokenIsSharedAndSealed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	other := h.sibling(t, time.Hour)
	if _, ok, err := other.LoadToken(t.Context(), tokenKey); ok || err != nil {
		t.Fatalf("a token that was never saved: ok %v, %v", ok, err)
	}
	now := time.Now().UTC().Round(0)
	want := finance.Token{AccessToken: "canary-token", Type: "Bearer", Expiry: now.Add(time.Hour), RefreshAt: now.Add(50 * time.Minute)}
	must(t, h.SaveToken(t.Context(), tokenKey, want))
	got, ok, err := other.LoadToken(t.Context(), tokenKey)
	must(t, err)
	if !ok || got.AccessToken != want.AccessToken {
		t.Errorf("loaded ok %v", ok)
	}
	if diff := cmp.Diff([]time.Time{want.Expiry, want.RefreshAt}, []time.Time{got.Expiry, got.RefreshAt}); diff != "" {
		t.Error(diff)
	}
	var sealed []byte
	must(t, h.pool.QueryRow(t.Context(), "SELECT sealed FROM tokens").Scan(&sealed))
	if bytes.Contains(sealed, []byte("canary")) {
		t.Error("the token lies open in the table")
	}
	// Moved to another key it can't be opened: it was sealed for its own.
	h.exec(t, "INSERT INTO tokens (key, sealed) VALUES ('bank payments', $1)", sealed)
	if _, ok, err := other.LoadToken(t.Context(), "bank payments"); ok || err != nil {
		t.Errorf("a token moved to another key: ok %v, %v", ok, err)
	}
}

func TestDropTokenSparesANewerOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	must(t, h.SaveToken(t.Context(), tokenKey, finance.Token{AccessToken: "new"}))
	for _, step := range []struct {
		drop string
		left bool
	}{{"old", true}, {"new", false}, {"new", false}} {
		must(t, h.DropToken(t.Context(), tokenKey, step.drop))
		if _, ok, err := h.LoadToken(t.Context(), tokenKey); ok != step.left || err != nil {
			t.Errorf("after dropping %q: ok %v, %v", step.drop, ok, err)
		}
	}
}

// I7: one right to refresh in all processes and goroutines, and it comes back in each of the four ways.
func TestTokenLock(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	stores := []*persist.Store{h.Store, h.sibling(t, time.Hour), h.sibling(t, time.Hour)}
	contend := func(d time.Duration) (winner int) {
		t.Helper()
		var won, who atomic.Int32
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				got, err := stores[i%3].LockToken(t.Context(), tokenKey, d)
				if err != nil {
					t.Error(err)
				}
				if got {
					won.Add(1)
					who.Store(int32(i % 3))
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d askers hold the right, want 1", won.Load())
		}
		return int(who.Load())
	}
	winner := contend(time.Hour)
	must(t, stores[(winner+1)%3].UnlockToken(t.Context(), tokenKey))
	must(t, stores[(winner+1)%3].SaveToken(t.Context(), tokenKey, finance.Token{AccessToken: "late"}))
	if got, _ := stores[winner].LockToken(t.Context(), tokenKey, time.Hour); got {
		t.Fatal("a process gave back a right that was another's")
	}
	must(t, stores[winner].UnlockToken(t.Context(), tokenKey))
	winner = contend(time.Hour)
	must(t, stores[winner].SaveToken(t.Context(), tokenKey, finance.Token{AccessToken: "a"}))
	contend(time.Hour)
	h.exec(t, "UPDATE tokens SET refreshing_until = clock_timestamp()") // the holder died and its time is over
	contend(time.Hour)
}

// A holder that was killed keeps the right for no longer than its lease. One that is no worker, such as a command that
// checks a connection, has no lease, so its right lasts as long as it was asked for.
func TestTokenLockOfADeadWorker(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	worker, visitor := h.sibling(t, time.Hour), h.sibling(t, 0)
	lock := func(s *persist.Store, want bool) {
		t.Helper()
		if got, err := s.LockToken(t.Context(), tokenKey, time.Hour); got != want || err != nil {
			t.Fatalf("got the right: %v, want %v; %v", got, want, err)
		}
	}
	lock(worker, true)
	lock(h.Store, false)
	h.exec(t, "UPDATE workers SET expires_at = clock_timestamp() - interval '1 second' WHERE id <> $1", h.Worker().ID)
	lock(visitor, true)
	lock(h.Store, false)
	must(t, visitor.UnlockToken(t.Context(), tokenKey))
	lock(h.Store, true)
}

// An error is a line of a log, and the parts of a token's key stand on lines.
func TestTokenErrorsAreOneLine(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const key = "bank\nhttps://api.example/v1\naccounts.read"
	h.pool.Close()
	_, _, load := h.LoadToken(t.Context(), key)
	_, lock := h.LockToken(t.Context(), key, time.Minute)
	for _, err := range []error{load, lock, h.SaveToken(t.Context(), key, finance.Token{}), h.DropToken(t.Context(), key, "x"), h.UnlockToken(t.Context(), key)} {
		if err == nil || !strings.Contains(err.Error(), "the token bank https://api.example/v1 accounts.read: ") {
			t.Errorf("got %v", err)
		}
	}
}
