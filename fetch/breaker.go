package fetch

import (
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// A bucket is left alone for breakerPause once breakerTrips requests in a row have failed, however long that took: a
// provider that takes calls and never answers fails one in each deadline, and no window would hold five of those.
const (
	breakerTrips = 5
	breakerPause = 30 * time.Second
)

// verdicts for the breaker
var (
	errFailed = errors.New("failed")
	errNoWord = errors.New("says nothing of the provider's health")
)

// breaker opens after five failed requests in a row. It counts requests and not attempts: of the attempts of one
// request only the first failure counts, so that one consent that always fails can't stop the others, whose
// successes set the count back.
type breaker struct {
	two *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu     sync.Mutex
	opened bool          // since it was last asked
	moved  chan struct{} // closed and replaced when a call has ended or the state has changed
}

func newBreaker(name string) *breaker {
	b := &breaker{moved: make(chan struct{})}
	b.two = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:    name,
		Timeout: breakerPause - 100*time.Millisecond, // half-open before the gate opens, so that the gate never lies
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.ConsecutiveFailures >= breakerTrips
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errNoWord) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.opened = b.opened || to == gobreaker.StateOpen
		},
	})
	return b
}

// allow asks for permission to send. Half-open, one call at a time has it. Without permission there is a channel
// that is closed when asking again makes sense.
func (b *breaker) allow() (done func(error), retry <-chan struct{}) {
	b.mu.Lock()
	retry = b.moved // taken before asking, or the end of the probe could be missed
	b.mu.Unlock()
	if done, err := b.two.Allow(); err == nil {
		return done, nil
	}
	return nil, retry
}

// report ends a call that was allowed, and says whether the breaker has opened by it.
func (b *breaker) report(done func(error), e ending) (opened bool) {
	switch {
	case e == endWell:
		done(nil)
	case e == endFailed, e == endRepeated && b.two.State() == gobreaker.StateHalfOpen:
		done(errFailed)
	default:
		done(errNoWord)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.moved)
	b.moved = make(chan struct{})
	opened, b.opened = b.opened, false
	return opened
}
