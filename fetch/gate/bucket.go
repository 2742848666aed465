package gate

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"syncer/calls"
)

// Bucket is what a provider limits by itself, as this process sees it.
type Bucket struct {
	Name    string // with the address that it leads to
	Plain   string // without it
	Rate    float64
	Quota   calls.Quota
	Gate    *Gate
	Limiter *rate.Limiter // of burst 1: evenly paced calls never meet the limit, bursts do
	Breaker *Breaker

	Turnstile *Turnstile

	mu    sync.Mutex
	alone map[string]*Gate // by key, of those consents and accounts that have been told to wait alone

	Refused atomic.Bool // the last word that this process has heard of the bucket was a refusal
}

// NewBucket makes the bucket of a name at an address. A provider's word holds for the address that has given it, so a
// connection that moves to another one begins with an open gate, and finds the old one closed when it comes back.
func NewBucket(plain, origin string, perSecond float64, quota calls.Quota) *Bucket {
	limit := rate.Inf
	if perSecond > 0 {
		limit = rate.Limit(perSecond)
	}
	name := plain + "@" + origin
	return &Bucket{
		Name: name, Plain: plain,
		Rate: perSecond, Quota: quota,
		Gate: New(), Limiter: rate.NewLimiter(limit, 1), Breaker: newBreaker(name), Turnstile: newTurnstile(),
		alone: map[string]*Gate{},
	}
}

// Lone is the gate of a key, as this process remembers it. Without a key it is the bucket's own.
func (b *Bucket) Lone(key string) *Gate {
	if key == "" {
		return b.Gate
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.alone[key]
	if g == nil {
		b.forget()
		g = New()
		b.alone[key] = g
	}
	return g
}

// forget drops the gates that are open once there are many. The caller holds mu.
func (b *Bucket) forget() {
	const many = 1024
	if len(b.alone) < many {
		return
	}
	for key, g := range b.alone {
		if left, _, _ := g.ClosedFor(); left <= 0 {
			delete(b.alone, key)
		}
	}
}

// Shut is the gate that holds a request up for longest.
type Shut struct {
	ClosedFor time.Duration // 0: all are open
	Reason    string
	Key       string          // empty: the bucket's own
	Moved     <-chan struct{} // closed when the bucket's own gate moves
}

// Shut looks at the bucket's own gate and at those of the keys, as far as this process knows of them.
func (b *Bucket) Shut(keys []string) (s Shut) {
	s.ClosedFor, s.Reason, s.Moved = b.Gate.ClosedFor()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range keys {
		g := b.alone[key]
		if g == nil {
			continue
		}
		if left, reason, _ := g.ClosedFor(); left > s.ClosedFor {
			s.ClosedFor = left
			s.Reason = reason
			s.Key = key
		}
	}
	return s
}
