package fetch

import (
	"context"
	"time"

	"syncer/calls"
	"syncer/fetch/gate"
	"syncer/fetch/wire"
	"syncer/finance"
)

// attempt is one attempt at a request: what it holds on its way to the wire, and what came of it.
type attempt struct {
	*request
	call  *calls.Call
	began time.Time
	token calls.Token
	named string // what token is kept by

	// On the way to the send.
	moved   <-chan struct{} // closed when our own gate has moved since the store was asked for a slot
	slot    time.Time       // when the store lets the call go out
	spacing time.Duration   // the time between slots that it was reserved at
	said    calls.Said      // by when the store last said that it may
	release func()          // gives the semaphore back; nil: none is held
	report  func(error)     // tells the breaker how the call has ended; nil: it was not asked
	memory  *held           // what its answer takes of the process's memory
	probe   bool            // the bucket was refused, and the others wait for what this call hears
	barred  decision        // why the call may not be sent, as was found with a connection in hand
}

// try makes one attempt: ask and wait for permission, send, and find out what the answer means.
func (r *request) try(ctx context.Context) decision {
	a := &attempt{request: r, call: r.newCall(), began: time.Now(), memory: r.c.opt.Memory.hold()}
	defer a.leaveProbe(ctx)
	if r.once {
		if d := a.earlier(ctx); d.move != send {
			return d
		}
	}
	if d := a.permit(ctx); d.move != send {
		return d
	}
	r.spent.attempts++
	a.call.Attempt = r.spent.attempts
	a.call.Waited = time.Since(a.began)
	got := a.sendOrLeave(ctx)
	r.spent.time += a.call.Duration
	if d := a.halted(ctx, got); d.move != send {
		a.memory.release()
		a.leave(gate.Silent)
		return a.unsent(ctx, d)
	}
	if got.maybeSent {
		r.read.paid = false
		r.read.bought = nil
		r.day = time.Time{}
	}
	d := a.conclude(ctx, got)
	if d.move != answered {
		a.memory.release()
	}
	return d
}

// sendOrLeave sends. A panic in a request's builder must not keep the semaphore: the connection's other calls
// would wait for it for ever.
func (a *attempt) sendOrLeave(ctx context.Context) reply {
	sent := false
	defer func() {
		if !sent {
			a.memory.release()
			a.leave(gate.Silent)
		}
	}()
	got := a.send(ctx)
	sent = true
	return got
}

// halted decides on a send that was halted before its first byte. Nothing was sent, so there is no call to record.
func (a *attempt) halted(ctx context.Context, got reply) decision {
	switch {
	case got.halt == wire.NotIntended, got.halt == wire.Refused:
		a.spent.attempts--
		return a.barred
	case got.halt == wire.GateMoved:
		a.spent.attempts--
		return a.again(a.closed(a.gates()))
	case got.halt == wire.TooOld:
		return a.tooLate(a.fail(finance.Transient, got.halt.String()))
	case got.answer == nil && !got.maybeSent && ctx.Err() != nil: // the caller left before a connection was had
		return failed(a.interrupted(got.err))
	}
	return onward()
}

// mostLate is how often a request may come too late for its own permission. A machine, or a database, that is
// short of time does so a few times in a row.
const mostLate = 20

// tooLate decides on a send whose permission was too old when it came to its first byte. The provider was not
// asked, so this is no attempt at it: a slow night must not fail what a provider would have answered.
func (a *attempt) tooLate(e *Error) decision {
	a.spent.attempts--
	a.spent.late++
	if a.spent.late >= mostLate {
		return failed(e)
	}
	return decision{move: retry, after: jitter(a.limits.retry, a.spent.late-1), err: e}
}

// unsent takes a single-use intent back where nothing was sent, and passes the decision on.
func (a *attempt) unsent(ctx context.Context, d decision) decision {
	if err := a.withdraw(ctx); err != nil {
		return failed(a.storeFailed("take the intent back", err))
	}
	return d
}

// leave gives back what the attempt holds, and says whether the breaker has opened by how the call has ended.
func (a *attempt) leave(e gate.Ending) (opened bool) {
	if a.release != nil {
		a.release()
		a.release = nil
	}
	if a.report != nil {
		opened = a.bucket.Breaker.Report(a.report, e, a.onBehalf())
		a.report = nil
	}
	return opened
}
