package gate

import (
	"context"
	"sync"
	"time"
)

// Turnstile lets a bucket's calls through, for a while one at a time. What a provider says beside a good answer slows
// us down without stopping us. Each process that is told so has one of its own.
type Turnstile struct {
	mu    sync.Mutex
	until time.Time
	alone chan struct{} // has an element while somebody is inside alone
}

func newTurnstile() *Turnstile { return &Turnstile{alone: make(chan struct{}, 1)} }

// Narrow lets calls through one at a time, for d from the given moment on, and never for less long than it does already.
// It says whether that is new.
func (t *Turnstile) Narrow(from time.Time, d time.Duration) (news bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	news = time.Until(t.until) <= 0
	if until := from.Add(d); until.After(t.until) {
		t.until = until
	}
	return news
}

// narrowFor is how long it stays narrow.
func (t *Turnstile) narrowFor() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(0, time.Until(t.until))
}

// Enter waits for its turn. leave must be called when the call has ended.
func (t *Turnstile) Enter(ctx context.Context) (leave func(), err error) {
	for {
		left := t.narrowFor()
		if left <= 0 {
			return func() {}, nil
		}
		wide := time.NewTimer(left)
		select {
		case t.alone <- struct{}{}:
			wide.Stop()
			return func() { <-t.alone }, nil
		case <-wide.C:
		case <-ctx.Done():
			wide.Stop()
			return nil, ctx.Err()
		}
	}
}
