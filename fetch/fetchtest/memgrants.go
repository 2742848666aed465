package fetchtest

import (
	"context"
	"sync"

	"syncer/calls"
	"syncer/fetch"
)

// Grants is a grant store in memory. It keeps the promises of fetch.GrantStore for the clients of one test.
type Grants struct {
	mu      sync.Mutex
	kept    map[int64]fetch.Secret
	holders map[int64]string
	saved   int
}

// NewGrants makes an empty Grants.
func NewGrants() *Grants { return &Grants{kept: map[int64]fetch.Secret{}, holders: map[int64]string{}} }

// Give stores the refresh token that a consent was given with.
func (g *Grants) Give(consent int64, refresh fetch.Secret) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kept[consent] = refresh
	delete(g.holders, consent)
}

// Refresh is the refresh token that is kept, whoever holds it.
func (g *Grants) Refresh(consent int64) (fetch.Secret, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	refresh, ok := g.kept[consent]
	return refresh, ok
}

// Saved is how often a refresh token was replaced.
func (g *Grants) Saved() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.saved
}

// HasGrant says whether there is a refresh token.
func (g *Grants) HasGrant(ctx context.Context, consent int64) (bool, error) {
	_, ok := g.Refresh(consent)
	return ok, ctx.Err()
}

// LoadGrant gives the refresh token to its holder, who is the first that asks.
func (g *Grants) LoadGrant(ctx context.Context, consent int64, holder string) (calls.KeptGrant, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	refresh, ok := g.kept[consent]
	if !ok {
		return calls.KeptGrant{}, ctx.Err()
	}
	if g.holders[consent] == "" {
		g.holders[consent] = holder
	}
	if g.holders[consent] != holder {
		return calls.KeptGrant{Other: true}, ctx.Err()
	}
	return calls.KeptGrant{Refresh: refresh}, ctx.Err()
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
