// Package plan makes runs, with their batches and items: by a schedule, by hand, again, for a window of the past, or before consents
// end.
package plan

import "syncer/persist/pg"

// Store plans runs. It is safe for concurrent use.
type Store struct{ db *pg.DB }

// New makes a Store.
func New(db *pg.DB) *Store { return &Store{db: db} }
