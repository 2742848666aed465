package fetch

import (
	"context"
	"math/rand/v2"
	"time"

	"syncer/calls"
	"syncer/finance"
)

// FlightStore counts the calls that are on their way over a connection, over all processes.
type FlightStore interface {
	// Board counts the call that is asked for, if fewer than most are on their way. It counts until Land, for d at most; that
	// of a batch no longer than its worker lives and has the batch.
	Board(ctx context.Context, ask calls.Ask, most int, d time.Duration) (bool, error)
	// Land says that the call is not on its way any more.
	Land(ctx context.Context, call finance.CallID) error
}

// How often a call asks whether it may be on its way, from the first time to the later ones.
const (
	boardsFirst = 20 * time.Millisecond
	boardsLater = 250 * time.Millisecond
)

// How long a call counts at most. What waits for its slot counts already, so that of a batch, which ends with its worker, may be
// long; any other one would count on behind a process that was killed.
const (
	flightOfBatch = 2 * time.Hour
	flightOfOther = 5 * time.Minute
)

// board waits until the call is one of those that may be on their way over all processes. It holds no slot meanwhile: one that
// is waited past is lost.
func (a *attempt) board(ctx context.Context) decision {
	most := a.c.opt.MaxInFlight
	if most == 0 || a.semaphore == nil {
		return onward()
	}
	for pause := boardsFirst; ; pause = min(2*pause, boardsLater) {
		shut := a.gates()
		if shut.ClosedFor > 0 {
			return onceMore()
		}
		boarded, err := a.c.opt.Flights.Board(ctx, a.ask(), most, a.flight())
		switch {
		case err != nil && ctx.Err() != nil:
			return failed(a.interrupted(err))
		case err != nil:
			return failed(a.storeFailed("count the calls on their way", err))
		case boarded:
			a.landsWith(ctx)
			return onward()
		}
		if d := a.until(ctx, pause/2+rand.N(pause/2), shut.Moved); d.move != send {
			return d
		}
	}
}

// flight is how long the call counts at most.
func (a *attempt) flight() time.Duration {
	if a.task.Batch != 0 {
		return flightOfBatch
	}
	return max(flightOfOther, a.limits.timeout+a.limits.maxWait)
}

// landsWith has the call end with what the attempt holds. Where the database can't be told it counts until its time is over.
func (a *attempt) landsWith(ctx context.Context) {
	others := a.release
	a.release = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), toldWithin)
		defer cancel()
		if err := a.c.opt.Flights.Land(ctx, a.call.ID); err != nil {
			a.c.opt.Log.Warn().Err(err).Str("path", a.path).Msg("a call that is over counts as one on its way for a while")
		}
		others()
	}
}
