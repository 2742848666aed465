package fetchtest

import (
	"context"
	"sync"

	"syncer/fetch"
)

// Grants is a grant store in memory. It keeps the promises of fetch.GrantStore for the clients of one test.
type Grants struct {
	mu    sync.Mutex
	kept  map[int64]fetch.Secret
	saved int
}

// NewGrants makes an empty Grants.
func NewGrants() *Grants { return &Grants{kept: map[int64]fetch.Secret{}} }

// Give stores the refresh token that a consent was given with.
func (g *Grants) Give(consent int64, refresh fetch.Secret) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kept[consent] = refresh
}

// Saved is how often a refresh token was replaced.
func (g *Grants) Saved() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.saved
}

// LoadGrant gives the refresh token.
func (g *Grants) LoadGrant(ctx context.Context, consent int64) (fetch.Secret, bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	refresh, ok := g.kept[consent]
	return refresh, ok, ctx.Err()
}

// SaveGrant replaces the refresh token if it is still old.
func (g *Grants) SaveGrant(ctx context.Context, consent int64, old, next fetch.Secret) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := ctx.Err(); err != nil || g.kept[consent] == next {
		return err == nil, err
	}
	if g.kept[consent] != old {
		return false, nil
	}
	g.kept[consent] = next
	g.saved++
	return true, nil
}

// EndGrant forgets the refresh token if it is still this one.
func (g *Grants) EndGrant(ctx context.Context, consent int64, refused fetch.Secret) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.kept[consent] != refused {
		return false, ctx.Err()
	}
	delete(g.kept, consent)
	return true, ctx.Err()
}
