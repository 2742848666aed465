package admit

import (
	"sync"
	"time"
)

// transit knows how long answers of the database are on their way, so that a slot is where the database put it and not
// where the answer happened to arrive: behind a slow commit or on a busy machine it arrives tens of milliseconds late,
// and such a shift of one call puts one too many into some window of the provider's.
//
// The clocks of the two machines need not agree. What counts is by how much an answer was slower than the quickest of
// late, and that no answer was on its way for longer than its question took.
type transit struct {
	mu       sync.Mutex
	quickest [2]time.Duration // of this and of the last period, by both clocks together
	since    time.Time        // when this period began
}

// transitPeriod is how long the quickest answer is remembered, once or twice: clocks drift apart, and are set.
const transitPeriod = 10 * time.Second

// delay is by how much the answer to a question was slower than need be. moment is when the database answered, by its
// own clock.
func (t *transit) delay(moment, began, ended time.Time) time.Duration {
	took := ended.Sub(moment)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch age := ended.Sub(t.since); {
	case age > 2*transitPeriod: // nothing to compare with: taken for as slow as can be
		t.quickest = [2]time.Duration{took, took}
		t.since = ended
		return ended.Sub(began)
	case age > transitPeriod:
		t.quickest = [2]time.Duration{took, t.quickest[0]}
		t.since = ended
	}
	t.quickest[0] = min(t.quickest[0], took)
	return min(took-min(t.quickest[0], t.quickest[1]), ended.Sub(began))
}
