package fetch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/google/uuid"

	"syncer/finance"
)

// manyThrottles is how often one request may be told to wait before it gives up: a provider that answers 429 with a
// second's pause for ever would otherwise hold a worker for ever.
const manyThrottles = 50

// manyUntold is the same where no time was told: such a throttle is no better than any other failed attempt.
const manyUntold = 6

// task is one request on its way through the stack, over all its attempts. It belongs to one goroutine.
type task struct {
	c        *Client
	bucket   *bucket
	purpose  finance.Purpose
	scope    finance.Scope
	method   string
	path     string // the template
	key      *TokenKey
	once     bool
	client   *http.Client
	wire     chan struct{} // nil: not counted
	timeout  time.Duration // of one attempt
	retry    Retry
	maxWait  time.Duration
	build    func(context.Context, finance.CallID) (*http.Request, error)
	classify func(*Answer) Verdict

	oneTry    bool         // the caller repeats it, later
	tried     int          // attempts that were made before, in another task
	opening   bool         // still to be paid for: the next admission spends one read of the consent's budget
	paid      bool         // admitted and not yet sent: what is asked again must not be paid again
	bought    *finance.Ask // what the read that is paid for was spent on; nil: none was
	token     finance.Token
	refreshed bool
	intended  bool
	cleared   time.Time // when the ledger last said that this attempt may be sent
	attempts  int
	throttled int
	untold    int           // throttles that announced no time
	held      time.Duration // at closed gates
	spent     time.Duration // on the wire and in back-offs
	failures  int           // attempts that failed transiently
}

// run makes attempts until one brings an answer or an error that no further attempt heals.
func (t *task) run(ctx context.Context) (*Answer, *Error) {
	defer t.refund(ctx)
	if t.tried > 0 {
		t.attempts = t.tried
		if _, err := wait(ctx, jitter(t.retry, t.tried-1), nil); err != nil {
			return nil, t.interrupted(err)
		}
	}
	var told *Error // what the last attempt that was sent came to
	for {
		answer, failed := t.attempt(ctx)
		if failed == nil {
			return answer, nil
		}
		if failed.Class == finance.Spent && told != nil && told.Class == finance.Transient {
			// What the provider has answered is the news; that we may not ask once more only says why we don't.
			told.Reason += "; not asked again: " + failed.Reason
			return nil, told
		}
		if !failed.Call.IsZero() {
			told = failed.Error
		}
		pause, again := t.again(failed)
		if again && t.oneTry && failed.Class == finance.Transient {
			failed.Again = true
			return nil, failed.Error
		}
		if !again {
			return nil, failed.Error
		}
		t.spent += pause
		if _, err := wait(ctx, pause, nil); err != nil {
			return nil, t.interrupted(err)
		}
	}
}

// failure is why an attempt failed, and whether another one is of use.
type failure struct {
	*Error
	final bool
}

// again says whether to try once more, and after which back-off. A wait at the gate is no back-off: the next attempt
// meets the gate by itself.
func (t *task) again(f *failure) (pause time.Duration, again bool) {
	if f.final {
		return 0, false
	}
	switch f.Class {
	case finance.Throttled:
		t.throttled++
		return 0, t.throttled < manyThrottles && t.untold < manyUntold && t.held+f.Wait <= t.maxWait
	case finance.TokenDenied:
		again, t.refreshed = !t.refreshed && t.key != nil, true
		return 0, again
	case finance.Transient:
		pause = jitter(t.retry, t.tried+t.failures-1)
		return pause, t.attempts < t.retry.Attempts && t.spent+pause <= t.retry.Budget
	}
	return 0, false
}

// jitter is a random part of base * 2^n, at most the cap. Full jitter spreads callers that failed together.
func jitter(r Retry, n int) time.Duration {
	d := r.Cap
	if n < 30 && r.Base<<n > 0 {
		d = min(d, r.Base<<n)
	}
	return rand.N(d + 1)
}

// attempt makes one attempt: ask and wait for permission, send, and find out what the answer means.
func (t *task) attempt(ctx context.Context) (*Answer, *failure) {
	began := time.Now()
	call := t.newCall()
	if t.once {
		answer, failed := t.intend(ctx, call)
		if answer != nil || failed != nil {
			return answer, failed
		}
	}
	leave, failed := t.pass(ctx, call)
	if failed == nil && t.once {
		if _, failed = t.intend(ctx, call); failed != nil { // withdrawn while it waited
			leave(endSilent)
		}
	}
	if failed != nil {
		return nil, t.unsent(ctx, call, failed)
	}
	t.attempts++
	call.Attempt = t.attempts
	call.Waited = time.Since(began)
	got := t.sendOrLeave(ctx, call, leave)
	t.spent += call.Duration
	if errors.Is(got.err, errGateMoved) {
		t.attempts--
		leave(endSilent)
		left, reason, _ := t.bucket.gate.left()
		return nil, t.unsent(ctx, call, &failure{Error: t.closed(left, reason)})
	}
	if errors.Is(got.err, errAged) { // nothing was sent, so there is no call to record; counted, so that it is bounded
		t.failures++
		leave(endSilent)
		return nil, t.unsent(ctx, call, &failure{Error: t.fail(finance.Transient, errAged.Error())})
	}
	if got.answer == nil && !got.left && ctx.Err() != nil { // the caller left before a connection was had: no call was made
		leave(endSilent)
		return nil, t.unsent(ctx, call, &failure{Error: t.interrupted(got.err), final: true})
	}
	if got.left {
		t.paid, t.bought = false, nil
	}
	return t.settle(ctx, call, got, leave)
}

// sendOrLeave sends. A panic in a request's builder must not keep the place on the wire: the connection's other calls
// would wait for it for ever.
func (t *task) sendOrLeave(ctx context.Context, call *finance.Call, leave func(ending) bool) reply {
	sent := false
	defer func() {
		if !sent {
			leave(endSilent)
		}
	}()
	got := t.send(ctx, call)
	sent = true
	return got
}

// refund gives back a read that was spent for a call that was never sent, because a gate closed before it or the
// caller left. If that fails the read stays spent: the budget is never exceeded.
func (t *task) refund(ctx context.Context) {
	if t.bought == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), toldWithin)
	defer cancel()
	if err := t.c.opt.Ledger.Refund(ctx, *t.bought); err != nil {
		t.c.opt.Log.Warn().Err(err).Str("path", t.path).Msg("a read that was not made could not be given back; it counts as made")
	}
}

// unsent takes a single-use intent back where nothing was sent, and passes the failure on.
func (t *task) unsent(ctx context.Context, call *finance.Call, f *failure) *failure {
	if err := t.withdraw(ctx, call); err != nil {
		return t.ledgerFailed("take the intent back", err)
	}
	return f
}

func (t *task) newCall() *finance.Call {
	return &finance.Call{
		ID: newCallID(), Connection: t.c.opt.Connection.Name, Bucket: t.bucket.name, Purpose: t.purpose,
		Scope: t.scope, Method: t.method, Path: t.path, Attempt: t.attempts + 1,
	}
}

// newCallID is a UUID of version 7. The library's only error is that of the system's random source, which since Go
// 1.24 ends the program by itself.
func newCallID() finance.CallID { return finance.CallID(uuid.Must(uuid.NewV7())) }

func (t *task) fail(class finance.Class, reason string) *Error {
	return &Error{
		Class: class, Op: t.method + " " + t.path, Connection: t.c.opt.Connection.Name, Reason: reason,
	}
}

// interrupted is for a caller that has left. What it wanted is undecided.
func (t *task) interrupted(err error) *Error {
	e := t.fail(finance.Interrupted, "the caller has left")
	e.Err = err
	return e
}

// ledgerFailed is for a ledger that could not be asked or told. The provider is not to blame, so nothing is decided.
func (t *task) ledgerFailed(what string, err error) *failure {
	e := t.fail(finance.Interrupted, "the ledger could not "+what)
	e.Err = err
	return &failure{Error: e, final: true}
}

// closed is for a bucket whose gate stays closed for longer than is waited here.
func (t *task) closed(left time.Duration, reason string) *Error {
	e := t.fail(finance.Throttled, fmt.Sprintf("bucket %s is closed", t.bucket.name))
	if reason != "" {
		e.Reason += ": " + reason
	}
	e.Wait, e.Told = left, reason
	return e
}
