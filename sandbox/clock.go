package sandbox

import (
	"sync/atomic"
	"time"
)

// Clock is the simulators' idea of now: the base clock and an offset that
// tests move. Token lifetimes, consent windows, quotas and "today" follow it.
// The journal does not: it measures what really happened. Neither do the Date
// header and the moments that are told beside it: a caller believes no Date
// that is far from its own clock.
type Clock struct {
	base   func() time.Time
	offset atomic.Int64
}

// NewClock returns a clock over base, or over time.Now when base is nil.
func NewClock(base func() time.Time) *Clock {
	if base == nil {
		base = time.Now
	}
	return &Clock{base: base}
}

// Now is the simulators' present.
func (c *Clock) Now() time.Time { return c.base().Add(time.Duration(c.offset.Load())) }

// Wall is when a moment of the simulators comes by the clock that nobody moves.
func (c *Clock) Wall(t time.Time) time.Time { return t.Add(-time.Duration(c.offset.Load())) }

// Advance moves the present by d, backwards too, and returns the new present.
func (c *Clock) Advance(d time.Duration) time.Time {
	c.offset.Add(int64(d))
	return c.Now()
}

// Set moves the present to t; time keeps running from there.
func (c *Clock) Set(t time.Time) { c.offset.Store(int64(t.Sub(c.base()))) }
