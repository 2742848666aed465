// Package admit says which calls may be made and when, and keeps what came of them: the slots and gates of buckets, the reads
// and quotas of a day, the calls themselves, and the one call of a single-use consent.
package admit

import (
	"syncer/calls"
	"syncer/persist/pg"
	"syncer/persist/seal"
)

// Store admits calls for one process, and records them. It is safe for concurrent use.
type Store struct {
	db      *pg.DB
	keys    *seal.Sealer // nil: for one that keeps no answer
	asks    *pg.Combiner[calls.Ask, calls.Admission]
	looks   *pg.Combiner[calls.Ask, calls.Admission]
	transit transit // of the answers
	news    *news   // what other processes have taken back
	landed  landed  // calls of which the database does not know yet that they are over
}

// New makes a Store. keys may be nil where no answer is kept or read.
func New(db *pg.DB, keys *seal.Sealer) *Store {
	s := &Store{db: db, keys: keys, news: newNews()}
	s.asks = pg.NewCombiner(s.admit)
	s.looks = pg.NewCombiner(s.lookAt) // not in the company of asks, which wait for each other at the gates' rows
	return s
}
