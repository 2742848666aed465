package fetch_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// broken is a store that can't be asked: its admissions fail, or its looks from one on.
type broken struct {
	*fetchtest.CallStore
	admits bool // it can admit
	looks  int  // so many of its looks are answered

	mu     sync.Mutex
	asked  int
	looked bool
}

var errAway = errors.New("the database is away")

func (b *broken) Admit(ctx context.Context, ask calls.Ask) (calls.Admission, error) {
	if !b.admits {
		return calls.Admission{}, errAway
	}
	return b.CallStore.Admit(ctx, ask)
}

func (b *broken) Look(ctx context.Context, ask calls.Ask) (calls.Admission, error) {
	b.mu.Lock()
	b.asked++
	b.looked = true
	away := b.asked > b.looks
	b.mu.Unlock()
	if away {
		return calls.Admission{}, errAway
	}
	return b.CallStore.Look(ctx, ask)
}

// Holds believes nothing but what was asked just now, whatever the answer was.
func (b *broken) Holds(context.Context, calls.Said, time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	holds := b.looked
	b.looked = false
	return holds
}

// What the store could not be asked about is not sent: no call, none for a token, none of a single-use consent, whichever
// of the questions fails.
func TestNothingIsSentThatTheStoreWasNotAskedAbout(t *testing.T) {
	requests := map[string]fetch.Request{"a call": opens("x"), "a single-use call": single()}
	for _, withTokens := range []bool{false, true} {
		for name, request := range requests {
			for _, store := range []*broken{{}, {looks: 100}, {admits: true}, {admits: true, looks: 1}, {admits: true, looks: 2}} {
				synctest.Test(t, func(t *testing.T) {
					p := &provider{handler: answers(answer(200, `{"access_token": "t-123456", "token_type": "bearer", "expires_in": 3600}`))}
					store := &broken{CallStore: fetchtest.NewCallStore(), admits: store.admits, looks: store.looks}
					o, stop := piped(t, p, store.CallStore)
					defer stop()
					o.Calls = store
					if withTokens {
						withToken(&o)
					}
					_, err := client(t, o).Do(t.Context(), request)
					if e := wantClass(t, err, finance.Interrupted); !errors.Is(e, errAway) {
						t.Errorf("%s: the error does not say why: %v", name, e)
					}
					if n := len(p.journal()); n != 0 {
						t.Errorf("%s, with a token %v, of a store that admits %v and answers %d looks: %d calls arrived",
							name, withTokens, store.admits, store.looks, n)
					}
				})
			}
		}
	}
}

// ages is a store whose word is too old at the first byte of so many sends, as on a machine that is short of
// time.
type ages struct {
	*fetchtest.CallStore
	sends atomic.Int32
	holds atomic.Int32 // asked since the last send was given up
}

func (a *ages) Holds(ctx context.Context, said calls.Said, at time.Time) bool {
	const (
		inPermit = 2 // before a connection is in hand
		looks    = 3 // in a row, with one
	)
	if a.sends.Load() == 0 {
		return a.CallStore.Holds(ctx, said, at)
	}
	n := a.holds.Add(1)
	if n == inPermit+looks {
		a.holds.Store(0)
		a.sends.Add(-1)
	}
	return n <= inPermit
}

// A send that comes too late for its own permission has asked nothing of the provider: it is no attempt at it,
// and has a bound of its own.
func TestALateSendIsNoAttempt(t *testing.T) {
	for late, wantCalls := range map[int]int{10: 1, 1000: 0} {
		synctest.Test(t, func(t *testing.T) {
			p := &provider{handler: answers(answer(200, "{}"))}
			store := &ages{CallStore: fetchtest.NewCallStore()}
			store.sends.Store(int32(late))
			o, stop := piped(t, p, store.CallStore)
			defer stop()
			o.Calls = store
			o.Retry.Attempts = 2
			_, err := client(t, o).Do(t.Context(), get("x"))
			if wantCalls > 0 && err != nil {
				t.Errorf("after %d late sends: %v", late, err)
			}
			if wantCalls == 0 {
				wantClass(t, err, finance.Transient)
			}
			if n := len(p.journal()); n != wantCalls {
				t.Errorf("after %d late sends %d calls arrived, want %d", late, n, wantCalls)
			}
		})
	}
}

// However many callers there are, no more calls are on the wire than the connection's concurrency says, those that are
// repeated included; and so many there are.
func TestNoMoreCallsThanTheConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers, most = 30, 3
		var mu sync.Mutex
		var now, peak int
		p := &provider{handler: func(n int, w http.ResponseWriter, _ *http.Request) {
			mu.Lock()
			now++
			peak = max(peak, now)
			mu.Unlock()
			<-time.After(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			if n%5 == 0 { // these come back
				w.WriteHeader(http.StatusInternalServerError)
			}
		}}
		o, stop := piped(t, p, fetchtest.NewCallStore())
		defer stop()
		o.Concurrency = most
		c := client(t, o)
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				if _, err := c.Do(t.Context(), get("x")); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if peak != most {
			t.Errorf("%d calls were on the wire at once, want %d", peak, most)
		}
	})
}
