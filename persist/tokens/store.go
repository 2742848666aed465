// Package tokens keeps OAuth2 tokens, sealed: the access tokens that processes share, and the refresh tokens of consents that people
// have given in the browser.
package tokens

import (
	"syncer/persist/pg"
	"syncer/persist/seal"
)

// Store keeps tokens. It is safe for concurrent use.
type Store struct {
	db   *pg.DB
	keys *seal.Sealer
}

// New makes a Store. keys may be nil where nothing sealed is read or written.
func New(db *pg.DB, keys *seal.Sealer) *Store { return &Store{db: db, keys: keys} }
