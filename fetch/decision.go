package fetch

import (
	"math/rand/v2"
	"time"

	"syncer/finance"
)

// move is what comes next for a request.
type move int

const (
	send     move = iota // nothing stands in the way: the next stop is taken, and behind the last one the attempt is sent
	askAgain             // something has changed meanwhile: every stop is asked once more, by the same attempt
	retry                // this attempt has failed, and another one is made after a wait
	giveUp               // no further attempt is of use
	answered             // there is an answer
)

// decision is what a stop of a request's way has decided.
type decision struct {
	move   move
	after  time.Duration // retry: how long to wait first
	err    *Error        // retry and giveUp: why
	answer *Answer       // answered
}

// onward: nothing stands in the way.
func onward() decision { return decision{move: send} }

// onceMore: something has changed while this stop was taken.
func onceMore() decision { return decision{move: askAgain} }

// failed: no further attempt is of use.
func failed(e *Error) decision { return decision{move: giveUp, err: e} }

// manyThrottles is how often one request may be told to wait before it gives up: a provider that answers 429 with a
// second's pause for ever would otherwise hold a worker for ever.
const manyThrottles = 50

// manyAlone is the same of one consent or account that is refused alone, where no time was told: its reads are spent, and
// nobody else waits to know when it may be asked for again.
const manyAlone = 4

// again decides whether an attempt that has failed is followed by another, and after which back-off. A wait at the gate
// is no back-off: the next attempt meets the gate by itself.
func (r *request) again(e *Error) decision {
	s := &r.spent
	switch e.Class {
	case finance.Throttled:
		s.throttled++
		many := manyThrottles
		if e.Alone && e.Told == ToldByNobody {
			many = manyAlone
		}
		if s.throttled < many && s.held+e.Wait <= r.limits.maxWait {
			return decision{move: retry, err: e}
		}
	case finance.TokenDenied:
		first := !s.refreshed && r.key != nil
		s.refreshed = true
		if first || r.renewed() {
			return decision{move: retry, err: e}
		}
	case finance.Fatal:
		if e.Credentials != "" && r.renewed() {
			return decision{move: retry, err: e}
		}
	case finance.Transient:
		pause := jitter(r.limits.retry, r.tried+s.failures-1)
		if s.attempts < r.limits.retry.Attempts && s.time+pause <= r.limits.retry.Budget {
			return decision{move: retry, after: pause, err: e}
		}
	}
	return failed(e)
}

// jitter is a random part of base * 2^n, at most the cap. Full jitter spreads callers that failed together.
func jitter(r Retry, n int) time.Duration {
	d := r.Cap
	if n < 30 && r.Base<<n > 0 {
		d = min(d, r.Base<<n)
	}
	return rand.N(d + 1)
}
