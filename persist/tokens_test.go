package persist_test

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"syncer/calls"
	"syncer/persist"
)

const tokenKey = "bank accounts.read"

func TestTokenIsSharedAndSealed(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	other := h.sibling(t, time.Hour)
	if _, ok, err := other.Tokens.LoadToken(t.Context(), tokenKey); ok || err != nil {
		t.Fatalf("a token that was never saved: ok %v, %v", ok, err)
	}
	now := time.Now().UTC().Round(0)
	want := calls.Token{AccessToken: "canary-token", Type: "Bearer", Expiry: now.Add(time.Hour), RefreshAt: now.Add(50 * time.Minute)}
	must(t, h.Tokens.SaveToken(t.Context(), tokenKey, want))
	got, ok, err := other.Tokens.LoadToken(t.Context(), tokenKey)
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
	if _, ok, err := other.Tokens.LoadToken(t.Context(), "bank payments"); ok || err != nil {
		t.Errorf("a token moved to another key: ok %v, %v", ok, err)
	}
}

func TestDropTokenSparesANewerOne(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	must(t, h.Tokens.SaveToken(t.Context(), tokenKey, calls.Token{AccessToken: "new"}))
	for _, step := range []struct {
		drop          string
		dropped, left bool
	}{{"old", false, true}, {"new", true, false}, {"new", false, false}} {
		dropped, err := h.Tokens.DropToken(t.Context(), tokenKey, step.drop)
		if dropped != step.dropped || err != nil {
			t.Errorf("dropping %q: %v, %v", step.drop, dropped, err)
		}
		if _, ok, err := h.Tokens.LoadToken(t.Context(), tokenKey); ok != step.left || err != nil {
			t.Errorf("after dropping %q: ok %v, %v", step.drop, ok, err)
		}
	}
}

// I7: one right to refresh in all processes and goroutines, and it comes back in each of the four ways.
func TestTokenLock(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	stores := []*persist.Store{h.Store, h.sibling(t, time.Hour), h.sibling(t, time.Hour)}
	contend := func(d time.Duration) (winner int) {
		t.Helper()
		var won, who atomic.Int32
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				got, err := stores[i%3].Tokens.LockToken(t.Context(), tokenKey, d)
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
	must(t, stores[(winner+1)%3].Tokens.UnlockToken(t.Context(), tokenKey))
	must(t, stores[(winner+1)%3].Tokens.SaveToken(t.Context(), tokenKey, calls.Token{AccessToken: "late"}))
	if got, _ := stores[winner].Tokens.LockToken(t.Context(), tokenKey, time.Hour); got {
		t.Fatal("a process gave back a right that was another's")
	}
	must(t, stores[winner].Tokens.UnlockToken(t.Context(), tokenKey))
	winner = contend(time.Hour)
	must(t, stores[winner].Tokens.SaveToken(t.Context(), tokenKey, calls.Token{AccessToken: "a"}))
	contend(time.Hour)
	h.exec(t, "UPDATE tokens SET refreshing_until = clock_timestamp()") // the holder died and its time is over
	contend(time.Hour)
}

// A holder that was killed keeps the right for no longer than its lease. One that is no worker, such as a command that
// checks a connection, has no lease, so its right lasts as long as it was asked for.
func TestTokenLockOfADeadWorker(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	worker, visitor := h.sibling(t, time.Hour), h.sibling(t, 0)
	lock := func(s *persist.Store, want bool) {
		t.Helper()
		if got, err := s.Tokens.LockToken(t.Context(), tokenKey, time.Hour); got != want || err != nil {
			t.Fatalf("got the right: %v, want %v; %v", got, want, err)
		}
	}
	lock(worker, true)
	lock(h.Store, false)
	h.exec(t, "UPDATE workers SET expires_at = clock_timestamp() - interval '1 second' WHERE id <> $1", h.Worker().ID)
	lock(visitor, true)
	lock(h.Store, false)
	must(t, visitor.Tokens.UnlockToken(t.Context(), tokenKey))
	lock(h.Store, true)
}

// An error is a line of a log, and the parts of a token's key stand on lines.
func TestTokenErrorsAreOneLine(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	const key = "bank\nhttps://api.example/v1\naccounts.read"
	h.pool.Close()
	_, _, load := h.Tokens.LoadToken(t.Context(), key)
	_, lock := h.Tokens.LockToken(t.Context(), key, time.Minute)
	_, drop := h.Tokens.DropToken(t.Context(), key, "x")
	for _, err := range []error{load, lock, h.Tokens.SaveToken(t.Context(), key, calls.Token{}), drop, h.Tokens.UnlockToken(t.Context(), key)} {
		if err == nil || !strings.Contains(err.Error(), "the token bank https://api.example/v1 accounts.read: ") {
			t.Errorf("got %v", err)
		}
	}
}

// A token is deleted an hour after its end, and its row too where it was dropped; whoever is about to refresh keeps the row.
func TestTokensThatHaveEndedAreForgotten(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.exec(t, `INSERT INTO tokens (key, sealed, expires_at, updated_at, refreshing_until) SELECT key, sealed,
		clock_timestamp() + ends, clock_timestamp() + touched, clock_timestamp() + locked FROM (VALUES
		('lives', '\x00'::bytea, interval '1 minute', interval '-2 hours', interval '-1 day'),
		('just ended', '\x00', '-59 minutes', '-2 hours', '-1 day'),
		('ended', '\x00', '-61 minutes', '-2 hours', '-1 day'),
		('ended and locked', '\x00', '-61 minutes', '-2 hours', '1 minute'),
		('dropped just now', NULL, NULL, '-59 minutes', '-1 day'),
		('dropped', NULL, NULL, '-61 minutes', '-1 day')) AS v (key, sealed, ends, touched, locked)`)
	must(t, h.Tokens.ForgetTokens(t.Context()))
	rows, err := h.pool.Query(t.Context(), "SELECT key FROM tokens ORDER BY key")
	must(t, err)
	left, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	if diff := cmp.Diff([]string{"dropped just now", "ended and locked", "just ended", "lives"}, left); diff != "" {
		t.Error(diff)
	}
}
