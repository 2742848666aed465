// Package refusals decides what to believe of refusals: whether a consent has ended, is suspected, or its connection is to be parked.
package refusals

import "syncer/persist/pg"

// Store judges refusals. It is safe for concurrent use.
type Store struct{ db *pg.DB }

// New makes a Store.
func New(db *pg.DB) *Store { return &Store{db: db} }
