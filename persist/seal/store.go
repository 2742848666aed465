package seal

import "syncer/persist/pg"

// Store seals anew what is in the database. It is safe for concurrent use.
type Store struct {
	db   *pg.DB
	keys *Sealer
}

// New makes a Store.
func New(db *pg.DB, keys *Sealer) *Store { return &Store{db: db, keys: keys} }
