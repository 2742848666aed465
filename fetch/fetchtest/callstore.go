package fetchtest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"syncer/calls"
	"syncer/finance"
)

// CallStore is a store, a store of single-use calls and a token store in memory. It keeps the promises of those interfaces for the
// clients of one test, and every call it was told of.
type CallStore struct {
	mu      sync.Mutex
	next    map[string]time.Time // the bucket's next free slot
	until   map[string]time.Time // the gates, of buckets and of those who wait alone
	refused map[string]*refused
	days    map[string]day
	words   uint64  // of what was taken back
	rate    float64 // the lowest that another process names; 0: none
	refuse  func(calls.Ask) (finance.Class, string)
	asks    []calls.Ask
	refunds []calls.Ask
	calls   []calls.Call
	pauses  []calls.Pause
	intents map[int64]calls.Intent
	tokens  map[string]calls.Token
	locks   map[string]time.Time
}

// NewCallStore makes an empty one.
func NewCallStore() *CallStore {
	return &CallStore{
		next: map[string]time.Time{}, until: map[string]time.Time{}, refused: map[string]*refused{}, days: map[string]day{}, intents: map[int64]calls.Intent{},
		tokens: map[string]calls.Token{}, locks: map[string]time.Time{},
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

// day is what counts to a bucket's quota.
type day struct {
	ends  time.Time
	calls int
}

// mostGuessed is the longest pause that is guessed.
const mostGuessed = 15 * time.Minute

// Refuse makes Admit and Look ask f first; a class that is not empty refuses the call. From now on no
// earlier answer holds. Where the answer of f changes by itself, Holds does not know it.
func (l *CallStore) Refuse(f func(calls.Ask) (finance.Class, string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuse = f
	l.words++
}

// Lower is another process whose configuration names this rate for all connections.
func (l *CallStore) Lower(perSecond float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate = perSecond
	l.words++
}

// refuses says why a call may not be made; empty: it may.
func (l *CallStore) refuses(ask calls.Ask) (finance.Class, string) {
	if c := ask.Task.Consent; c != nil && !c.ValidUntil.IsZero() && !time.Now().Before(c.ValidUntil) {
		return finance.Refused, "consent ended: expired"
	}
	if l.refuse == nil {
		return "", ""
	}
	return l.refuse(ask)
}

// said is what an answer of now holds by. The caller holds mu.
func (l *CallStore) said(ask calls.Ask) calls.Said {
	said := calls.Said{Connection: ask.Connection, At: time.Now(), Words: l.words}
	if c := ask.Task.Consent; c != nil {
		said.Ends = c.ValidUntil
	}
	if !ask.Day.IsZero() && (said.Ends.IsZero() || ask.Day.Before(said.Ends)) {
		said.Ends = ask.Day
	}
	return said
}

// Holds knows of everything that was taken back, at once.
func (l *CallStore) Holds(_ context.Context, said calls.Said, at time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	over := !said.Ends.IsZero() && !at.Before(said.Ends)
	return !over && said.Words == l.words
}

// spacing is the time between two slots of a bucket.
func (l *CallStore) spacing(ask calls.Ask) time.Duration {
	rate := ask.PerSecond
	if l.rate > 0 && (rate == 0 || l.rate < rate) {
		rate = l.rate
	}
	if rate == 0 {
		return 0
	}
	return time.Duration(float64(time.Second) / rate)
}

// Asks are the questions put to Admit so far.
func (l *CallStore) Asks() []calls.Ask {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.asks)
}

// Calls are the calls recorded so far, those of pauses and stored answers included.
func (l *CallStore) Calls() []calls.Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.calls)
}

// Pauses are the announcements so far.
func (l *CallStore) Pauses() []calls.Pause {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.pauses)
}

// Admit reserves the bucket's next slot.
func (l *CallStore) Admit(ctx context.Context, ask calls.Ask) (calls.Admission, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asks = append(l.asks, ask)
	if class, reason := l.refuses(ask); class != "" {
		return calls.Admission{Refusal: class, Reason: reason}, ctx.Err()
	}
	now := time.Now()
	if closed := l.closed(ask, now); closed.Gate > 0 {
		return closed, ctx.Err()
	}
	if left := l.usedUp(ask, now); left > 0 {
		return calls.Admission{Gate: left, Reason: "the day's quota is used up"}, ctx.Err()
	}
	probe, wait := l.probes(ask, now)
	if wait > 0 {
		return calls.Admission{Gate: wait, Reason: "paused", Awaits: true}, ctx.Err()
	}
	ask.Day = l.count(ask, now)
	said := l.said(ask)
	spacing := l.spacing(ask)
	if spacing == 0 {
		return calls.Admission{Probe: probe, Said: said, Day: ask.Day}, ctx.Err()
	}
	slot := l.next[ask.Bucket]
	if slot.Before(now) {
		slot = now
	}
	l.next[ask.Bucket] = slot.Add(spacing)
	return calls.Admission{SendIn: slot.Sub(now), Probe: probe, Spacing: spacing, Said: said, Day: ask.Day}, ctx.Err()
}

// usedUp is for how long there is no call left for an ask that has taken none yet; 0: there is one.
func (l *CallStore) usedUp(ask calls.Ask, now time.Time) time.Duration {
	today := l.days[ask.Bucket]
	if today.ends.Equal(ask.Day) || today.calls < ask.Quota.PerDay || ask.Quota.PerDay == 0 {
		return 0
	}
	return max(0, today.ends.Sub(now))
}

// count takes a call of the day's quota, unless the ask has one already, and gives the day's end.
func (l *CallStore) count(ask calls.Ask, now time.Time) time.Time {
	if ask.Quota.PerDay == 0 {
		return time.Time{}
	}
	today := l.days[ask.Bucket]
	if !today.ends.After(now) {
		today = day{ends: ask.Quota.Next(now).Until}
	}
	if !today.ends.Equal(ask.Day) {
		today.calls++
	}
	l.days[ask.Bucket] = today
	return today.ends
}

// probes says whether a call becomes the probe of its bucket, or else how long it waits for another's.
func (l *CallStore) probes(ask calls.Ask, now time.Time) (probe bool, wait time.Duration) {
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
func (l *CallStore) Look(ctx context.Context, ask calls.Ask) (calls.Admission, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if class, reason := l.refuses(ask); class != "" {
		return calls.Admission{Refusal: class, Reason: reason}, ctx.Err()
	}
	now := time.Now()
	if closed := l.closed(ask, now); closed.Gate > 0 {
		return closed, ctx.Err()
	}
	if !ask.Day.IsZero() && !ask.Day.After(now) {
		return calls.Admission{Gate: 10 * time.Millisecond, Awaits: true}, ctx.Err()
	}
	if left := l.usedUp(ask, now); left > 0 {
		return calls.Admission{Gate: left, Reason: "the day's quota is used up"}, ctx.Err()
	}
	ask.Probe = 0
	_, wait := l.probes(ask, now)
	return calls.Admission{Gate: wait, Awaits: wait > 0, Spacing: l.spacing(ask), Said: l.said(ask)}, ctx.Err()
}

// closed is the gate of an ask that stays closed for longest.
func (l *CallStore) closed(ask calls.Ask, now time.Time) calls.Admission {
	a := calls.Admission{Gate: max(0, l.until[ask.Bucket].Sub(now))}
	for _, key := range ask.Gates {
		if d := l.until[key].Sub(now); d > a.Gate {
			a.Gate = d
			a.Closed = key
		}
	}
	if a.Gate > 0 {
		a.Reason = "paused"
	}
	return a
}

// Resume opens all gates, as an operator may: one call asks.
func (l *CallStore) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for gate := range l.until {
		l.refused[gate] = &refused{probing: true}
	}
	clear(l.until)
}

// Refund keeps the ask.
func (l *CallStore) Refund(ctx context.Context, ask calls.Ask) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refunds = append(l.refunds, ask)
	if today := l.days[ask.Bucket]; today.ends.Equal(ask.Day) && today.calls > 0 {
		today.calls--
		l.days[ask.Bucket] = today
	}
	return ctx.Err()
}

// Refunds are the asks whose read was given back.
func (l *CallStore) Refunds() []calls.Ask {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.refunds)
}

// Pause closes a gate, only ever for longer.
func (l *CallStore) Pause(ctx context.Context, p calls.Pause) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	gate := cmp.Or(p.Alone, p.Bucket)
	if t := now.Add(l.counted(p, gate, now)); t.After(l.until[gate]) {
		l.until[gate] = t
		l.words++
	}
	l.pauses = append(l.pauses, p)
	if !p.Call.ID.IsZero() {
		l.calls = append(l.calls, p.Call)
	}
	return max(0, l.until[gate].Sub(now)), ctx.Err()
}

// counted counts a refusal, and gives how long its pause is.
func (l *CallStore) counted(p calls.Pause, gate string, now time.Time) time.Duration {
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
func (l *CallStore) Probed(ctx context.Context, bucket string, call finance.CallID, answered bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.refused[bucket]
	switch {
	case r == nil:
	case answered:
		delete(l.refused, bucket)
	case r.probe == call:
		r.probe = finance.CallID{}
		r.until = time.Time{}
	}
	return ctx.Err()
}

// Record keeps calls.
func (l *CallStore) Record(ctx context.Context, calls ...calls.Call) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, calls...)
	return ctx.Err()
}

// Earlier tells of an intent that there is.
func (l *CallStore) Earlier(ctx context.Context, call calls.Call) (calls.Intent, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in, found := l.intents[call.Task.Consent.ID]
	in.Body = slices.Clone(in.Body)
	return in, found, ctx.Err()
}

// Intend says Fresh once for a consent, and what became of the call afterwards.
func (l *CallStore) Intend(ctx context.Context, call calls.Call) (calls.Intent, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if in, ok := l.intents[call.Task.Consent.ID]; ok {
		in.Body = slices.Clone(in.Body)
		return in, ctx.Err()
	}
	l.intents[call.Task.Consent.ID] = calls.Intent{Call: call}
	return calls.Intent{Fresh: true, Call: call}, ctx.Err()
}

// Answered stores an answer.
func (l *CallStore) Answered(ctx context.Context, call calls.Call, body []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.intents[call.Task.Consent.ID] = calls.Intent{Answered: true, Call: call, Body: slices.Clone(body)}
	l.calls = append(l.calls, call)
	return ctx.Err()
}

// Withdraw forgets the intent.
func (l *CallStore) Withdraw(ctx context.Context, call calls.Call) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.intents, call.Task.Consent.ID)
	return ctx.Err()
}

// LoadToken gives the stored token.
func (l *CallStore) LoadToken(ctx context.Context, key string) (calls.Token, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.tokens[key]
	return t, ok, ctx.Err()
}

// LockToken gives the right to refresh to one asker at a time.
func (l *CallStore) LockToken(ctx context.Context, key string, d time.Duration) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.locks[key]) {
		return false, ctx.Err()
	}
	l.locks[key] = time.Now().Add(d)
	return true, ctx.Err()
}

// SaveToken stores a token and gives the right to refresh back.
func (l *CallStore) SaveToken(ctx context.Context, key string, t calls.Token) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tokens[key] = t
	delete(l.locks, key)
	return ctx.Err()
}

// DropToken forgets the token if it is still that one.
func (l *CallStore) DropToken(ctx context.Context, key, accessToken string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tokens[key].AccessToken != accessToken {
		return false, ctx.Err()
	}
	delete(l.tokens, key)
	return true, ctx.Err()
}

// TokenKeys are the keys of all tokens that are stored.
func (l *CallStore) TokenKeys() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.tokens))
}

// UnlockToken gives the right to refresh back.
func (l *CallStore) UnlockToken(ctx context.Context, key string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.locks, key)
	return ctx.Err()
}
