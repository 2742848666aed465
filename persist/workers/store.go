// Package workers keeps which processes live, what each works, and the rates and quotas that it names.
package workers

import "syncer/persist/pg"

// Store speaks for one process. It is safe for concurrent use.
type Store struct {
	db    *pg.DB
	named *named // what this process' configuration names
}

// New makes a Store.
func New(db *pg.DB) *Store { return &Store{db: db, named: newNamed()} }
