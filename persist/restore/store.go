// Package restore knows whether the database is the one that its processes have worked on, or a restored copy of it, and
// what follows of that.
package restore

import (
	"sync"

	"syncer/persist/pg"
)

// Store knows it for one process. It is safe for concurrent use.
type Store struct {
	db *pg.DB

	mu   sync.Mutex
	seen int64 // the transaction of this process' newest heartbeat that has been found in the database
}

// New makes a Store.
func New(db *pg.DB) *Store { return &Store{db: db} }
