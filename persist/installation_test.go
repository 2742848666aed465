package persist_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"syncer/persist"
	"syncer/persist/connections"
	"syncer/persist/consents"
	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/persist/seal"
)

func someSealer(t *testing.T) (*seal.Sealer, []byte) {
	t.Helper()
	keys, err := seal.NewKeyset()
	must(t, err)
	sealer, err := seal.OpenSealer(keys)
	must(t, err)
	return sealer, keys
}

// A database belongs to the key file of whoever comes first, and to what becomes of that file by rotations.
func TestADatabaseKnowsItsKeys(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	ours, keys := someSealer(t)
	foreign, _ := someSealer(t)
	check := func(who string, s *seal.Sealer, want error) {
		t.Helper()
		if err := seal.CheckKeys(t.Context(), pool, s); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", who, err, want)
		}
	}
	check("the first", ours, nil)
	check("the first, again", ours, nil)
	check("another key file", foreign, seal.ErrForeignKeys)
	rotated, err := seal.Rotate(keys)
	must(t, err)
	after, err := seal.OpenSealer(rotated)
	must(t, err)
	check("after a rotation", after, nil)
}

// A database from before it knew its keys does not learn those of a wrong file.
func TestADatabaseLearnsItsKeysFromWhatIsSealed(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	ours, _ := someSealer(t)
	foreign, _ := someSealer(t)
	store := persist.NewStore(pool, ours, pg.Worker{})
	must(t, store.Connections.Use(t.Context(), "c", connections.Endpoint{Provider: "p"}))
	_, err := store.Consents.Import(t.Context(), "c", []consents.Import{
		{ExternalID: "x", NationalID: "01017012345", KeepPlain: true},
	})
	must(t, err)
	if err := seal.CheckKeys(t.Context(), pool, foreign); !errors.Is(err, seal.ErrForeignKeys) {
		t.Errorf("the foreign file came first: %v", err)
	}
	if err := seal.CheckKeys(t.Context(), pool, ours); err != nil {
		t.Errorf("our own file: %v", err)
	}
}

// A database from before it knew its keys, in which nothing is sealed and subjects are named, learns keys by nobody who comes:
// only by somebody's word. Who only looks may look.
func TestADatabaseThatDoesNotTellItsKeys(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	ours, _ := someSealer(t)
	foreign, _ := someSealer(t)
	store := persist.NewStore(pool, ours, pg.Worker{})
	must(t, store.Connections.Use(t.Context(), "c", connections.Endpoint{Provider: "p"}))
	_, err := store.Consents.Import(t.Context(), "c", []consents.Import{{ExternalID: "x", NationalID: "01017012345"}})
	must(t, err)
	for _, s := range []*seal.Sealer{foreign, ours} {
		if err := seal.CheckKeys(t.Context(), pool, s); !errors.Is(err, seal.ErrUnprovenKeys) {
			t.Errorf("nothing tells whose it is: %v", err)
		}
		must(t, seal.CompareKeys(t.Context(), pool, s))
	}
	must(t, seal.AcceptKeys(t.Context(), pool, ours))
	must(t, seal.AcceptKeys(t.Context(), pool, ours))
	must(t, seal.CheckKeys(t.Context(), pool, ours))
	for name, check := range map[string]error{
		"checked": seal.CheckKeys(t.Context(), pool, foreign), "compared": seal.CompareKeys(t.Context(), pool, foreign),
		"accepted": seal.AcceptKeys(t.Context(), pool, foreign),
	} {
		if !errors.Is(check, seal.ErrForeignKeys) {
			t.Errorf("a foreign file, %s afterwards: %v", name, check)
		}
	}
}

// Of two installations that meet in a new database at once, one has it.
func TestOneInstallationWins(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	var won atomic.Int32
	var group errgroup.Group
	for range 8 {
		sealer, _ := someSealer(t)
		group.Go(func() error {
			err := seal.CheckKeys(t.Context(), pool, sealer)
			if errors.Is(err, seal.ErrForeignKeys) {
				return nil
			}
			won.Add(1)
			return err
		})
	}
	must(t, group.Wait())
	if won.Load() != 1 {
		t.Errorf("%d installations have the database", won.Load())
	}
}
