package fetch

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"syncer/calls"
	"syncer/fetch/gate"
	"syncer/finance"
)

// request is one request on its way through the stack, over all its attempts: what is wanted, how much may be spent on
// it, and what was. It belongs to one goroutine. docs/design.md tells its way stop by stop.
type request struct {
	c         *Client
	bucket    *gate.Bucket
	keys      keys // of the gates beside the bucket's
	purpose   calls.Purpose
	task      calls.Task
	method    string
	path      string    // the template
	key       *TokenKey // nil: no token is sent
	of        *opened   // the secrets that the latest attempt is made with
	pinned    bool      // they stay as they are: what is sent was made of them
	once      bool
	oneTry    bool // the caller repeats it, later
	tried     int  // attempts that were made before, in another request
	client    *http.Client
	semaphore chan struct{} // nil: not counted
	limits    limits
	// build makes what is sent, for each attempt anew.
	build func(context.Context, finance.CallID) (*http.Request, error)
	// classify is the provider's word on an answer.
	classify func(*Answer) Meaning

	read     read
	day      time.Time // of whose quota one call was taken that is not made yet; zero: of none
	intended bool      // the intent of a single-use call is written down
	spent    spent
}

// limits are what may be spent on a request.
type limits struct {
	timeout time.Duration // of one attempt
	maxWait time.Duration // at closed gates
	retry   Retry
}

// spent is what its attempts have cost.
type spent struct {
	attempts  int
	failures  int           // attempts that failed transiently
	late      int           // attempts that came too late to be sent
	throttled int           // attempts that were told to wait
	refreshed bool          // a token was refused, and the call may not be repeated for that any more
	overtaken bool          // one that another process had replaced was, which costs nothing once
	rereads   int           // attempts made again with other secrets, because the old ones were refused
	held      time.Duration // at closed gates
	time      time.Duration // on the wire and in back-offs
}

// read is the state of the consent's daily budget, of which an opening request spends a read.
type read struct {
	opening bool
	paid    bool       // admitted and not yet sent: what is asked again must not be paid again
	bought  *calls.Ask // what the read that is paid for was spent on; nil: none was
}

// run makes attempts until one brings an answer or an error that no further attempt heals.
func (r *request) run(ctx context.Context) (*Answer, *Error) {
	defer r.refund(ctx)
	if r.tried > 0 {
		r.spent.attempts = r.tried
		if _, err := gate.Wait(ctx, jitter(r.limits.retry, r.tried-1), nil); err != nil {
			return nil, r.interrupted(err)
		}
	}
	var told *Error // what the last attempt that was sent came to
	for {
		d := r.try(ctx)
		switch d.move {
		case answered:
			return d.answer, nil
		case giveUp:
			return nil, r.inView(d.err, told)
		}
		if r.oneTry && d.err.Class == finance.Transient {
			d.err.Again = true
			return nil, d.err
		}
		if !d.err.Call.IsZero() {
			told = d.err
		}
		r.spent.time += d.after
		if _, err := gate.Wait(ctx, d.after, nil); err != nil {
			return nil, r.interrupted(err)
		}
	}
}

// inView is why there is no answer, in view of what the last attempt that was sent came to: what the provider has answered is
// the news; that we may not ask once more only says why we don't.
func (r *request) inView(e, told *Error) *Error {
	if e.Class != finance.Spent || told == nil || told.Class != finance.Transient {
		return e
	}
	told.Reason += "; not asked again: " + e.Reason
	return told
}

// onBehalf is the consent that the request is for; 0: it is for none.
func (r *request) onBehalf() int64 {
	if r.task.Consent == nil {
		return 0
	}
	return r.task.Consent.ID
}

// refund gives back what was spent for a call that was never sent, because a gate closed before it or the caller
// left: a read of the consent, and a call of the day's quota. If that fails it stays spent: no budget is ever
// exceeded.
func (r *request) refund(ctx context.Context) {
	back := calls.Ask{Bucket: r.bucket.Name}
	if r.read.bought != nil {
		back = *r.read.bought
	}
	back.Day = r.day
	if !back.Opening && back.Day.IsZero() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), toldWithin)
	defer cancel()
	if err := r.c.opt.Calls.Refund(ctx, back); err != nil {
		r.c.opt.Log.Warn().Err(err).Str("path", r.path).
			Msg("a call that was not made could not be given back; it counts as made")
	}
}

func (r *request) newCall() *calls.Call {
	return &calls.Call{
		ID: newCallID(), Connection: r.c.opt.Connection.Name, Bucket: r.bucket.Name, Purpose: r.purpose,
		Task: r.task, Method: r.method, Path: r.path, Attempt: r.spent.attempts + 1,
	}
}

// newCallID is a UUID of version 7. The library's only error is that of the system's random source, which since Go
// 1.24 ends the program by itself.
func newCallID() finance.CallID { return finance.CallID(uuid.Must(uuid.NewV7())) }

// fail is an error about this request.
func (r *request) fail(class finance.Class, reason string) *Error {
	return &Error{
		Class: class, Op: r.method + " " + r.path, Connection: r.c.opt.Connection.Name, Reason: reason, Purpose: r.purpose,
	}
}

// mostRereads bounds how often one request is made again with other secrets.
const mostRereads = 3

// renewed says whether there are other secrets than those that were refused just now: then all is asked again with them.
func (r *request) renewed() bool {
	if r.pinned || r.spent.rereads == mostRereads || !r.c.changed(r.of) {
		return false
	}
	r.spent.rereads++
	return true
}

// interrupted is for a caller that has left. What it wanted is undecided.
func (r *request) interrupted(err error) *Error {
	e := r.fail(finance.Interrupted, "the caller has left")
	e.Err = err
	return e
}

// storeFailed is for a store that could not be asked or told. The provider is not to blame, so nothing is decided.
func (r *request) storeFailed(what string, err error) *Error {
	e := r.fail(finance.Interrupted, "the database could not "+what)
	e.Err = err
	return e.unopened()
}

// closed is for a gate that stays closed for longer than is waited here.
func (r *request) closed(s gate.Shut) *Error {
	e := r.fail(finance.Throttled, fmt.Sprintf("bucket %s is closed", r.bucket.Name))
	if e.Alone = r.only(s); e.Alone {
		e.Reason = notBefore(s.ClosedFor)
	}
	if s.Reason != "" {
		e.Reason += ": " + s.Reason
	}
	e.Bucket = r.bucket.Name
	e.Wait = s.ClosedFor
	e.Told = toldOf(s.Reason)
	return e
}

// toldOf is a pause's reason without the cause behind it, which the breaker's has.
func toldOf(reason string) string {
	told, _, _ := strings.Cut(reason, ": ")
	return told
}
