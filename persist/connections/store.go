// Package connections keeps where connections lead and whether they may be used: use, park, open, move, rename.
package connections

import "syncer/persist/pg"

// Store changes connections. It is safe for concurrent use.
type Store struct{ db *pg.DB }

// New makes a Store.
func New(db *pg.DB) *Store { return &Store{db: db} }
