// Package queue hands the batches of runs to processes, and keeps what came of their items: who holds which, what is due, what
// is decided, and the verdict in the end.
package queue

import (
	"syncer/persist/pg"
	"syncer/persist/seal"
)

// Store works batches for one process. It is safe for concurrent use.
type Store struct {
	db        *pg.DB
	keys      *seal.Sealer // opens the subjects of consents
	starts    *pg.Combiner[itemName, bool]
	decisions *pg.Combiner[itemDecided, bool]
}

// New makes a Store. keys may be nil where no items are loaded.
func New(db *pg.DB, keys *seal.Sealer) *Store {
	s := &Store{db: db, keys: keys}
	s.starts = pg.NewCombiner(s.startItems)
	s.decisions = pg.NewCombiner(s.decideItems)
	return s
}
