package sandbox

import (
	"math"
	"sync"
	"time"
)

// Quota is what a provider allows each bucket. The zero Quota allows all.
type Quota struct {
	// Rate refills a token bucket with so many calls a second, Burst is its
	// size (at least 1).
	Rate  float64 `json:"rate,omitempty"`
	Burst int     `json:"burst,omitempty"`
	// Calls allows so many calls a Period instead. The period slides, or, when
	// Fixed, begins with the first call and is refilled at once when it ends.
	Calls  int           `json:"calls,omitempty"`
	Period time.Duration `json:"period_ns,omitempty"`
	Fixed  bool          `json:"fixed,omitempty"`
}

// Decision is a limiter's answer.
type Decision struct {
	Limited   bool // a quota is in force
	Allowed   bool
	Remaining int           // calls left, only for a quota of Calls
	Reset     time.Time     // when calls come back
	Wait      time.Duration // for a refused call: whole seconds, rounded up
}

// Limiter is the provider's own quota, counted for each bucket by itself.
// Refused calls are not counted.
type Limiter struct {
	mu      sync.Mutex
	clock   *Clock
	quota   Quota
	buckets map[string]*usage
}

type usage struct {
	tokens float64
	at     time.Time   // token bucket: last refill; fixed period: its begin
	calls  []time.Time // sliding period
	count  int         // fixed period
}

// NewLimiter returns a limiter that counts by clock.
func NewLimiter(clock *Clock, q Quota) *Limiter {
	return &Limiter{clock: clock, quota: q, buckets: make(map[string]*usage)}
}

// Set replaces the quota and forgets what was used; Quota{} turns it off.
func (l *Limiter) Set(q Quota) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.quota = q
	l.buckets = make(map[string]*usage)
}

// Take counts a call against the bucket's quota and says whether it may pass.
func (l *Limiter) Take(bucket string) Decision {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.quota
	if q.Rate <= 0 && q.Calls <= 0 {
		return Decision{Allowed: true}
	}
	now := l.clock.Now()
	u := l.buckets[bucket]
	if u == nil {
		u = &usage{tokens: float64(max(q.Burst, 1)), at: now}
		l.buckets[bucket] = u
	}
	var d Decision
	switch {
	case q.Rate > 0:
		d = u.takeToken(q, now)
	case q.Fixed:
		d = u.takeFixed(q, now)
	default:
		d = u.takeSliding(q, now)
	}
	d.Limited = true
	if !d.Allowed {
		d.Wait = time.Duration(math.Ceil(d.Reset.Sub(now).Seconds())) * time.Second
		d.Wait = max(d.Wait, time.Second)
	}
	return d
}

func (u *usage) takeToken(q Quota, now time.Time) Decision {
	u.tokens = min(float64(max(q.Burst, 1)), u.tokens+max(0, now.Sub(u.at).Seconds())*q.Rate)
	u.at = now
	if u.tokens >= 1 {
		u.tokens--
		return Decision{Allowed: true, Remaining: int(u.tokens), Reset: now}
	}
	missing := (1 - u.tokens) / q.Rate
	return Decision{Reset: now.Add(time.Duration(missing * float64(time.Second)))}
}

func (u *usage) takeFixed(q Quota, now time.Time) Decision {
	if now.Sub(u.at) >= q.Period {
		u.at = now
		u.count = 0
	}
	d := Decision{Reset: u.at.Add(q.Period)}
	if u.count < q.Calls {
		u.count++
		d.Allowed = true
		d.Remaining = q.Calls - u.count
	}
	return d
}

func (u *usage) takeSliding(q Quota, now time.Time) Decision {
	gone := 0
	for gone < len(u.calls) && now.Sub(u.calls[gone]) >= q.Period {
		gone++
	}
	u.calls = u.calls[gone:]
	if len(u.calls) < q.Calls {
		u.calls = append(u.calls, now)
		return Decision{Allowed: true, Remaining: q.Calls - len(u.calls), Reset: u.calls[0].Add(q.Period)}
	}
	return Decision{Reset: u.calls[0].Add(q.Period)}
}
