package fetch

import (
	"cmp"
	"context"
	"time"

	"syncer/finance"
)

// ending is what a call that was let through tells when it ends.
type ending int

const (
	endWell     ending = iota // the provider answered
	endFailed                 // it did not, or with a 5xx
	endRepeated               // the same, and not for the first time in this task
	endSilent                 // nothing can be said of the provider's health
)

// pass takes a task through everything that may hold it back, until it may send now. The order is such that nothing
// that was checked has gone stale at the send: what takes long comes first, and what closes is looked at last.
//
// The function it gives must be called when the call has ended; it says whether the breaker has opened.
func (t *task) pass(ctx context.Context, call *finance.Call) (leave func(ending) bool, failed *failure) {
	for {
		if failed := t.atGate(ctx, call); failed != nil {
			return nil, failed
		}
		if failed := t.haveToken(ctx); failed != nil {
			return nil, failed
		}
		if open, failed := t.pace(ctx); failed != nil || !open {
			if failed != nil {
				return nil, failed
			}
			continue
		}
		release, failed := t.takeWire(ctx)
		if failed != nil {
			return nil, failed
		}
		leave, failed := t.reserve(ctx, call)
		if leave == nil {
			release()
			if failed != nil {
				return nil, failed
			}
			continue
		}
		return func(e ending) bool { release(); return leave(e) }, nil
	}
}

// atGate waits until this process knows of no pause, unless that would take too long.
func (t *task) atGate(ctx context.Context, call *finance.Call) *failure {
	for {
		left, reason, moved := t.bucket.gate.left()
		if left <= 0 {
			return nil
		}
		if t.held+left > t.maxWait {
			return &failure{Error: t.closed(left, reason), final: true}
		}
		// A crash during a long wait must not look like a crash after a send.
		if err := t.withdraw(ctx, call); err != nil {
			return t.ledgerFailed("take the intent back", err)
		}
		since := time.Now()
		_, err := wait(ctx, left, moved)
		t.held += time.Since(since)
		if err != nil {
			return &failure{Error: t.interrupted(err), final: true}
		}
	}
}

// haveToken makes sure of a token that is valid now.
func (t *task) haveToken(ctx context.Context) *failure {
	if t.key == nil {
		return nil
	}
	token, e := t.c.tokens.get(ctx, *t.key, t.scope)
	if e == nil {
		t.token = token
		return nil
	}
	if e.Class != finance.Throttled || t.held+e.Wait > t.maxWait {
		return &failure{Error: e, final: true}
	}
	since := time.Now()
	_, err := wait(ctx, e.Wait, nil)
	t.held += time.Since(since)
	if err != nil {
		return &failure{Error: t.interrupted(err), final: true}
	}
	return &failure{Error: e.again(time.Second)} // counted as one throttle, and tried again
}

// pace waits for the limiter of this process. open is false if the gate has moved meanwhile.
func (t *task) pace(ctx context.Context) (open bool, failed *failure) {
	left, _, moved := t.bucket.gate.left()
	if left > 0 {
		return false, nil
	}
	slot := t.bucket.limiter.Reserve()
	open, err := wait(ctx, slot.Delay(), moved)
	if err != nil {
		slot.Cancel()
		return false, &failure{Error: t.interrupted(err), final: true}
	}
	if !open {
		slot.Cancel()
	}
	return open, nil
}

// takeWire waits for one of the connection's places on the wire. It comes before the reservation of a slot, since a
// slot that is waited past is lost.
func (t *task) takeWire(ctx context.Context) (release func(), failed *failure) {
	if t.wire == nil {
		return func() {}, nil
	}
	select {
	case t.wire <- struct{}{}:
		return func() { <-t.wire }, nil
	case <-ctx.Done():
		return nil, &failure{Error: t.interrupted(ctx.Err()), final: true}
	}
}

// reserve asks the ledger for a slot and waits for it. With neither leave nor failed the slot is lost or there was
// none, and everything is to be asked again.
func (t *task) reserve(ctx context.Context, call *finance.Call) (leave func(ending) bool, failed *failure) {
	left, _, moved := t.bucket.gate.left()
	if left > 0 {
		return nil, nil
	}
	asked := time.Now() // the ledger may have looked at the gate at once and answered late
	ask := t.ask(call)
	admission, err := t.c.opt.Ledger.Admit(ctx, ask)
	now := time.Now()
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, &failure{Error: t.interrupted(err), final: true}
	case err != nil:
		return nil, t.ledgerFailed("admit the call", err)
	case admission.Refusal != "":
		return nil, t.refused(admission)
	case admission.Gate > 0:
		t.bucket.gate.close(now, admission.Gate, admission.Reason)
		return nil, nil
	}
	if t.paid = true; ask.Opening {
		t.bought = &ask
	}
	slot := now.Add(admission.SendIn)
	looked, failed := t.lookAhead(ctx, call, slot, asked, moved)
	if failed != nil || looked.IsZero() {
		return nil, failed
	}
	if open, err := wait(ctx, time.Until(slot), moved); err != nil {
		return nil, &failure{Error: t.interrupted(err), final: true}
	} else if !open {
		return nil, nil
	}
	return t.clear(ctx, call, slot, looked)
}

// ask is the question put to the ledger.
func (t *task) ask(call *finance.Call) finance.Ask {
	return finance.Ask{
		Connection: t.c.opt.Connection.Name, Bucket: t.bucket.name, PerSecond: t.bucket.rate,
		Opening: t.opening && !t.paid, Scope: t.scope, Call: call.ID, Needs: t.needs(),
	}
}

// needs are the scopes of which a consent must have one for its data to be asked for.
func (t *task) needs() []string {
	if t.purpose != finance.ForData {
		return nil
	}
	return t.c.opt.Driver.Scopes[t.scope.Dataset]
}

// refused is for a call that the ledger does not let through.
func (t *task) refused(a finance.Admission) *failure {
	e := t.fail(a.Refusal, a.Reason)
	e.Unasked = true
	return &failure{Error: e, final: true}
}

// lookAhead asks the ledger again shortly before the slot, until an answer is fresh enough to hold at the slot: asked
// only then, every call would be late by the time that the question takes. It gives the time of the last look, which is
// looked if the slot is so near; none if the gate has closed.
func (t *task) lookAhead(ctx context.Context, call *finance.Call, slot, looked time.Time, moved <-chan struct{}) (time.Time, *failure) {
	for slot.Sub(looked) > t.bucket.stale() {
		lead := t.bucket.stale()*3/4 + time.Duration(t.bucket.lookTook.Load())
		if open, err := wait(ctx, time.Until(slot)-lead, moved); err != nil {
			return time.Time{}, &failure{Error: t.interrupted(err), final: true}
		} else if !open {
			return time.Time{}, nil
		}
		var failed *failure
		if looked, failed = t.look(ctx, call); failed != nil || looked.IsZero() {
			return looked, failed
		}
	}
	return looked, nil
}

// slowLook is when a look at the gate is taken again: the ledger may have looked at once and answered late.
const (
	slowLook  = 20 * time.Millisecond
	slowLooks = 3 // at most; a ledger that is far away is always slow
)

// look asks the ledger whether the call may still be sent: a slot may lie minutes ahead, and until then the consent may
// end. It gives the time of the answer; none if the gate is closed.
func (t *task) look(ctx context.Context, call *finance.Call) (time.Time, *failure) {
	for n := 1; ; n++ {
		asked := time.Now()
		found, err := t.c.opt.Ledger.Look(ctx, t.ask(call))
		now := time.Now()
		switch {
		case err != nil:
			return now, t.ledgerFailed("tell whether the call may still be sent", err)
		case found.Refusal != "":
			return now, t.refused(found)
		case found.Gate > 0:
			t.bucket.gate.close(now, found.Gate, cmp.Or(found.Reason, "closed by another process"))
			return time.Time{}, nil
		}
		took := now.Sub(asked)
		t.bucket.lookTook.Store(int64(took))
		if took < slowLook || n == slowLooks {
			return now, nil
		}
	}
}

// clear is the last look before the send: at the ledger if the last look is old, at the token, at the slot
// itself, at the breaker, and at our own gate.
func (t *task) clear(ctx context.Context, call *finance.Call, slot, looked time.Time) (leave func(ending) bool, failed *failure) {
	if t.key != nil && !usable(t.token, time.Now()) {
		if failed := t.haveToken(ctx); failed != nil {
			return nil, failed
		}
	}
	if time.Since(looked) > t.bucket.stale() {
		if looked, failed = t.look(ctx, call); failed != nil || looked.IsZero() {
			return nil, failed
		}
	}
	t.cleared = looked
	if time.Since(slot) > t.bucket.late() {
		return nil, nil
	}
	done, retry := t.bucket.breaker.allow()
	if done == nil {
		since := time.Now()
		_, err := wait(ctx, time.Second, retry)
		t.held += time.Since(since)
		if err != nil {
			return nil, &failure{Error: t.interrupted(err), final: true}
		}
		return nil, nil
	}
	if left, _, _ := t.bucket.gate.left(); left > 0 {
		t.bucket.breaker.report(done, endSilent, t.onBehalf())
		return nil, nil
	}
	return func(e ending) bool { return t.bucket.breaker.report(done, e, t.onBehalf()) }, nil
}

// onBehalf is the consent that the request is for; 0: it is for none.
func (t *task) onBehalf() int64 {
	if t.scope.Consent == nil {
		return 0
	}
	return t.scope.Consent.ID
}
