package fetch

import (
	"context"
	"time"
)

// allowance is the time that an attempt has. What it waits for in this process is not counted.
type allowance struct {
	left   time.Duration
	since  time.Time
	timer  *time.Timer
	cancel context.CancelCauseFunc
	ctx    context.Context
	spent  time.Duration // on waits that are not counted
}

// withAllowance gives a context that ends when the time is over, with context.DeadlineExceeded as its cause.
func withAllowance(ctx context.Context, d time.Duration) (context.Context, *allowance) {
	ctx, cancel := context.WithCancelCause(ctx)
	a := &allowance{left: d, since: time.Now(), cancel: cancel, ctx: ctx}
	a.timer = time.AfterFunc(d, func() { cancel(context.DeadlineExceeded) })
	return ctx, a
}

// end ends the context.
func (a *allowance) end() {
	a.timer.Stop()
	a.cancel(nil)
}

// over says whether the context has ended because the time is over.
func (a *allowance) over() bool { return context.Cause(a.ctx) == context.DeadlineExceeded }

// apart does what is not counted.
func (a *allowance) apart(f func() error) error {
	if !a.timer.Stop() {
		return f() // the time is over already
	}
	began := time.Now()
	a.left -= began.Sub(a.since)
	err := f()
	a.since = time.Now()
	a.spent += a.since.Sub(began)
	a.timer.Reset(a.left)
	return err
}
