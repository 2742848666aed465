package fetch

import (
	"cmp"
	"context"
	"time"

	"syncer/calls"
	"syncer/fetch/gate"
	"syncer/finance"
)

// permit takes an attempt through everything that may hold it back, until it may send now. The order is such that
// nothing that was checked has gone stale at the send: what takes long comes first, and what closes is looked at last.
//
// With the decision send the attempt holds the semaphore and the breaker's permission: leave must be called when
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
		(*attempt).atGate, (*attempt).room, (*attempt).haveToken, (*attempt).pace, (*attempt).takeSemaphore,
		(*attempt).board, (*attempt).reserve, (*attempt).reachSlot, (*attempt).clear, (*attempt).atBreaker,
	} {
		if d := stop(a, ctx); d.move != send {
			a.leave(gate.Silent)
			return d
		}
	}
	return onward()
}

// atGate waits until this process knows of no pause, unless that would take too long.
func (a *attempt) atGate(ctx context.Context) decision {
	for {
		shut := a.gates()
		if shut.ClosedFor <= 0 {
			return onward()
		}
		itsTurnIsOver := a.oneTry && shut.ClosedFor > patience
		if itsTurnIsOver && a.only(shut) {
			e := a.closed(shut)
			e.Again = true // its turn comes behind the others
			return failed(e)
		}
		if a.spent.held+shut.ClosedFor > a.limits.maxWait {
			if a.ended(ctx, shut) {
				continue
			}
			return failed(a.closed(shut))
		}
		if err := a.hold(ctx, shut.ClosedFor, shut.Moved); err != nil {
			return failed(a.interrupted(err))
		}
	}
}

// patience is how long a consent that is to wait alone keeps its turn.
const patience = 2 * time.Second

// hold waits, and counts it as time at a closed gate.
func (a *attempt) hold(ctx context.Context, d time.Duration, moved <-chan struct{}) error {
	since := time.Now()
	_, err := gate.Wait(ctx, d, moved)
	a.spent.held += time.Since(since)
	return err
}

// room waits until the process has memory for an answer. It comes before everything that is promised by others: the token's
// time, our turn, the slot.
func (a *attempt) room(ctx context.Context) decision {
	if err := a.c.opt.Memory.room(ctx); err != nil {
		return failed(a.interrupted(err))
	}
	return onward()
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
	token, e := a.c.tokens.get(ctx, wanted, a.task)
	if e == nil {
		a.token = token
		a.named = wanted.name
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
	if shut.ClosedFor > 0 {
		return onceMore()
	}
	slot := a.bucket.Limiter.Reserve()
	d := a.until(ctx, slot.Delay(), shut.Moved)
	if d.move != send {
		slot.Cancel()
	}
	return d
}

// until waits, and has everything asked again if our own gate moves meanwhile.
func (a *attempt) until(ctx context.Context, d time.Duration, moved <-chan struct{}) decision {
	passed, err := gate.Wait(ctx, d, moved)
	switch {
	case err != nil:
		return failed(a.interrupted(err))
	case !passed:
		return onceMore()
	}
	return onward()
}

// takeSemaphore waits for the bucket's turnstile, and then for the semaphore that bounds the connection's concurrent
// calls: whoever waits for the turnstile must not keep it from other buckets. It comes before the reservation of a slot,
// since a slot that is waited past is lost.
func (a *attempt) takeSemaphore(ctx context.Context) decision {
	leave, err := a.bucket.Turnstile.Enter(ctx)
	if err != nil {
		return failed(a.interrupted(err))
	}
	a.release = leave
	if a.semaphore == nil {
		return onward()
	}
	select {
	case a.semaphore <- struct{}{}:
		a.release = func() {
			<-a.semaphore
			leave()
		}
		return onward()
	case <-ctx.Done():
		return failed(a.interrupted(ctx.Err()))
	}
}

// reserve asks the store for a slot: whether the fence is still ours, the connection open, the consent good and the
// gate open for all processes, and when the call may go out.
func (a *attempt) reserve(ctx context.Context) decision {
	shut := a.gates()
	if shut.ClosedFor > 0 {
		return onceMore()
	}
	a.moved = shut.Moved
	ask := a.ask()
	admission, err := a.c.opt.Calls.Admit(ctx, ask)
	now := time.Now()
	switch {
	case err != nil && ctx.Err() != nil:
		return failed(a.interrupted(err))
	case err != nil:
		return failed(a.storeFailed("admit the call", err))
	case admission.Refusal == finance.Fatal && a.renewed():
		return onceMore()
	case admission.Refusal != "":
		return failed(a.refused(admission))
	case admission.Gate > 0:
		return a.shutOut(ctx, admission, now)
	}
	a.probe = admission.Probe
	a.day = admission.Day
	a.read.paid = true
	if ask.Opening {
		a.read.bought = &ask
	}
	a.slot = now.Add(admission.SendIn)
	a.spacing = admission.Spacing
	a.said = admission.Said
	return onward()
}

// ask is the question put to the store.
func (a *attempt) ask() calls.Ask {
	return calls.Ask{
		Connection: a.c.opt.Connection.Name, Credentials: a.of.print, Bucket: a.bucket.Name, PerSecond: a.bucket.Rate,
		Quota: a.bucket.Quota, Day: a.day,
		Opening: a.read.opening && !a.read.paid, Task: a.task, Call: a.call.ID, Needs: a.needs(),
		Gates: a.keys.all(), Probe: a.limits.timeout + probeSlack, Once: a.once,
	}
}

// probeSlack is how much longer than its answer may take a call may probe: its slot and its handshake come first.
const probeSlack = 10 * time.Second

// shutOut closes our gate as the store's is, or waits for what another call hears, which probes. Our gate stays open
// then: the probe may be one of this process.
func (a *attempt) shutOut(ctx context.Context, found calls.Admission, now time.Time) decision {
	if !found.Awaits {
		a.closeAsFound(found, now)
		return onceMore()
	}
	a.leave(gate.Silent) // others, and the probe, need the semaphore meanwhile
	if a.spent.held+found.Gate > a.limits.maxWait {
		return failed(a.closed(gate.Shut{ClosedFor: found.Gate, Reason: found.Reason}))
	}
	_, _, moved := a.bucket.Gate.ClosedFor()
	if err := a.hold(ctx, found.Gate, moved); err != nil {
		return failed(a.interrupted(err))
	}
	return onceMore()
}

// closeAsFound closes the gate of ours that the store holds closed.
func (a *attempt) closeAsFound(found calls.Admission, now time.Time) {
	reason := cmp.Or(found.Reason, "closed by another process")
	a.bucket.Lone(found.Closed).CloseAsKept(now, found.Gate, reason)
}

// needs are the scopes of which a consent must have one for its data to be asked for.
func (r *request) needs() []string {
	if r.purpose != calls.ForData {
		return nil
	}
	return r.c.opt.Driver.Scopes[r.task.Dataset]
}

// refused is for a call that the store does not let through.
func (r *request) refused(a calls.Admission) *Error {
	e := r.fail(a.Refusal, a.Reason)
	e.Unasked = true
	return e
}

// ahead is how long before its slot the permission of a call is made certain. What that may take would make
// the call late.
const ahead = 20 * time.Millisecond

// reachSlot waits for the slot. Shortly before it, it makes certain that the call may still be sent then.
func (a *attempt) reachSlot(ctx context.Context) decision {
	if d := a.until(ctx, time.Until(a.slot)-ahead, a.moved); d.move != send {
		return d
	}
	if d := a.lastLook(ctx, a.slot); d.move != send {
		return d
	}
	return a.until(ctx, time.Until(a.slot), a.moved)
}

// mostLooks is how often in a row the store is asked whether a call may still be sent. One that answers
// late, or has to take back every time what it said before, is asked for another slot instead.
const mostLooks = 3

// lastLook makes certain that the call may be sent at a moment, now or soon. What the store has said holds
// as long as no process is known to have taken it back; where that is not certain, or something was taken
// back, the store is asked.
func (a *attempt) lastLook(ctx context.Context, at time.Time) decision {
	for range mostLooks {
		now := time.Now()
		if at.Before(now) {
			at = now
		}
		if a.c.opt.Calls.Holds(ctx, a.said, at) {
			return onward()
		}
		if d := a.look(ctx); d.move != send {
			return d
		}
	}
	return onceMore()
}

// look asks the store whether the call may still be sent: the consent may have ended, a gate been closed,
// the connection been parked, or the rate been lowered, and then the slot is too early.
func (a *attempt) look(ctx context.Context) decision {
	found, err := a.c.opt.Calls.Look(ctx, a.ask())
	now := time.Now()
	switch {
	case err != nil:
		return failed(a.storeFailed("tell whether the call may still be sent", err))
	case found.Refusal == finance.Fatal && a.renewed():
		return onceMore()
	case found.Refusal != "":
		return failed(a.refused(found))
	case found.Gate > 0:
		if !found.Awaits {
			a.closeAsFound(found, now)
		}
		return onceMore()
	case found.Spacing > a.spacing:
		return onceMore()
	}
	a.said = found.Said
	return onward()
}

// late is how far behind its slot a call may still be sent. One that is later forfeits the slot, because a frozen
// process would otherwise wake up and send all its waiters at once.
//
// A second is the most, with or without a rate: what the store said of the fence and the consent ages too.
func late(spacing time.Duration) time.Duration {
	if spacing <= 0 {
		return time.Second
	}
	return min(time.Second, max(spacing*3/8, 5*time.Millisecond))
}

// clear looks at the secrets, the token, the store's word and the slot once more before the send. A token
// that was refused to another caller meanwhile is not sent: that would spend this caller's one refresh on
// what is known already.
func (a *attempt) clear(ctx context.Context) decision {
	if !a.pinned && a.of != a.c.now() {
		return onceMore()
	}
	if a.key != nil && a.tokenIsStale() {
		if d := a.haveToken(ctx); d.move != send {
			return d
		}
	}
	if d := a.lastLook(ctx, time.Now()); d.move != send {
		return d
	}
	if time.Since(a.slot) > late(a.spacing) {
		return onceMore()
	}
	return onward()
}

// tokenIsStale says that the token in hand has ended, or was refused to another caller meanwhile.
func (a *attempt) tokenIsStale() bool {
	return !usable(a.token, time.Now()) || a.c.tokens.overtaken(a.named, a.token)
}

// atBreaker has the breaker's permission, and looks at our own gate for the last time.
func (a *attempt) atBreaker(ctx context.Context) decision {
	report, retry := a.bucket.Breaker.Allow()
	if report == nil {
		if err := a.hold(ctx, time.Second, retry); err != nil {
			return failed(a.interrupted(err))
		}
		return onceMore()
	}
	a.report = report
	if a.gates().ClosedFor > 0 {
		return onceMore() // and the breaker is told that nothing was learnt
	}
	return onward()
}
