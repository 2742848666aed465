package rest

import (
	"encoding/csv"
	"net/http"
	"sync"
	"time"

	"syncer/sandbox"
)

// ConsentInfo is what the holder of a consent knows about it.
type ConsentInfo struct {
	ID         string // UUID
	NationalID string // synthetic
	ValidUntil time.Time
}

// consents are the seeded consents of a simulator and which of them were withdrawn.
type consents struct {
	seed  uint64
	count int
	until time.Time
	ids   sandbox.UUIDs

	mu        sync.Mutex
	withdrawn map[int]bool
}

func newConsents(seed uint64, count int, until time.Time) *consents {
	return &consents{seed: seed, count: count, until: until, ids: sandbox.UUIDs{Seed: sandbox.Mix(seed, 'r')}, withdrawn: map[int]bool{}}
}

func (c *consents) at(i int) ConsentInfo {
	return ConsentInfo{ID: c.ids.At(i), NationalID: sandbox.NationalID(c.seed, i), ValidUntil: c.until}
}

func (c *consents) all() []ConsentInfo {
	out := make([]ConsentInfo, c.count)
	for i := range out {
		out[i] = c.at(i)
	}
	return out
}

// find gives the number of a consent and whether it was withdrawn.
func (c *consents) find(id string) (index int, withdrawn, ok bool) {
	index, ok = c.ids.Index(id)
	if !ok || index >= c.count {
		return 0, false, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return index, c.withdrawn[index], true
}

func (c *consents) withdraw(id string) bool {
	index, already, ok := c.find(id)
	c.mu.Lock()
	defer c.mu.Unlock()
	if ok {
		c.withdrawn[index] = true
	}
	return ok && !already
}

// list streams the consents as CSV.
func (c *consents) list(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/csv")
	out := csv.NewWriter(w)
	defer out.Flush()
	_ = out.Write([]string{"id", "national_id", "valid_until"}) // Flush tells nobody either: the reader may be gone
	for i := range c.count {
		one := c.at(i)
		if out.Write([]string{one.ID, one.NationalID, one.ValidUntil.Format(time.RFC3339)}) != nil {
			return
		}
	}
}

// control serves GET consents and POST revoke?consent=ID.
func (c *consents) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /consents", c.list)
	mux.HandleFunc("POST /revoke", func(w http.ResponseWriter, r *http.Request) {
		if !c.withdraw(r.URL.Query().Get("consent")) {
			http.Error(w, "revoke: no such active consent", http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}
