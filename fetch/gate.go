package fetch

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// gate is this process's own memory of a bucket's pause. The ledger's row is the truth for all processes; this one
// is closed the moment an announcement arrives, before the row is written, so that no caller slips through meanwhile.
//
// It exists beside rate.Limiter because a limiter can't be paused: SetLimit neither holds those who already wait nor
// wakes new ones later.
type gate struct {
	mu     sync.Mutex
	until  time.Time
	reason string
	awaits bool          // closed for what another call hears, which probes
	moved  chan struct{} // closed and replaced whenever until moves
}

func newGate() *gate { return &gate{moved: make(chan struct{})} }

// close closes the gate for d from the given moment on, never for less long than it already is.
func (g *gate) close(from time.Time, d time.Duration, reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := from.Add(d); d > 0 && t.After(g.until) {
		g.set(t, reason, false)
	}
}

// await closes the gate for what another call hears, which probes.
func (g *gate) await(d time.Duration, reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := time.Now().Add(d); t.After(g.until) {
		g.set(t, reason, true)
	}
}

func (g *gate) set(until time.Time, reason string, awaits bool) {
	g.until = until
	g.reason = reason
	g.awaits = awaits
	close(g.moved)
	g.moved = make(chan struct{})
}

// open ends a wait for another call's probe, which was answered. A pause that was announced stays.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.awaits {
		g.set(time.Time{}, "", false)
	}
}

// left is how long the gate stays closed, why, and a channel that is closed when that changes.
func (g *gate) left() (time.Duration, string, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(0, time.Until(g.until)), g.reason, g.moved
}

// bucket is what a provider limits by itself, as this process sees it.
type bucket struct {
	name    string
	rate    float64
	gate    *gate
	limiter *rate.Limiter // of burst 1: evenly paced calls never meet the limit, bursts do
	breaker *breaker

	lookTook atomic.Int64 // nanoseconds that the last look at the ledger's gate took
	refused  atomic.Bool  // the last word that this process has heard of the bucket was a refusal
}

func newBucket(name string, perSecond float64) *bucket {
	limit := rate.Inf
	if perSecond > 0 {
		limit = rate.Limit(perSecond)
	}
	return &bucket{name: name, rate: perSecond, gate: newGate(), limiter: rate.NewLimiter(limit, 1), breaker: newBreaker(name)}
}

// late is how far behind its slot a call may still be sent. One that is later forfeits the slot, because a frozen
// process would otherwise wake up and send all its waiters at once.
//
// A second is the most, with or without a rate: what the ledger said of the fence and the consent ages too.
func (b *bucket) late() time.Duration {
	if b.rate <= 0 {
		return time.Second
	}
	return min(time.Second, max(time.Duration(float64(time.Second)/b.rate)*3/8, 5*time.Millisecond))
}

// stale is how old a look at the ledger's gate may be at the moment of the send: so short that at most half a call
// goes out meanwhile at the bucket's rate, yet long enough that a look which takes its time costs no slot.
func (b *bucket) stale() time.Duration {
	if b.rate <= 0 {
		return 5 * time.Millisecond
	}
	return max(5*time.Millisecond, min(time.Duration(float64(time.Second)/b.rate)/2, 20*time.Millisecond))
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
