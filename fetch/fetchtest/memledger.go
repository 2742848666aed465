package fetchtest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"syncer/finance"
)

// Ledger is a ledger, a once ledger and a token store in memory. It keeps the promises of those interfaces for the
// clients of one test, and every call it was told of.
type Ledger struct {
	mu      sync.Mutex
	next    map[string]time.Time // the bucket's next free slot
	until   map[string]time.Time // the gates, of buckets and of those who wait alone
	refused map[string]*refused
	refuse  func(finance.Ask) (finance.Class, string)
	asks    []finance.Ask
	refunds []finance.Ask
	calls   []finance.Call
	pauses  []finance.Pause
	intents map[int64]finance.Intent
	tokens  map[string]finance.Token
	locks   map[string]time.Time
}

// NewLedger makes an empty Ledger.
func NewLedger() *Ledger {
	return &Ledger{
		next: map[string]time.Time{}, until: map[string]time.Time{}, refused: map[string]*refused{}, intents: map[int64]finance.Intent{},
		tokens: map[string]finance.Token{}, locks: map[string]time.Time{},
	}
}

// refused is what a bucket has heard of refusals in a row.
type refused struct {
	n       int
	at      time.Time // when the last one was counted
	probing bool      // one call at a time asks
	probe   finance.CallID
	until   time.Time // when another one may take its place
}

// mostGuessed is the longest pause that is guessed.
const mostGuessed = 15 * time.Minute

// Refuse makes Admit ask f first; a class that is not empty refuses the call.
func (l *Ledger) Refuse(f func(finance.Ask) (finance.Class, string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuse = f
}

// Asks are the questions put to Admit so far.
func (l *Ledger) Asks() []finance.Ask {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.asks)
}

// Calls are the calls recorded so far, those of pauses and stored answers included.
func (l *Ledger) Calls() []finance.Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.calls)
}

// Pauses are the announcements so far.
func (l *Ledger) Pauses() []finance.Pause {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.pauses)
}

// Admit reserves the bucket's next slot.
func (l *Ledger) Admit(ctx context.Context, ask finance.Ask) (finance.Admission, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asks = append(l.asks, ask)
	if l.refuse != nil {
		if class, reason := l.refuse(ask); class != "" {
			return finance.Admission{Refusal: class, Reason: reason}, ctx.Err()
		}
	}
	now := time.Now()
	if closed := l.closed(ask, now); closed.Gate > 0 {
		return closed, ctx.Err()
	}
	probe, wait := l.probes(ask, now)
	if wait > 0 {
		return finance.Admission{Gate: wait, Reason: "paused", Awaits: true}, ctx.Err()
	}
	if ask.PerSecond == 0 {
		return finance.Admission{Probe: probe}, ctx.Err()
	}
	slot := l.next[ask.Bucket]
	if slot.Before(now) {
		slot = now
	}
	l.next[ask.Bucket] = slot.Add(time.Duration(float64(time.Second) / ask.PerSecond))
	return finance.Admission{SendIn: slot.Sub(now), Probe: probe}, ctx.Err()
}

// probes says whether a call becomes the probe of its bucket, or else how long it waits for another's.
func (l *Ledger) probes(ask finance.Ask, now time.Time) (probe bool, wait time.Duration) {
	r := l.refused[ask.Bucket]
	if r == nil || !r.probing {
		return false, 0
	}
	if r.probe == ask.Call {
		return true, 0
	}
	taken := r.until.After(now)
	tooEarly := ask.Once && now.Sub(l.until[ask.Bucket]) < time.Minute
	if taken || tooEarly || ask.Probe == 0 {
		return false, min(max(r.until.Sub(now), 10*time.Millisecond), time.Second)
	}
	r.probe = ask.Call
	r.until = now.Add(ask.Probe)
	return true, 0
}

// Look says what Admit would.
func (l *Ledger) Look(ctx context.Context, ask finance.Ask) (finance.Admission, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		if class, reason := l.refuse(ask); class != "" {
			return finance.Admission{Refusal: class, Reason: reason}, ctx.Err()
		}
	}
	now := time.Now()
	if closed := l.closed(ask, now); closed.Gate > 0 {
		return closed, ctx.Err()
	}
	ask.Probe = 0
	_, wait := l.probes(ask, now)
	return finance.Admission{Gate: wait, Awaits: wait > 0}, ctx.Err()
}

// closed is the gate of an ask that stays closed for longest.
func (l *Ledger) closed(ask finance.Ask, now time.Time) finance.Admission {
	a := finance.Admission{Gate: max(0, l.until[ask.Bucket].Sub(now))}
	for _, key := range ask.Gates {
		if d := l.until[key].Sub(now); d > a.Gate {
			a.Gate, a.Closed = d, key
		}
	}
	if a.Gate > 0 {
		a.Reason = "paused"
	}
	return a
}

// Resume opens all gates, as an operator may: one call asks.
func (l *Ledger) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for gate := range l.until {
		l.refused[gate] = &refused{probing: true}
	}
	clear(l.until)
}

// Refund keeps the ask.
func (l *Ledger) Refund(ctx context.Context, ask finance.Ask) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refunds = append(l.refunds, ask)
	return ctx.Err()
}

// Refunds are the asks whose read was given back.
func (l *Ledger) Refunds() []finance.Ask {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.refunds)
}

// Pause closes a gate, only ever for longer.
func (l *Ledger) Pause(ctx context.Context, p finance.Pause) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	gate := cmp.Or(p.Alone, p.Bucket)
	if t := now.Add(l.counted(p, gate, now)); t.After(l.until[gate]) {
		l.until[gate] = t
	}
	l.pauses = append(l.pauses, p)
	if !p.Call.ID.IsZero() {
		l.calls = append(l.calls, p.Call)
	}
	return max(0, l.until[gate].Sub(now)), ctx.Err()
}

// counted counts a refusal, and gives how long its pause is.
func (l *Ledger) counted(p finance.Pause, gate string, now time.Time) time.Duration {
	if p.Call.Class != finance.Throttled {
		return p.For
	}
	r := l.refused[gate]
	if r == nil {
		r = &refused{}
		l.refused[gate] = r
	}
	known := !now.Add(-p.Sent).After(r.at)
	switch {
	case known && p.Guessed:
		return 0
	case known:
		return p.For
	}
	pause := p.For
	if p.Guessed {
		pause = min(p.For<<min(r.n, 20), max(p.For, mostGuessed))
	}
	*r = refused{n: r.n + 1, at: now, probing: p.Guessed || r.n > 0}
	return pause
}

// Probed ends the probe of a bucket.
func (l *Ledger) Probed(ctx context.Context, bucket string, call finance.CallID, answered bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.refused[bucket]
	switch {
	case r == nil:
	case answered:
		delete(l.refused, bucket)
	case r.probe == call:
		r.probe, r.until = finance.CallID{}, time.Time{}
	}
	return ctx.Err()
}

// Record keeps calls.
func (l *Ledger) Record(ctx context.Context, calls ...finance.Call) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, calls...)
	return ctx.Err()
}

// Intend says Fresh once for a consent, and what became of the call afterwards.
func (l *Ledger) Intend(ctx context.Context, call finance.Call) (finance.Intent, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if in, ok := l.intents[call.Scope.Consent.ID]; ok {
		in.Body = slices.Clone(in.Body)
		return in, ctx.Err()
	}
	l.intents[call.Scope.Consent.ID] = finance.Intent{Call: call}
	return finance.Intent{Fresh: true, Call: call}, ctx.Err()
}

// Answered stores an answer.
func (l *Ledger) Answered(ctx context.Context, call finance.Call, body []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.intents[call.Scope.Consent.ID] = finance.Intent{Answered: true, Call: call, Body: slices.Clone(body)}
	l.calls = append(l.calls, call)
	return ctx.Err()
}

// Withdraw forgets the intent.
func (l *Ledger) Withdraw(ctx context.Context, call finance.Call) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.intents, call.Scope.Consent.ID)
	return ctx.Err()
}

// LoadToken gives the stored token.
func (l *Ledger) LoadToken(ctx context.Context, key string) (finance.Token, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.tokens[key]
	return t, ok, ctx.Err()
}

// LockToken gives the right to refresh to one asker at a time.
func (l *Ledger) LockToken(ctx context.Context, key string, d time.Duration) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.locks[key]) {
		return false, ctx.Err()
	}
	l.locks[key] = time.Now().Add(d)
	return true, ctx.Err()
}

// SaveToken stores a token and gives the right to refresh back.
func (l *Ledger) SaveToken(ctx context.Context, key string, t finance.Token) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tokens[key] = t
	delete(l.locks, key)
	return ctx.Err()
}

// DropToken forgets the token if it is still that one.
func (l *Ledger) DropToken(ctx context.Context, key, accessToken string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tokens[key].AccessToken != accessToken {
		return false, ctx.Err()
	}
	delete(l.tokens, key)
	return true, ctx.Err()
}

// TokenKeys are the keys of all tokens that are stored.
func (l *Ledger) TokenKeys() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.tokens))
}

// UnlockToken gives the right to refresh back.
func (l *Ledger) UnlockToken(ctx context.Context, key string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.locks, key)
	return ctx.Err()
}
