package fetch

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"syncer/calls"
)

// gate is this process's own memory of a bucket's pause. The store's row is the truth for all processes; this one
// is closed the moment an announcement arrives, before the row is written, so that no caller slips through meanwhile.
//
// It exists beside rate.Limiter because a limiter can't be paused: SetLimit neither holds those who already wait nor
// wakes new ones later.
type gate struct {
	mu     sync.Mutex
	until  time.Time
	reason string
	kept   time.Time     // until when the store is known to hold it closed
	ends   bool          // somebody may end the pause before its time: it is one of days, or of a length that we don't know
	moved  chan struct{} // closed and replaced whenever until moves, and by wake
}

func newGate() *gate { return &gate{moved: make(chan struct{})} }

// close closes the gate for d from the given moment on, never for less long than it already is.
func (g *gate) close(from time.Time, d time.Duration, reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := from.Add(d); d > 0 && t.After(g.until) {
		g.until = t
		g.reason = reason
		g.ends = d >= loud
		g.stir()
	}
}

// wake lets all who wait look again, without moving the gate: what another call has heard may concern them.
func (g *gate) wake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stir()
}

func (g *gate) stir() {
	close(g.moved)
	g.moved = make(chan struct{})
}

// closeAsKept closes the gate for d, as the store says it is. How long the pause was when it was told is not known.
func (g *gate) closeAsKept(now time.Time, d time.Duration, reason string) {
	if d <= 0 {
		return
	}
	g.keeps(now, d)
	g.close(now, d, reason)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ends = true
}

// keeps notes that the store holds the gate closed for d from the given moment on.
func (g *gate) keeps(from time.Time, d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := from.Add(d); t.After(g.kept) {
		g.kept = t
	}
}

// mayEnd says that the pause may have been ended before its time. The store may be asked only when it has been told of all
// that closes the gate.
func (g *gate) mayEnd() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ends && !g.until.After(g.kept)
}

// reopen shortens a pause that the store no longer holds. Nothing is done where one was announced that it may not know yet.
func (g *gate) reopen(left time.Duration) {
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

// closedFor is how long the gate stays closed, why, and a channel that is closed when that changes.
func (g *gate) closedFor() (time.Duration, string, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(0, time.Until(g.until)), g.reason, g.moved
}

// bucket is what a provider limits by itself, as this process sees it.
type bucket struct {
	name    string // with the address that it leads to
	plain   string // without it
	rate    float64
	quota   calls.Quota
	gate    *gate
	limiter *rate.Limiter // of burst 1: evenly paced calls never meet the limit, bursts do
	breaker *breaker

	turnstile *turnstile

	mu    sync.Mutex
	alone map[string]*gate // by key, of those consents and accounts that have been told to wait alone

	refused atomic.Bool // the last word that this process has heard of the bucket was a refusal
}

// newBucket makes the bucket of a name at an address. A provider's word holds for the address that has given it, so a
// connection that moves to another one begins with an open gate, and finds the old one closed when it comes back.
func newBucket(plain, origin string, perSecond float64) *bucket {
	limit := rate.Inf
	if perSecond > 0 {
		limit = rate.Limit(perSecond)
	}
	name := plain + "@" + origin
	return &bucket{
		name: name, plain: plain, alone: map[string]*gate{}, rate: perSecond, gate: newGate(), limiter: rate.NewLimiter(limit, 1), breaker: newBreaker(name),
		turnstile: newTurnstile(),
	}
}

// late is how far behind its slot a call may still be sent. One that is later forfeits the slot, because a frozen
// process would otherwise wake up and send all its waiters at once.
//
// A second is the most, with or without a rate: what the store said of the fence and the consent ages too.
func late(spacing time.Duration) time.Duration {
	if spacing <= 0 {
		return time.Second
	}
	return min(time.Second, max(spacing*3/8, 5*time.Millisecond))
}

// wait waits for d, or until the context ends or the channel is closed. It says whether d has passed.
func wait(ctx context.Context, d time.Duration, moved <-chan struct{}) (passed bool, err error) {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err == nil, err
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true, nil
	case <-moved:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
