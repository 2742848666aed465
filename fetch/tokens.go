package fetch

import (
	"context"
	"math/rand/v2"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"syncer/calls"
	"syncer/fetch/gate"
	"syncer/finance"
)

const (
	tokenTimeout = 30 * time.Second       // one request to an authorization server takes no longer, whatever Options say
	tokenWaits   = 10 * time.Second       // at closed gates under the lock; a longer pause is waited out without it
	tokenRetries = 15 * time.Second       // in failed attempts and back-offs
	tokenStores  = 5 * time.Second        // with the store
	lockMargin   = 5 * time.Second        // the lock outlasts the refresh by so much, and whoever waits for it the lock
	pollEvery    = 200 * time.Millisecond // looking for the token that another process fetches
	failedFor    = time.Second            // the first failure is remembered for this long, doubling
	failedMost   = 30 * time.Second
)

// authTimeout bounds one request to the authorization server.
func (c *Client) authTimeout() time.Duration { return min(c.opt.Timeout, tokenTimeout) }

// refreshLimit is what one refresh may take in all, once it is our turn.
func (c *Client) refreshLimit() time.Duration {
	return c.authTimeout() + tokenWaits + tokenRetries + tokenStores
}

// tokens keeps the access tokens of one connection: one refresh at a time in this process and, through the store, in
// all of them; replaced ahead of their end; and a failure is remembered for a moment, so that 64 callers without a
// token don't make 64 token calls in a row.
type tokens struct {
	c       *Client
	flights singleflight.Group

	mu      sync.Mutex
	kept    map[string]*keptToken // by the token's name
	sweepAt int                   // so many are kept before the useless are forgotten
}

type keptToken struct {
	token    calls.Token
	refused  string    // the last access token that the provider refused: the store may still give it for a moment
	barren   int       // refusals in a row that counted, since one was answered well
	served   time.Time // when the newest call was sent that was answered well with this token; zero: none was
	spared   bool      // a repetition was refused with it, and it was left to the others
	alone    bool      // a refusal was shown to be meant for its consent, with this token or one before
	doubts   int       // refusals in a row, of a token that others are answered with
	proven   time.Time // when it was got, or answered well last
	failed   *Error    // why the last refresh failed; nil after a success
	until    time.Time // the failure is remembered
	opens    time.Time // the gate that the refresh has met; not before until
	failures int
}

// wantedToken is a token that somebody wants: what for, with which secrets, and what it is kept by.
type wantedToken struct {
	key  TokenKey
	of   *opened
	name string // of the token, in this process and in the store
	lock string // of the right to refresh
}

// of names a token by all that it belongs to: the client, its secret, its scopes, the address that gives it and the origin
// that it is sent to. So another configuration has other tokens, and two that run side by side keep their own.
//
// The right to refresh a consent's token is the consent's alone: its refresh token is one, whoever sends it, and two
// refreshes at once would be its reuse. A renewed consent has another token, but the right is one still: whoever has not
// heard of the renewal yet would send the same refresh token.
func (s *tokens) of(o *opened, key TokenKey) (w wantedToken, failed *Error) {
	w.key = key
	w.of = o
	if key.Consent != 0 {
		if o.authorize == nil {
			return w, s.fail(finance.Fatal, "the connection keeps no grants of consents")
		}
		w.lock = s.name("", TokenKey{Consent: key.Consent, Audience: key.Audience, Scope: key.Scope})
		w.name = s.name(o.grantPrint, key)
		return w, nil
	}
	fingerprint, err := s.printOf(o, key)
	if err != nil {
		e := s.fail(finance.Fatal, "the connection has no way to ask for this token")
		e.Err = err
		return w, e
	}
	w.name = s.name(fingerprint, key)
	w.lock = w.name
	return w, nil
}

// printOf is the fingerprint of a token of the connection's own. It is wanted before every call, so it is computed once.
func (s *tokens) printOf(o *opened, key TokenKey) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if known, ok := o.tokenPrints[key]; ok {
		return known, nil
	}
	ask, err := o.token(key)
	if err != nil {
		return "", err
	}
	o.tokenPrints[key] = s.c.tokenPrint(&ask)
	return o.tokenPrints[key], nil
}

// name is what the store knows a token by: its parts stand on lines of their own.
func (s *tokens) name(fingerprint string, key TokenKey) string {
	parts := []string{s.c.opt.Connection.Name}
	if fingerprint != "" {
		parts = append(parts, fingerprint)
	}
	parts = append(parts, key.Audience, key.Scope)
	if key.Renewals != 0 {
		parts = append(parts, "renewal "+strconv.Itoa(key.Renewals))
	}
	if key.Consent != 0 {
		parts = append(parts, "consent "+strconv.FormatInt(key.Consent, 10))
	}
	return strings.Join(parts, "\n")
}

// usable says whether a token may still be sent. A token that lives for less than a second or two has no second to
// spare, but is good until it should be replaced.
func usable(t calls.Token, now time.Time) bool {
	if t.AccessToken == "" {
		return false
	}
	return now.Before(t.RefreshAt) || now.Add(time.Second).Before(t.Expiry)
}

// fresh says that a token need not be replaced yet.
func fresh(t calls.Token, now time.Time) bool {
	return t.AccessToken != "" && now.Before(t.RefreshAt)
}

// get gives a token that is valid now. A token near its end is given out while it is replaced in the background; the
// caller may leave while somebody else fetches.
//
// scope is on whose behalf: a token of a consent's own grant is not asked for once the consent has ended.
func (s *tokens) get(ctx context.Context, w wantedToken, task calls.Task) (calls.Token, *Error) {
	now := time.Now()
	token, failed := s.look(w.name, now)
	if fresh(token, now) || failed != nil && usable(token, now) {
		return token, nil
	}
	if failed != nil {
		return calls.Token{}, failed
	}
	flight := s.flights.DoChan(w.name, func() (got any, _ error) {
		defer func() { // in a goroutine of the flight's own, where a panic of the connector's would end the process
			if recover() != nil {
				s.c.opt.Log.Error().Bytes("stack", debug.Stack()).Msg("the request for a token panicked: report it with this stack")
				got = keptToken{failed: s.fail(finance.Malformed, "the request for a token panicked, see the log for its stack")}
			}
		}()
		return s.refresh(ctx, w, task), nil
	})
	if usable(token, now) {
		return token, nil
	}
	select {
	case <-ctx.Done():
		e := s.fail(finance.Interrupted, "the caller has left while a token was fetched")
		e.Err = ctx.Err()
		return calls.Token{}, e
	case r := <-flight:
		k := r.Val.(keptToken)
		if k.failed == nil && s.refused(w.name, k.token) { // while the flight was on its way
			return s.get(ctx, w, task)
		}
		return k.token, k.failed
	}
}

// refused says that a token is the one that the provider has refused.
func (s *tokens) refused(name string, t calls.Token) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kept[name]
	if k == nil || k.refused == "" {
		return false
	}
	return k.refused == t.AccessToken
}

// overtaken says that a token which a caller has in hand was refused to another caller, or is no longer the one that is
// kept. What it says costs nothing, so it is asked right before the send.
func (s *tokens) overtaken(name string, t calls.Token) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kept[name]
	if k == nil {
		return false
	}
	return k.isOld(t.AccessToken)
}

// look gives what is kept: a token, good or not, and the failure that is still remembered.
func (s *tokens) look(name string, now time.Time) (calls.Token, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kept[name]
	if k == nil {
		return calls.Token{}, nil
	}
	token := k.token
	if token.AccessToken == k.refused { // also while a failure is remembered: it would be refused again
		token = calls.Token{}
	}
	if k.failed != nil && now.Before(k.until) {
		return token, k.failed.waiting(k.opens.Sub(now))
	}
	return token, nil
}

// waiting is a copy for one more caller, who may wait for less long than the first one.
func (e *Error) waiting(left time.Duration) *Error {
	c := *e
	if c.Wait > 0 {
		c.Wait = left
	}
	return &c
}

// refresh runs once at a time for a token. It outlives the caller that began it, since others wait for it too.
func (s *tokens) refresh(ctx context.Context, w wantedToken, task calls.Task) keptToken {
	now := time.Now()
	token, failed := s.look(w.name, now)
	if failed != nil || fresh(token, now) { // a flight that ended between our look and this one
		return keptToken{token: token, failed: failed}
	}
	token, failed = s.renew(context.WithoutCancel(ctx), w, task)
	if failed.isFatal() && !failed.Unasked {
		failed.Credentials = w.of.print
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kept[w.name]
	if k == nil {
		s.sweep(time.Now())
		k = &keptToken{}
		s.kept[w.name] = k
	}
	if failed == nil {
		*k = keptToken{token: token, refused: k.refused, barren: k.barren, alone: k.alone,
			proven: time.Now()}
		return *k
	}
	if failed.Unasked { // nothing to remember: a connection that was parked may be open again at any moment
		return keptToken{failed: failed}
	}
	k.failed = failed
	// A closed gate is asked about again before it opens: an operator may end a pause of days.
	remembered := max(failed.Wait, failedFor<<min(k.failures, 10))
	k.until = time.Now().Add(min(remembered, failedMost))
	k.opens = time.Now().Add(max(failed.Wait, min(remembered, failedMost)))
	k.failures++
	return keptToken{failed: failed}
}

// sweep forgets what is of no use once there is much of it: each consent with a grant of its own has a token. The
// caller holds mu.
func (s *tokens) sweep(now time.Time) {
	if len(s.kept) < s.sweepAt {
		return
	}
	for name, k := range s.kept {
		if !usable(k.token, now) && !now.Before(k.until) {
			delete(s.kept, name)
		}
	}
	s.sweepAt = max(1024, 2*len(s.kept))
}

// ask asks the provider for a token, for the connection or by a consent's grant.
func (s *tokens) ask(ctx context.Context, w wantedToken, task calls.Task) (t calls.Token, failed *Error) {
	if w.key.Consent != 0 {
		t, failed = s.regrant(ctx, w, calls.Task{Run: task.Run, Consent: task.Consent})
	} else {
		t, failed = s.exchange(ctx, w, calls.Task{Run: task.Run})
	}
	if failed == nil {
		s.believe(w.name, t.AccessToken)
	}
	return t, failed
}

// renew gets a new token: from the store if another process has one, from the provider if nobody else is at it.
func (s *tokens) renew(ctx context.Context, w wantedToken, task calls.Task) (calls.Token, *Error) {
	store := s.c.opt.Tokens
	if store == nil {
		ctx, cancel := context.WithTimeout(ctx, s.c.refreshLimit())
		defer cancel()
		return s.ask(ctx, w, task)
	}
	lock := s.c.refreshLimit() + lockMargin
	// A holder that was killed leaves its lock to its end, so whoever waits must have more patience than that.
	patient, cancel := context.WithTimeout(ctx, lock+lockMargin)
	defer cancel()
	for {
		token, ok, err := store.LoadToken(patient, w.name)
		if err != nil {
			return calls.Token{}, s.notOurTurn(patient, "load", err)
		}
		if ok && s.isGood(w.name, token) {
			return token, nil
		}
		mine, err := store.LockToken(patient, w.lock, lock)
		if err != nil {
			return calls.Token{}, s.notOurTurn(patient, "lock", err)
		}
		if mine {
			return s.renewLocked(ctx, store, w, task)
		}
		if _, err := gate.Wait(patient, pollEvery+rand.N(pollEvery/4), nil); err != nil {
			return calls.Token{}, s.notOurTurn(patient, "lock", err)
		}
	}
}

// notOurTurn is for a store that can't be asked, or a lock that can't be had for too long. The latter is of class
// throttled, because it says nothing of what waits for the token: that is tried again, or parked.
func (s *tokens) notOurTurn(patient context.Context, what string, err error) *Error {
	if patient.Err() == nil {
		return s.storeFailed(what, err)
	}
	e := s.fail(finance.Throttled, "another process has been fetching the token for too long")
	e.Wait = lockMargin
	e.Told = "token"
	return e
}

// renewLocked holds the right to refresh, and has from now on the time that a refresh takes. It looks into the store
// again, because the winner before it may have saved its token between our look and our lock.
func (s *tokens) renewLocked(ctx context.Context, store TokenStore, w wantedToken, task calls.Task) (calls.Token, *Error) {
	ctx, cancel := context.WithTimeout(ctx, s.c.refreshLimit())
	defer cancel()
	token, ok, err := store.LoadToken(ctx, w.name)
	found := err == nil && ok
	if found && s.isGood(w.name, token) {
		return token, s.unlock(ctx, store, w.lock)
	}
	token, failed := s.ask(ctx, w, task)
	if failed != nil {
		_ = s.unlock(ctx, store, w.lock) // the exchange's failure is the one to tell; the lock ends by itself
		return calls.Token{}, failed
	}
	if err := store.SaveToken(ctx, w.name, token); err != nil {
		return calls.Token{}, s.storeFailed("save", err)
	}
	if w.lock == w.name { // which the save has given back
		return token, nil
	}
	return token, s.unlock(ctx, store, w.lock)
}

// isGood says that a token of the store is to be sent: it is not about to end, and was not refused.
func (s *tokens) isGood(name string, t calls.Token) bool {
	return fresh(t, time.Now()) && !s.refused(name, t)
}

func (s *tokens) unlock(ctx context.Context, store TokenStore, lock string) *Error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), toldWithin)
	defer cancel()
	if err := store.UnlockToken(ctx, lock); err != nil {
		return s.storeFailed("unlock", err)
	}
	return nil
}

// believe forgets that a token was refused, because the provider has just given it again.
func (s *tokens) believe(name, accessToken string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.kept[name]; k != nil && k.refused == accessToken {
		k.refused = ""
	}
}

func (s *tokens) fail(class finance.Class, reason string) *Error {
	return &Error{
		Class: class, Op: "get a token", Connection: s.c.opt.Connection.Name, Reason: reason, Purpose: calls.ForToken,
	}
}

func (s *tokens) storeFailed(what string, err error) *Error {
	e := s.fail(finance.Interrupted, "the token store could not "+what+" the token")
	e.Err = err
	return e.unopened()
}

// lifespan turns a lifetime into the moments of a token that was asked for at the given moment. It is replaced 60
// seconds or a tenth of its life early, whichever is more, but never more than a fifth early, or a short token would
// be replaced before every call; and a little later by chance, so that processes don't all refresh at once.
func lifespan(t calls.Token, asked time.Time, lifetime time.Duration) calls.Token {
	early := min(max(time.Minute, lifetime/10), lifetime/5)
	t.Expiry = asked.Add(lifetime)
	t.RefreshAt = t.Expiry.Add(-early + rand.N(early/4+1))
	t.AccessToken = strings.TrimSpace(t.AccessToken)
	return t
}
