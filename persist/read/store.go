// Package read is every query that only shows something: runs and their reports, items, calls, consents, streams, quarantine, and whether the
// tables keep their promises.
package read

import (
	"syncer/persist/pg"
	"syncer/persist/seal"
)

// Store shows what there is. It is safe for concurrent use.
type Store struct {
	db   *pg.DB
	keys *seal.Sealer
}

// New makes a Store. keys may be nil where nothing sealed is read or written.
func New(db *pg.DB, keys *seal.Sealer) *Store { return &Store{db: db, keys: keys} }
