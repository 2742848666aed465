// Package persist puts the rooms of the database together: every SQL statement and every transaction of syncer is in one
// of the packages below it.
package persist

import (
	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/persist/admit"
	"syncer/persist/connections"
	"syncer/persist/consents"
	"syncer/persist/pg"
	"syncer/persist/plan"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/persist/refusals"
	"syncer/persist/restore"
	"syncer/persist/seal"
	"syncer/persist/streams"
	"syncer/persist/tokens"
	"syncer/persist/workers"
)

// Store is every statement and every transaction that is not the writing of pages, by what it is about. It is safe for
// concurrent use.
type Store struct {
	Admit       *admit.Store
	Connections *connections.Store
	Consents    *consents.Store
	Plan        *plan.Store
	Queue       *queue.Store
	Read        *read.Store
	Refusals    *refusals.Store
	Restore     *restore.Store
	Seal        *seal.Store
	Streams     *streams.Store
	Tokens      *tokens.Store
	Workers     *workers.Store

	db   *pg.DB
	keys *seal.Sealer
}

// NewStore makes a Store over a migrated database, for a process. keys may be nil where nothing sealed is read or written.
func NewStore(pool *pgxpool.Pool, keys *seal.Sealer, worker pg.Worker) *Store {
	return newStore(pg.NewDB(pool, worker), keys)
}

func newStore(db *pg.DB, keys *seal.Sealer) *Store {
	return &Store{
		Admit:       admit.New(db, keys),
		Connections: connections.New(db),
		Consents:    consents.New(db, keys),
		Plan:        plan.New(db),
		Queue:       queue.New(db, keys),
		Read:        read.New(db, keys),
		Refusals:    refusals.New(db),
		Restore:     restore.New(db),
		Seal:        seal.New(db, keys),
		Streams:     streams.New(db),
		Tokens:      tokens.New(db, keys),
		Workers:     workers.New(db),
		db:          db,
		keys:        keys,
	}
}

// on is the Store with another database for its statements.
func (s *Store) on(db *pg.DB) *Store { return newStore(db, s.keys) }
