package gate

import (
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// A bucket is left alone for BreakerPause once its provider has failed so often in a row, with no good answer in
// between, that it must be taken for down. It does not matter how long that took: a provider that takes calls and never
// answers fails one in each deadline, and no window would hold many of those.
//
// An aggregator leads to many banks. One that is down fails all its consents, which often stand together in the list,
// and says nothing of the others. So consents are counted and not requests: breakerTrips consents may fail one after
// the other before it opens. A consent that has failed before says nothing new by failing again, and neither does one that
// was answered well a moment ago. But they may not go on when nobody has been answered for breakerMoment: then
// breakerAgain consents are enough. They are enough for requests that are for no consent, too.
const (
	BreakerPause  = 30 * time.Second
	breakerTrips  = 64
	breakerAgain  = 5
	breakerMoment = time.Minute
)

// Ending is what a call that was let through tells when it ends.
type Ending int

// How a call ends for the breaker.
const (
	Well     Ending = iota // the provider answered
	Failed                 // it did not, or with a 5xx
	Repeated               // the same, and not for the first time in this request
	Silent                 // nothing can be said of the provider's health
)

// what the breaker is told
var (
	errFailed = errors.New("failed")
	errNoWord = errors.New("says nothing of the provider's health")
)

// Breaker opens when a provider fails; see breakerTrips. It counts requests and not attempts: of the attempts of one
// request only the first failure counts, so that one consent that always fails can't stop the others.
type Breaker struct {
	two *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu     sync.Mutex
	inARow int                // failures since the last good answer, of a consent only the first
	failed map[int64]struct{} // consents whose newest request failed
	well   recent             // consents that were answered well a moment ago
	good   time.Time          // the last good answer to a consent
	trips  bool               // the failure that is being reported opens the breaker
	opened bool               // since it was last asked
	moved  chan struct{}      // closed and replaced when a call has ended or the state has changed
}

func newBreaker(name string) *Breaker {
	b := &Breaker{moved: make(chan struct{}), failed: map[int64]struct{}{}}
	b.two = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:    name,
		Timeout: BreakerPause - 100*time.Millisecond, // half-open before the gate opens, so that the gate never lies
		ReadyToTrip: func(gobreaker.Counts) bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.trips
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

// Allow asks for permission to send. Half-open, one call at a time has it. Without permission there is a channel
// that is closed when asking again makes sense.
func (b *Breaker) Allow() (done func(error), retry <-chan struct{}) {
	b.mu.Lock()
	retry = b.moved // taken before asking, or the end of the probe could be missed
	b.mu.Unlock()
	if done, err := b.two.Allow(); err == nil {
		return done, nil
	}
	return nil, retry
}

// Report ends a call that was allowed, and says whether the breaker has opened by it. The call was for a consent, or
// for none, which is 0.
func (b *Breaker) Report(done func(error), e Ending, consent int64) (opened bool) {
	b.count(e, consent)
	switch {
	case e == Well:
		done(nil)
	case e == Failed, e == Repeated && b.two.State() == gobreaker.StateHalfOpen:
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

// count notes how a call for a consent ended.
func (b *Breaker) count(e Ending, consent int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	switch e {
	case Well:
		b.inARow = 0
		b.trips = false
		if consent != 0 { // that a feed is answered says nothing of the data
			b.good = now
			delete(b.failed, consent)
			b.well.add(consent, now)
		}
	case Failed:
		_, again := b.failed[consent]
		known := consent != 0 && (again || b.well.has(consent, now))
		if !known {
			b.inARow++
		}
		switch {
		case consent == 0:
			b.trips = b.inARow >= breakerAgain
			return
		case known:
			b.trips = b.inARow >= breakerAgain && now.Sub(b.good) >= breakerMoment
		default:
			b.trips = b.inARow >= breakerTrips
		}
		b.failed[consent] = struct{}{}
	}
}

// recent remembers consents for breakerMoment, and for at most as long again.
type recent struct {
	began       time.Time
	now, before map[int64]struct{}
}

func (r *recent) add(consent int64, at time.Time) {
	r.turn(at)
	r.now[consent] = struct{}{}
}

func (r *recent) has(consent int64, at time.Time) bool {
	r.turn(at)
	_, now := r.now[consent]
	_, before := r.before[consent]
	return now || before
}

// turn forgets what is too old.
func (r *recent) turn(at time.Time) {
	if r.now != nil && at.Sub(r.began) < breakerMoment {
		return
	}
	r.before = r.now
	if at.Sub(r.began) >= 2*breakerMoment {
		r.before = nil
	}
	r.began = at
	r.now = map[int64]struct{}{}
}
