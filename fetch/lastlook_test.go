package fetch_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// counting is a store that counts its looks, and may hear nothing of what other processes take back: then
// only what was asked just now holds.
type counting struct {
	*fetchtest.CallStore
	deaf  bool
	takes func(n int) time.Duration // of the n-th look

	mu    sync.Mutex
	looks int
}

func (c *counting) Look(ctx context.Context, ask calls.Ask) (calls.Admission, error) {
	c.mu.Lock()
	c.looks++
	n := c.looks
	c.mu.Unlock()
	if c.takes != nil {
		<-time.After(c.takes(n))
	}
	return c.CallStore.Look(ctx, ask)
}

func (c *counting) Holds(ctx context.Context, said calls.Said, at time.Time) bool {
	const fresh = 50 * time.Millisecond
	return c.CallStore.Holds(ctx, said, at) && (!c.deaf || at.Sub(said.At) <= fresh)
}

// slotAhead makes a client whose next slot lies ten seconds ahead, and gives when it was taken.
func slotAhead(t *testing.T, o fetch.Options) (*fetch.Client, time.Time) {
	t.Helper()
	if _, err := client(t, o).Do(t.Context(), get("x")); err != nil { // another process' call
		t.Fatal(err)
	}
	return client(t, o), time.Now()
}

// A call that waits for its slot asks no second time while it is known that nothing was taken back; where
// that is not known it asks once, ahead of its slot, and is not late.
func TestACallAsksAgainOnlyWhereTheNewsAreNotKnown(t *testing.T) {
	for name, tt := range map[string]struct {
		deaf  bool
		looks int
	}{"news are heard": {false, 0}, "no news are heard": {true, 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, l := &provider{handler: answers(answer(200, ""))}, fetchtest.NewCallStore()
				o, stop := piped(t, p, l)
				defer stop()
				took := func(int) time.Duration { return 15 * time.Millisecond }
				seen := &counting{CallStore: l, deaf: tt.deaf, takes: took}
				o.Rate, o.Calls = 0.1, seen
				c, began := slotAhead(t, o)
				if _, err := c.Do(t.Context(), get("x")); err != nil {
					t.Fatal(err)
				}
				if seen.looks != tt.looks || len(l.Asks()) != 2 {
					t.Errorf("%d looks and %d slots for two calls, want %d and 2", seen.looks, len(l.Asks()), tt.looks)
				}
				if d := p.journal()[1].at.Sub(began); d != 10*time.Second {
					t.Errorf("sent after %s, want the slot after 10s", d)
				}
			})
		})
	}
}

// What is taken back while a call waits for its slot holds it up, whether it was heard or has to be asked
// for.
func TestWhatIsTakenBackHoldsUpACallThatWaits(t *testing.T) {
	announced := calls.Pause{Bucket: "bank@http://api.example", For: time.Minute}
	for name, tt := range map[string]struct {
		takeBack func(*fetchtest.CallStore)
		until    time.Duration // the consent's end
		class    finance.Class // empty: it is sent
		sent     time.Duration
	}{
		"a pause": {takeBack: func(l *fetchtest.CallStore) {
			_, _ = l.Pause(context.Background(), announced)
		}, sent: 65 * time.Second},
		"the consent": {takeBack: func(l *fetchtest.CallStore) {
			l.Refuse(func(calls.Ask) (finance.Class, string) { return finance.Refused, "consent ended: revoked" })
		}, class: finance.Refused},
		"the id of the consent": {takeBack: func(l *fetchtest.CallStore) {
			l.Refuse(func(calls.Ask) (finance.Class, string) { return finance.Renewed, "consent renewed" })
		}, class: finance.Renewed},
		"the connection": {takeBack: func(l *fetchtest.CallStore) {
			l.Refuse(func(calls.Ask) (finance.Class, string) { return finance.Fatal, "connection bank is parked" })
		}, class: finance.Fatal},
		"the batch": {takeBack: func(l *fetchtest.CallStore) {
			l.Refuse(func(calls.Ask) (finance.Class, string) { return finance.Fenced, "taken over" })
		}, class: finance.Fenced},
		"its slot, by a lower rate": {takeBack: func(l *fetchtest.CallStore) {
			l.Lower(0.05)
		}, sent: 20 * time.Second},
		"nothing, by a higher rate": {takeBack: func(l *fetchtest.CallStore) {
			l.Lower(5)
		}, sent: 10 * time.Second},
		"the consent, by its end":       {until: 7 * time.Second, class: finance.Refused},
		"nothing, by an end behind it":  {until: 11 * time.Second, sent: 10 * time.Second},
		"the consent, just at its slot": {until: 10 * time.Second, class: finance.Refused},
	} {
		for _, deaf := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p, l := &provider{handler: answers(answer(200, ""))}, fetchtest.NewCallStore()
					o, stop := piped(t, p, l)
					defer stop()
					o.Rate, o.Calls = 0.1, &counting{CallStore: l, deaf: deaf}
					c, began := slotAhead(t, o)
					r := opens("x")
					if tt.until > 0 {
						r.Task.Consent.ValidUntil = began.Add(tt.until)
					}
					var others sync.WaitGroup
					if tt.takeBack != nil {
						others.Go(func() { <-time.After(5 * time.Second); tt.takeBack(l) })
					}
					_, err := c.Do(t.Context(), r)
					others.Wait()
					if tt.class != "" {
						wantClass(t, err, tt.class)
						if n := len(p.journal()); n != 1 {
							t.Errorf("%d calls were sent, the second one although it was not allowed any more", n)
						}
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					if d := p.journal()[1].at.Sub(began); d != tt.sent {
						t.Errorf("sent after %s, want %s", d, tt.sent)
					}
				})
			})
		}
	}
}

// The last look is behind the handshake: what another process has committed in the meantime holds up the
// call.
func TestWhatIsTakenBackDuringAHandshakeHoldsUpTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: answers(answer(200, ""))}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		dial, dials := o.Dial, 0
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if dials++; dials == 1 {
				<-time.After(60 * time.Millisecond)
				_, _ = l.Pause(ctx, calls.Pause{Bucket: "bank@http://api.example", For: 30 * time.Second})
			}
			return dial(ctx, network, address)
		}
		began := time.Now()
		if _, err := client(t, o).Do(t.Context(), get("x")); err != nil {
			t.Fatal(err)
		}
		if d := p.journal()[0].at.Sub(began); len(p.journal()) != 1 || d < 30*time.Second {
			t.Errorf("%d calls, the first one after %s: inside the pause", len(p.journal()), d)
		}
	})
}

// A store that answers late makes a call miss its slot, and then it asks for another one.
func TestALateCallForfeitsItsSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: answers(answer(200, ""))}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		o.Rate = 10
		took := func(n int) time.Duration { return time.Second / time.Duration(n*n*n) }
		o.Calls = &counting{CallStore: l, deaf: true, takes: took}
		for range 2 { // two processes, so that the second one has to wait for its slot
			if _, err := client(t, o).Do(t.Context(), get("x")); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(l.Asks()); n != 3 {
			t.Errorf("%d slots asked for; the second call came a second late for its first one", n)
		}
	})
}
