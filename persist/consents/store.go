// Package consents is the life of consents: how they come, by import, feed or grant, how they are renewed, and how they end.
package consents

import (
	"syncer/persist/pg"
	"syncer/persist/seal"
)

// Store changes consents, and gives those that are worked. It is safe for concurrent use.
type Store struct {
	db   *pg.DB
	keys *seal.Sealer
}

// New makes a Store. keys may be nil where nothing sealed is read or written.
func New(db *pg.DB, keys *seal.Sealer) *Store { return &Store{db: db, keys: keys} }
