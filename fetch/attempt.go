package fetch

import (
	"context"
	"time"

	"syncer/finance"
)

// attempt is one attempt at a request: what it holds on its way to the wire, and what came of it.
type attempt struct {
	*request
	call  *finance.Call
	began time.Time
	token finance.Token
	named string // what token is kept by

	// On the way to the send.
	asked   time.Time       // when the ledger was asked for a slot
	moved   <-chan struct{} // closed when our own gate has moved since then
	slot    time.Time       // when the ledger lets the call go out
	cleared time.Time       // when the ledger last said that it may
	release func()          // gives the place on the wire back; nil: none is held
	report  func(error)     // tells the breaker how the call has ended; nil: it was not asked
	probe   bool            // the bucket was refused, and the others wait for what this call hears
}

// try makes one attempt: ask and wait for permission, send, and find out what the answer means.
func (r *request) try(ctx context.Context) decision {
	a := &attempt{request: r, call: r.newCall(), began: time.Now()}
	defer a.leaveProbe(ctx)
	if r.once {
		if d := a.intend(ctx); d.move != send {
			return d
		}
	}
	if d := a.permit(ctx); d.move != send {
		return a.unsent(ctx, d)
	}
	if r.once {
		if d := a.intend(ctx); d.move != send { // withdrawn while it waited
			a.leave(endSilent)
			return a.unsent(ctx, d)
		}
	}
	r.spent.attempts++
	a.call.Attempt = r.spent.attempts
	a.call.Waited = time.Since(a.began)
	got := a.sendOrLeave(ctx)
	r.spent.time += a.call.Duration
	if d := a.halted(ctx, got); d.move != send {
		a.leave(endSilent)
		return a.unsent(ctx, d)
	}
	if got.left {
		r.read.paid, r.read.bought = false, nil
	}
	return a.settle(ctx, got)
}

// sendOrLeave sends. A panic in a request's builder must not keep the place on the wire: the connection's other calls
// would wait for it for ever.
func (a *attempt) sendOrLeave(ctx context.Context) reply {
	sent := false
	defer func() {
		if !sent {
			a.leave(endSilent)
		}
	}()
	got := a.send(ctx)
	sent = true
	return got
}

// halted decides on a send that was halted before its first byte. Nothing was sent, so there is no call to record.
func (a *attempt) halted(ctx context.Context, got reply) decision {
	switch {
	case got.halt == gateMoved:
		a.spent.attempts--
		return a.again(a.closed(a.gates()))
	case got.halt == tooOld: // counted, so that it is bounded
		a.spent.failures++
		return a.again(a.fail(finance.Transient, got.halt.String()))
	case got.answer == nil && !got.left && ctx.Err() != nil: // the caller left before a connection was had
		return failed(a.interrupted(got.err))
	}
	return onward()
}

// unsent takes a single-use intent back where nothing was sent, and passes the decision on.
func (a *attempt) unsent(ctx context.Context, d decision) decision {
	if err := a.withdraw(ctx); err != nil {
		return failed(a.ledgerFailed("take the intent back", err))
	}
	return d
}

// leave gives back what the attempt holds, and says whether the breaker has opened by how the call has ended.
func (a *attempt) leave(e ending) (opened bool) {
	if a.release != nil {
		a.release()
		a.release = nil
	}
	if a.report != nil {
		opened = a.bucket.breaker.report(a.report, e, a.onBehalf())
		a.report = nil
	}
	return opened
}
