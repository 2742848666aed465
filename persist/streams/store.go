// Package streams keeps where streams stand and what an operator does with them: resets, changed keys, removals that are withheld, records in
// quarantine.
package streams

import "syncer/persist/pg"

// Store changes streams. It is safe for concurrent use.
type Store struct{ db *pg.DB }

// New makes a Store.
func New(db *pg.DB) *Store { return &Store{db: db} }
