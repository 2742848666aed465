package gate

import (
	"sync"
	"time"
)

// Loud is from when on a pause is told to people: a provider that means it has a reason that somebody should know, and
// one that does not mean it must not be obeyed for years.
const Loud = 24 * time.Hour

// Gate is this process's own memory of a bucket's pause. The store's row is the truth for all processes; this one
// is closed the moment an announcement arrives, before the row is written, so that no caller slips through meanwhile.
//
// It exists beside rate.Limiter because a limiter can't be paused: SetLimit neither holds those who already wait nor
// wakes new ones later.
type Gate struct {
	mu     sync.Mutex
	until  time.Time
	reason string
	kept   time.Time     // until when the store is known to hold it closed
	ends   bool          // somebody may end the pause before its time: it is one of days, or of a length that we don't know
	moved  chan struct{} // closed and replaced whenever until moves, and by Wake
}

// New is an open gate.
func New() *Gate { return &Gate{moved: make(chan struct{})} }

// Close closes the gate for d from the given moment on, never for less long than it already is.
func (g *Gate) Close(from time.Time, d time.Duration, reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := from.Add(d); d > 0 && t.After(g.until) {
		g.until = t
		g.reason = reason
		g.ends = d >= Loud
		g.stir()
	}
}

// Wake lets all who wait look again, without moving the gate: what another call has heard may concern them.
func (g *Gate) Wake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stir()
}

func (g *Gate) stir() {
	close(g.moved)
	g.moved = make(chan struct{})
}

// CloseAsKept closes the gate for d, as the store says it is. How long the pause was when it was told is not known.
func (g *Gate) CloseAsKept(now time.Time, d time.Duration, reason string) {
	if d <= 0 {
		return
	}
	g.Keeps(now, d)
	g.Close(now, d, reason)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ends = true
}

// Keeps notes that the store holds the gate closed for d from the given moment on.
func (g *Gate) Keeps(from time.Time, d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := from.Add(d); t.After(g.kept) {
		g.kept = t
	}
}

// MayEnd says that the pause may have been ended before its time. The store may be asked only when it has been told of all
// that closes the gate.
func (g *Gate) MayEnd() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ends && !g.until.After(g.kept)
}

// Reopen shortens a pause that the store no longer holds. Nothing is done where one was announced that it may not know yet.
func (g *Gate) Reopen(left time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.until.After(g.kept) {
		return
	}
	g.until = time.Now().Add(left)
	g.kept = g.until
	g.ends = false
	g.stir()
}

// ClosedFor is how long the gate stays closed, why, and a channel that is closed when that changes.
func (g *Gate) ClosedFor() (time.Duration, string, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(0, time.Until(g.until)), g.reason, g.moved
}
