package persist_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist"
	"syncer/persist/consents"
	"syncer/persist/seal"
)

// keyed is a fixture whose key file can be changed.
type keyed struct {
	*fixture
	file atomic.Pointer[[]byte]
}

func newKeyed(t *testing.T) *keyed {
	t.Helper()
	keys, err := seal.NewKeyset()
	must(t, err)
	k := &keyed{}
	k.file.Store(&keys)
	k.fixture = newFixture(t)
	k.fixture.sealer = k.process(t)
	k.fixture.Store = k.fixture.sibling(t, time.Hour)
	return k
}

// process is a sealer that follows the key file.
func (k *keyed) process(t *testing.T) *seal.Sealer {
	t.Helper()
	s, err := seal.OpenSealer(*k.file.Load())
	must(t, err)
	s.Follow(func() ([]byte, error) { return *k.file.Load(), nil })
	return s
}

// store is the store of a process that has just been started.
func (k *keyed) store(t *testing.T) *persist.Store {
	t.Helper()
	other := *k.fixture
	other.sealer = k.process(t)
	return other.sibling(t, time.Hour)
}

func (k *keyed) change(t *testing.T, f func([]byte) ([]byte, error)) seal.KeyFile {
	t.Helper()
	next, err := f(*k.file.Load())
	must(t, err)
	k.file.Store(&next)
	info, err := seal.ReadKeyFile(next)
	must(t, err)
	return info
}

// fill seals one value of every kind, and n grants.
func (k *keyed) fill(t *testing.T, n int) (filled []int64, call finance.CallID) {
	t.Helper()
	for i := range n {
		filled = append(filled, k.give(t, given(fmt.Sprint("c-", i), fmt.Sprint("refresh-", i), func(g *consents.Given) { g.KeepPlain = i%2 == 0 })).ID)
	}
	must(t, k.Tokens.SaveToken(t.Context(), tokenKey, calls.Token{AccessToken: "access"}))
	call = finance.CallID{7}
	body, err := k.sealer.SealBody([]byte("an answer"), call)
	must(t, err)
	k.exec(t, "INSERT INTO inbox (consent_id, call_id, answered_at, status, body) VALUES ($1, $2, now(), 200, $3)", filled[0], [16]byte(call), body)
	k.exec(t, "INSERT INTO answers (call_id, body_hash, bytes, body, keep_until) VALUES ($1, '', 9, $2, now())", [16]byte(call), body)
	return filled, call
}

func left(t *testing.T, s *persist.Store, key uint32) (n int) {
	t.Helper()
	counts, err := s.Seal.CountSealed(t.Context())
	must(t, err)
	for _, c := range counts {
		if c.Key != key {
			n += c.Count
		}
	}
	return n
}

func TestEverySealedValueFollowsTheKey(t *testing.T) {
	t.Parallel()
	k := newKeyed(t)
	consents, call := k.fill(t, 3)
	info := k.change(t, seal.Rotate)
	store := k.store(t)
	if n := left(t, store, info.Primary); n != 3+2+1+1+1 {
		t.Errorf("%d values are left to be sealed anew", n)
	}
	done := map[string]int{}
	must(t, store.Seal.Reseal(t.Context(), info.Primary, func(r seal.Resealed) { done[r.Table] = r.Done }))
	if diff := cmp.Diff(map[string]int{"grants": 3, "consents": 2, "tokens": 1, "inbox": 1, "answers": 1}, done); diff != "" {
		t.Error(diff)
	}
	if n := left(t, store, info.Primary); n != 0 {
		t.Errorf("%d values are left", n)
	}

	if info = k.change(t, seal.Retire); len(info.Old) != 0 {
		t.Errorf("%+v", info)
	}
	store = k.store(t) // which has never seen the old key
	for i, id := range consents {
		kept, err := store.Tokens.LoadGrant(t.Context(), id, holder)
		if err != nil || kept.Refresh.Reveal() != fmt.Sprint("refresh-", i) {
			t.Errorf("grant %d: %v", i, err)
		}
		c, err := store.Consents.ByID(t.Context(), id)
		must(t, err)
		if plain, _ := c.Subject.Reveal(); (plain == "01417014922") != (i%2 == 0) || !c.Subject.Is("01417014922") {
			t.Errorf("the subject of consent %d", id)
		}
	}
	if token, ok, err := store.Tokens.LoadToken(t.Context(), tokenKey); !ok || err != nil || token.AccessToken != "access" {
		t.Errorf("token: %v, %v", ok, err)
	}
	fresh := k.process(t)
	for _, table := range []string{"inbox", "answers"} {
		var sealed []byte
		must(t, k.pool.QueryRow(t.Context(), "SELECT body FROM "+table).Scan(&sealed))
		if body, err := fresh.OpenBody(sealed, call); err != nil || string(body) != "an answer" {
			t.Errorf("%s: %q, %v", table, body, err)
		}
	}
}

// Broken off after its first step, the work goes on where it was.
func TestResealGoesOnWhereItWasBrokenOff(t *testing.T) {
	t.Parallel()
	k := newKeyed(t)
	k.fill(t, 450)
	info := k.change(t, seal.Rotate)
	ctx, cancel := context.WithCancel(t.Context())
	first := 0
	err := k.store(t).Seal.Reseal(ctx, info.Primary, func(r seal.Resealed) { first = r.Done; cancel() })
	if !errors.Is(err, context.Canceled) || first != 200 {
		t.Fatalf("%v after %d", err, first)
	}
	second := map[string]int{}
	must(t, k.store(t).Seal.Reseal(t.Context(), info.Primary, func(r seal.Resealed) { second[r.Table] = r.Done }))
	if second["grants"] != 250 || left(t, k.Store, info.Primary) != 0 {
		t.Errorf("%+v, %d left", second, left(t, k.Store, info.Primary))
	}
}

// A value that can't be opened is told and passed over; a row that somebody works on is left for the next pass.
func TestWhatCantBeSealedAnewHoldsNothingUp(t *testing.T) {
	t.Parallel()
	k := newKeyed(t)
	consents, _ := k.fill(t, 4)
	k.exec(t, "UPDATE grants SET sealed = set_byte(sealed, 12, get_byte(sealed, 12) # 1) WHERE consent_id = $1", consents[1])
	tx, err := k.pool.Begin(t.Context())
	must(t, err)
	if _, err := tx.Exec(t.Context(), "SELECT FROM grants WHERE consent_id = $1 FOR UPDATE", consents[2]); err != nil {
		t.Fatal(err)
	}
	info := k.change(t, seal.Rotate)
	store := k.store(t)
	var grants seal.Resealed
	tell := func(r seal.Resealed) {
		if r.Table == "grants" {
			grants = r
		}
	}
	must(t, store.Seal.Reseal(t.Context(), info.Primary, tell))
	if grants.Done != 2 || grants.Stuck != 1 || grants.Sample != fmt.Sprint("grants ", consents[1]) || left(t, store, info.Primary) != 2 {
		t.Errorf("%+v, %d left", grants, left(t, store, info.Primary))
	}
	must(t, tx.Rollback(t.Context()))
	must(t, store.Seal.Reseal(t.Context(), info.Primary, tell))
	if grants.Done != 1 || left(t, store, info.Primary) != 1 {
		t.Errorf("the second pass: %+v, %d left", grants, left(t, store, info.Primary))
	}
}

// A refresh token that rotates, and an access token that is dropped, while the keys change: what counts is the token, not
// its bytes.
func TestTokensMoveWhileTheKeysChange(t *testing.T) {
	t.Parallel()
	k := newKeyed(t)
	consents, _ := k.fill(t, 1)
	info := k.change(t, seal.Rotate)
	must(t, k.store(t).Seal.Reseal(t.Context(), info.Primary, func(seal.Resealed) {}))
	// k.Store is a process from before: it meets a key that it has not, and looks.
	saved, err := k.Tokens.SaveGrant(t.Context(), consents[0], finance.NewSecret("refresh-0"), finance.NewSecret("next"))
	if !saved || err != nil {
		t.Errorf("saved %v, %v", saved, err)
	}
	dropped, err := k.Tokens.DropToken(t.Context(), tokenKey, "access")
	if !dropped || err != nil {
		t.Errorf("dropped %v, %v", dropped, err)
	}
	if _, ok, err := k.Tokens.LoadToken(t.Context(), tokenKey); ok || err != nil {
		t.Errorf("the dropped token: %v, %v", ok, err)
	}
}

// Every column of bytes is either sealed anew or known to be no secret. A new one must be put into one of the two lists.
func TestNoSealedColumnIsForgotten(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	rows, err := h.pool.Query(t.Context(), `SELECT table_name || '.' || column_name FROM information_schema.columns
		WHERE table_schema = 'public'
			AND data_type = 'bytea'
			AND table_name NOT LIKE 'river%' -- the queue's own
		ORDER BY 1`)
	all, err := collect[string](rows, err)
	must(t, err)
	noSecret := []string{"pages.page_key", "cursors.reported"}
	all = slices.DeleteFunc(all, func(name string) bool {
		return strings.HasSuffix(name, "_hash") || strings.HasSuffix(name, "_hmac") || slices.Contains(noSecret, name)
	})
	want := []string{"answers.body", "consents.subject_sealed", "grants.sealed", "inbox.body", "tokens.sealed"}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Error(diff)
	}
}

func TestKeyFileFromPreparedToRetired(t *testing.T) {
	t.Parallel()
	keys, err := seal.NewKeyset()
	must(t, err)
	read := func(keys []byte) seal.KeyFile {
		info, err := seal.ReadKeyFile(keys)
		must(t, err)
		return info
	}
	first := read(keys)
	prepared, err := seal.Prepare(keys)
	must(t, err)
	if again, err := seal.Prepare(prepared); err != nil || !bytes.Equal(again, prepared) {
		t.Errorf("prepared twice: %v", err)
	}
	with := read(prepared)
	if with.Primary != first.Primary || with.Prepared == 0 || len(with.Old) != 0 {
		t.Errorf("%+v", with)
	}
	rotated, err := seal.Rotate(prepared)
	must(t, err)
	after := read(rotated)
	if after.Primary != with.Prepared || after.Prepared != 0 || !slices.Equal(after.Old, []uint32{first.Primary}) || time.Since(after.Rotated) > time.Minute {
		t.Errorf("%+v", after)
	}
	// What a machine that has only the prepared file holds opens what the rotated one has sealed.
	here, err := seal.OpenSealer(rotated)
	must(t, err)
	there, err := seal.OpenSealer(prepared)
	must(t, err)
	sealed, err := here.Seal([]byte("x"), []byte("row"))
	must(t, err)
	if plain, err := there.Unseal(sealed, []byte("row")); err != nil || string(plain) != "x" {
		t.Errorf("%q, %v", plain, err)
	}
	retired, err := seal.Retire(rotated)
	must(t, err)
	if last := read(retired); last.Primary != after.Primary || len(last.Old) != 0 {
		t.Errorf("%+v", last)
	}
	if bytes.Equal(here.SubjectHMAC("1"), nil) || !bytes.Equal(here.SubjectHMAC("1"), there.SubjectHMAC("1")) {
		t.Error("the subjects' key has changed")
	}
}

// A process that runs on takes a new key within FollowEvery, and at once when it meets a value of it. A key file of
// another installation is not taken.
func TestARunningProcessFollowsItsKeyFile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys, err := seal.NewKeyset()
		must(t, err)
		current, reads := keys, 0
		running, err := seal.OpenSealer(keys)
		must(t, err)
		running.Follow(func() ([]byte, error) { reads++; return current, nil })
		sealsWith := func() uint32 {
			if _, err := running.Seal([]byte("x"), nil); err != nil {
				t.Error(err)
			}
			return running.KeyID()
		}
		old := sealsWith()
		rotated, err := seal.Rotate(keys)
		must(t, err)
		current = rotated
		if sealsWith() != old || reads != 0 {
			t.Errorf("%d reads within the first moment", reads)
		}
		<-time.After(seal.FollowEvery)
		if sealsWith() == old || reads != 1 {
			t.Errorf("it seals with the old key after %d reads", reads)
		}
		for range 100 {
			sealsWith()
		}
		if reads != 1 {
			t.Errorf("%d reads for 101 values", reads)
		}

		next, err := seal.Rotate(rotated)
		must(t, err)
		other, err := seal.OpenSealer(next)
		must(t, err)
		sealed, err := other.Seal([]byte("from elsewhere"), []byte("row"))
		must(t, err)
		if _, err := running.Unseal(sealed, []byte("row")); !errors.Is(err, seal.ErrUnseal) {
			t.Errorf("opened without its key: %v", err)
		}
		current = next
		if plain, err := running.Unseal(sealed, []byte("row")); err != nil || string(plain) != "from elsewhere" {
			t.Errorf("%q, %v", plain, err)
		}

		stranger, err := seal.NewKeyset()
		must(t, err)
		for _, bad := range [][]byte{stranger, []byte("{}"), nil} {
			current = bad
			<-time.After(seal.FollowEvery)
			if sealsWith() != other.KeyID() {
				t.Error("it took the keys of a stranger")
			}
		}
	})
}
