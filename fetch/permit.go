package fetch

import (
	"cmp"
	"context"
	"time"

	"syncer/finance"
)

// permit takes an attempt through everything that may hold it back, until it may send now. The order is such that
// nothing that was checked has gone stale at the send: what takes long comes first, and what closes is looked at last.
//
// With the decision send the attempt holds a place on the wire and the breaker's permission: leave must be called when
// the call has ended.
func (a *attempt) permit(ctx context.Context) decision {
	for {
		if d := a.stops(ctx); d.move != askAgain {
			return d
		}
	}
}

// stops are taken in turn. One that decides otherwise than send ends the round.
func (a *attempt) stops(ctx context.Context) decision {
	for _, stop := range [...]func(*attempt, context.Context) decision{
		(*attempt).atGate, (*attempt).haveToken, (*attempt).pace, (*attempt).takeWire,
		(*attempt).reserve, (*attempt).reachSlot, (*attempt).clear, (*attempt).atBreaker,
	} {
		if d := stop(a, ctx); d.move != send {
			a.leave(endSilent)
			return d
		}
	}
	return onward()
}

// atGate waits until this process knows of no pause, unless that would take too long.
func (a *attempt) atGate(ctx context.Context) decision {
	for {
		shut := a.gates()
		if shut.left <= 0 {
			return onward()
		}
		if a.only(shut) && a.oneTry && shut.left > patience {
			e := a.closed(shut)
			e.Again = true // its turn comes behind the others
			return failed(e)
		}
		if a.spent.held+shut.left > a.limits.maxWait {
			if a.ended(ctx, shut) {
				continue
			}
			return failed(a.closed(shut))
		}
		// A crash during a long wait must not look like a crash after a send.
		if err := a.withdraw(ctx); err != nil {
			return failed(a.ledgerFailed("take the intent back", err))
		}
		if err := a.hold(ctx, shut.left, shut.moved); err != nil {
			return failed(a.interrupted(err))
		}
	}
}

// patience is how long a consent that is to wait alone keeps its turn.
const patience = 2 * time.Second

// hold waits, and counts it as time at a closed gate.
func (a *attempt) hold(ctx context.Context, d time.Duration, moved <-chan struct{}) error {
	since := time.Now()
	_, err := wait(ctx, d, moved)
	a.spent.held += time.Since(since)
	return err
}

// haveToken makes sure of a token that is valid now, and of the secrets of now.
func (a *attempt) haveToken(ctx context.Context) decision {
	if !a.pinned {
		a.c.rereadIfDue()
		a.of = a.c.now()
	}
	if a.key == nil {
		return onward()
	}
	wanted, e := a.c.tokens.of(a.of, *a.key)
	if e != nil {
		return failed(e)
	}
	token, e := a.c.tokens.get(ctx, wanted, a.scope)
	if e == nil {
		a.token, a.named = token, wanted.name
		return onward()
	}
	if e.Class == finance.Fatal && a.renewed() {
		return onceMore()
	}
	if e.Class != finance.Throttled || a.spent.held+e.Wait > a.limits.maxWait {
		return failed(e)
	}
	if err := a.hold(ctx, e.Wait, nil); err != nil {
		return failed(a.interrupted(err))
	}
	return a.again(e.waiting(time.Second)) // counted as one throttle, and tried again
}

// pace waits for the limiter of this process.
func (a *attempt) pace(ctx context.Context) decision {
	shut := a.gates()
	if shut.left > 0 {
		return onceMore()
	}
	slot := a.bucket.limiter.Reserve()
	d := a.until(ctx, slot.Delay(), shut.moved)
	if d.move != send {
		slot.Cancel()
	}
	return d
}

// until waits, and has everything asked again if our own gate moves meanwhile.
func (a *attempt) until(ctx context.Context, d time.Duration, moved <-chan struct{}) decision {
	passed, err := wait(ctx, d, moved)
	switch {
	case err != nil:
		return failed(a.interrupted(err))
	case !passed:
		return onceMore()
	}
	return onward()
}

// takeWire waits for the bucket's turnstile, and then for one of the connection's places on the wire: whoever waits for
// the turnstile must not keep such a place from other buckets. It comes before the reservation of a slot, since a slot
// that is waited past is lost.
func (a *attempt) takeWire(ctx context.Context) decision {
	leave, err := a.bucket.turnstile.enter(ctx)
	if err != nil {
		return failed(a.interrupted(err))
	}
	a.release = leave
	if a.wire == nil {
		return onward()
	}
	select {
	case a.wire <- struct{}{}:
		a.release = func() {
			<-a.wire
			leave()
		}
		return onward()
	case <-ctx.Done():
		return failed(a.interrupted(ctx.Err()))
	}
}

// reserve asks the ledger for a slot: whether the fence is still ours, the connection open, the consent good and the
// gate open for all processes, and when the call may go out.
func (a *attempt) reserve(ctx context.Context) decision {
	shut := a.gates()
	if shut.left > 0 {
		return onceMore()
	}
	a.moved, a.asked = shut.moved, time.Now() // the ledger may have looked at the gate at once and answered late
	ask := a.ask()
	admission, err := a.c.opt.Ledger.Admit(ctx, ask)
	now := time.Now()
	switch {
	case err != nil && ctx.Err() != nil:
		return failed(a.interrupted(err))
	case err != nil:
		return failed(a.ledgerFailed("admit the call", err))
	case admission.Refusal == finance.Fatal && a.renewed():
		return onceMore()
	case admission.Refusal != "":
		return failed(a.refused(admission))
	case admission.Gate > 0:
		return a.shutOut(ctx, admission, now)
	}
	a.probe = admission.Probe
	a.read.paid = true
	if ask.Opening {
		a.read.bought = &ask
	}
	a.slot = now.Add(admission.SendIn)
	return onward()
}

// ask is the question put to the ledger.
func (a *attempt) ask() finance.Ask {
	return finance.Ask{
		Connection: a.c.opt.Connection.Name, Credentials: a.of.print, Bucket: a.bucket.name, PerSecond: a.bucket.rate,
		Opening: a.read.opening && !a.read.paid, Scope: a.scope, Call: a.call.ID, Needs: a.needs(),
		Gates: a.keys.all(), Probe: a.limits.timeout + probeSlack, Once: a.once,
	}
}

// probeSlack is how much longer than its answer may take a call may probe: its slot and its handshake come first.
const probeSlack = 10 * time.Second

// shutOut closes our gate as the ledger's is, or waits for what another call hears, which probes. Our gate stays open
// then: the probe may be one of this process.
func (a *attempt) shutOut(ctx context.Context, found finance.Admission, now time.Time) decision {
	if !found.Awaits {
		a.closeAsFound(found, now)
		return onceMore()
	}
	a.leave(endSilent) // others, and the probe, need the place on the wire meanwhile
	if a.spent.held+found.Gate > a.limits.maxWait {
		return failed(a.closed(shut{left: found.Gate, reason: found.Reason}))
	}
	if err := a.withdraw(ctx); err != nil {
		return failed(a.ledgerFailed("take the intent back", err))
	}
	_, _, moved := a.bucket.gate.left()
	if err := a.hold(ctx, found.Gate, moved); err != nil {
		return failed(a.interrupted(err))
	}
	return onceMore()
}

// closeAsFound closes the gate of ours that the ledger holds closed.
func (a *attempt) closeAsFound(found finance.Admission, now time.Time) {
	reason := cmp.Or(found.Reason, "closed by another process")
	a.bucket.lone(found.Closed).closeAsKept(now, found.Gate, reason)
}

// needs are the scopes of which a consent must have one for its data to be asked for.
func (r *request) needs() []string {
	if r.purpose != finance.ForData {
		return nil
	}
	return r.c.opt.Driver.Scopes[r.scope.Dataset]
}

// refused is for a call that the ledger does not let through.
func (r *request) refused(a finance.Admission) *Error {
	e := r.fail(a.Refusal, a.Reason)
	e.Unasked = true
	return e
}

// reachSlot waits for the slot. Shortly before it the ledger is asked again, until an answer is fresh enough to hold at
// the slot: asked only then, every call would be late by the time that the question takes.
func (a *attempt) reachSlot(ctx context.Context) decision {
	a.cleared = a.asked
	for a.slot.Sub(a.cleared) > a.bucket.stale() {
		lead := a.bucket.stale()*3/4 + time.Duration(a.bucket.lookTook.Load())
		if d := a.until(ctx, time.Until(a.slot)-lead, a.moved); d.move != send {
			return d
		}
		if d := a.look(ctx); d.move != send {
			return d
		}
	}
	return a.until(ctx, time.Until(a.slot), a.moved)
}

// slowLook is when a look at the gate is taken again: the ledger may have looked at once and answered late.
const (
	slowLook  = 20 * time.Millisecond
	slowLooks = 3 // at most; a ledger that is far away is always slow
)

// look asks the ledger whether the call may still be sent: a slot may lie minutes ahead, and until then the consent may
// end. It notes when the ledger said so.
func (a *attempt) look(ctx context.Context) decision {
	for n := 1; ; n++ {
		asked := time.Now()
		found, err := a.c.opt.Ledger.Look(ctx, a.ask())
		now := time.Now()
		switch {
		case err != nil:
			return failed(a.ledgerFailed("tell whether the call may still be sent", err))
		case found.Refusal == finance.Fatal && a.renewed():
			return onceMore()
		case found.Refusal != "":
			return failed(a.refused(found))
		case found.Gate > 0:
			if !found.Awaits {
				a.closeAsFound(found, now)
			}
			return onceMore()
		}
		took := now.Sub(asked)
		a.bucket.lookTook.Store(int64(took))
		if took < slowLook || n == slowLooks {
			a.cleared = now
			return onward()
		}
	}
}

// clear is the last look before the send: at the secrets and the token, at the ledger if the last look is old, and at the
// slot itself. A token that was refused to another caller meanwhile is not sent: that would spend this caller's one
// refresh on what is known already.
func (a *attempt) clear(ctx context.Context) decision {
	if !a.pinned && a.of != a.c.now() {
		return onceMore()
	}
	if a.key != nil && (!usable(a.token, time.Now()) || a.c.tokens.overtaken(a.named, a.token)) {
		if d := a.haveToken(ctx); d.move != send {
			return d
		}
	}
	if time.Since(a.cleared) > a.bucket.stale() {
		if d := a.look(ctx); d.move != send {
			return d
		}
	}
	if time.Since(a.slot) > a.bucket.late() {
		return onceMore()
	}
	return onward()
}

// atBreaker has the breaker's permission, and looks at our own gate for the last time.
func (a *attempt) atBreaker(ctx context.Context) decision {
	report, retry := a.bucket.breaker.allow()
	if report == nil {
		if err := a.hold(ctx, time.Second, retry); err != nil {
			return failed(a.interrupted(err))
		}
		return onceMore()
	}
	a.report = report
	if a.gates().left > 0 {
		return onceMore() // and the breaker is told that nothing was learnt
	}
	return onward()
}
