package fetch_test

import (
	"context"
	"errors"
	"net"
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

func single() fetch.Request {
	return fetch.Request{
		Path: "debt/abc", Template: "/debt/{consent}", Once: true, Opening: true,
		Task: calls.Task{Consent: &finance.Consent{ID: 7, SingleUse: true}},
	}
}

func hangUp(_ int, w http.ResponseWriter, _ *http.Request) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// What becomes of a single-use call, and what a second Do, in a process started again, makes of it.
func TestOnce(t *testing.T) {
	tests := []struct {
		name     string
		handler  func(int, http.ResponseWriter, *http.Request)
		want     finance.Class
		arrivals int
		again    finance.Class
		more     int // arrivals of the second Do
	}{
		{"answered", answers(answer(200, `{"a":1}`)), finance.OK, 1, finance.OK, 0},
		{"proven empty", answers(answer(204, ``)), finance.OK, 1, finance.OK, 0},
		{"answered with a slow-down", answers(answer(200, `{}`, "Retry-After", "1")), finance.OK, 1, finance.OK, 0},
		{"hung up on", hangUp, finance.Unanswered, 1, finance.Unanswered, 0},
		{"a gateway's 502", answers(answer(502, ``)), finance.Unanswered, 1, finance.Unanswered, 0},
		{"a 503 without a time", answers(answer(503, ``)), finance.Unanswered, 1, finance.Unanswered, 0},
		{"cut off", answers(answer(200, `{`, "Content-Length", "10")), finance.Unanswered, 1, finance.Unanswered, 0},
		{"told to wait", answers(answer(429, ``, "Retry-After", "5"), answer(200, ``)), finance.OK, 2, finance.OK, 0},
		{"503 with a time", answers(answer(503, ``, "Retry-After", "5"), answer(200, ``)), finance.OK, 2, finance.OK, 0},
		{"told to wait long", answers(answer(429, ``, "Retry-After", "7200"), answer(200, ``)), finance.Throttled, 1, finance.Throttled, 0},
		{"not found", answers(answer(404, ``)), finance.Rejected, 1, finance.Rejected, 1},
		{"redirected", answers(answer(302, ``)), finance.Fatal, 1, finance.Fatal, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, l := &provider{handler: tt.handler}, fetchtest.NewCallStore()
				o, stop := piped(t, p, l)
				defer stop()
				o.Driver.Classify = func(_ *fetch.Request, a *fetch.Answer) fetch.Meaning {
					if a.Status == 503 { // some connectors say so of every 503
						return fetch.Meaning{Class: finance.Throttled}
					}
					return fetch.Meaning{}
				}
				check := func(want finance.Class, arrivals int) {
					t.Helper()
					a, err := client(t, o).Do(t.Context(), single())
					if want != finance.OK {
						wantClass(t, err, want)
					} else if err != nil {
						t.Fatal(err)
					} else if !a.Call.Durable {
						t.Error("the answer's call is not durable")
					}
					if n := len(p.journal()); n != arrivals {
						t.Errorf("%d calls arrived, want %d", n, arrivals)
					}
				}
				check(tt.want, tt.arrivals)
				check(tt.again, tt.arrivals+tt.more)
			})
		})
	}
}

func TestOnceTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{handler: func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}
		o, stop := piped(t, p, fetchtest.NewCallStore())
		defer stop()
		_, err := client(t, o).Do(t.Context(), single())
		wantClass(t, err, finance.Unanswered)
		if n := len(p.journal()); n != 1 {
			t.Errorf("%d calls arrived", n)
		}
	})
}

// A worker that is asked to leave while the answer is on its way takes it along.
func TestOnceOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{handler: func(_ int, w http.ResponseWriter, _ *http.Request) {
			<-time.After(10 * time.Second)
			_, _ = w.Write([]byte(`{"a":1}`))
		}}
		l := fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a, err := client(t, o).Do(ctx, single())
		if err != nil || string(a.Body) != `{"a":1}` {
			t.Fatalf("%v, %v", a, err)
		}
	})
}

// Nothing was sent, so nothing is spent.
func TestOnceDialFailureIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: answers(answer(200, `{}`))}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		dial, failures := o.Dial, 2
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if failures--; failures >= 0 {
				return nil, errors.New("connection refused")
			}
			return dial(ctx, network, address)
		}
		if _, err := client(t, o).Do(t.Context(), single()); err != nil {
			t.Fatal(err)
		}
		if n := len(p.journal()); n != 1 || len(l.Calls()) != 3 {
			t.Errorf("%d arrived, %d recorded", n, len(l.Calls()))
		}
	})
}

func TestOnceRefusedOrParkedIsNotSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: answers(answer(200, `{}`))}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		l.Refuse(func(calls.Ask) (finance.Class, string) { return finance.Refused, "not today" })
		_, err := client(t, o).Do(t.Context(), single())
		wantClass(t, err, finance.Refused)
		l.Refuse(nil)
		if _, err := l.Pause(t.Context(), calls.Pause{Bucket: "bank", For: time.Minute}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = client(t, o).Do(ctx, single())
		wantClass(t, err, finance.Interrupted)
		if _, err := client(t, o).Do(t.Context(), single()); err != nil { // waits the minute out
			t.Fatal(err)
		}
	})
}

// The answer exists nowhere else, so a store that stumbles is asked again.
func TestOnceStoresThroughAStumble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{handler: answers(answer(200, `{}`))}
		l := &stumbling{CallStore: fetchtest.NewCallStore(), failures: 3}
		o, stop := piped(t, p, l.CallStore)
		defer stop()
		o.Once = l
		read := false
		o.Driver.Classify = func(*fetch.Request, *fetch.Answer) fetch.Meaning {
			read = true
			if l.failures > 0 {
				t.Error("the answer was read before it was stored")
			}
			return fetch.Meaning{}
		}
		if _, err := client(t, o).Do(t.Context(), single()); err != nil || !read {
			t.Fatal(err)
		}
		l.failures = 100
		r := single()
		r.Task.Consent.ID = 8
		_, err := client(t, o).Do(t.Context(), r)
		wantClass(t, err, finance.Interrupted)
	})
}

type stumbling struct {
	*fetchtest.CallStore
	failures int
}

func (s *stumbling) Answered(ctx context.Context, call calls.Call, body []byte) error {
	if s.failures > 0 {
		s.failures--
		return errors.New("the database is away")
	}
	return s.CallStore.Answered(ctx, call, body)
}

// watching counts the intents that are open.
type watching struct {
	*fetchtest.CallStore
	open atomic.Int32
}

func (w *watching) Intend(ctx context.Context, call calls.Call) (calls.Intent, error) {
	w.open.Add(1)
	return w.CallStore.Intend(ctx, call)
}

func (w *watching) Withdraw(ctx context.Context, call calls.Call) error {
	w.open.Add(-1)
	return w.CallStore.Withdraw(ctx, call)
}

// A kill during a long wait must not look like a kill after the send, which would cost the consent.
func TestNoIntentIsOpenWhileItWaitsAtTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: answers(answer(200, `{}`))}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		w := &watching{CallStore: l}
		o.Once = w
		if _, err := l.Pause(t.Context(), calls.Pause{Bucket: "bank", For: time.Minute}); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := client(t, o).Do(t.Context(), single()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if n := w.open.Load(); n != 0 {
			t.Errorf("%d intents are open while nothing can have been sent", n)
		}
		wg.Wait()
		if n := w.open.Load(); n != 1 {
			t.Errorf("%d intents after the answer, want 1", n)
		}
	})
}

// The same of the wait for a slot, which may lie minutes ahead.
func TestNoIntentIsOpenWhileItWaitsForItsSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: answers(answer(200, `{}`), answer(200, `{}`))}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		w := &watching{CallStore: l}
		o.Once, o.Rate = w, 0.1
		c := client(t, o)
		if _, err := c.Do(t.Context(), single()); err != nil {
			t.Fatal(err)
		}
		second := single()
		second.Task.Consent = &finance.Consent{ID: 2, SingleUse: true}
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.Do(t.Context(), second); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if n := w.open.Load(); n != 1 {
			t.Errorf("%d intents are open, want that of the first call alone", n)
		}
		wg.Wait()
		if n := w.open.Load(); n != 2 {
			t.Errorf("%d intents after two answers", n)
		}
	})
}

// An intent that can't be written down sends nothing.
func TestWithoutAnIntentNothingIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: answers(answer(200, `{}`))}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		o.Once = &forgetful{CallStore: l}
		_, err := client(t, o).Do(t.Context(), single())
		wantClass(t, err, finance.Interrupted)
		if n := len(p.journal()); n != 0 {
			t.Errorf("%d calls arrived", n)
		}
	})
}

// forgetful is a store that can't write intents down.
type forgetful struct{ *fetchtest.CallStore }

func (*forgetful) Intend(context.Context, calls.Call) (calls.Intent, error) {
	return calls.Intent{}, errors.New("the database is away")
}

// While one process waits at the gate, its intent taken back, another may make the call. Its answer is read; the call is not
// made again.
func TestAnAnswerThatCameMeanwhileIsReadAndNotAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: answers(answer(429, ``, "Retry-After", "60"), answer(200, `{"twice":1}`))}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		var wg sync.WaitGroup
		wg.Go(func() {
			a, err := client(t, o).Do(t.Context(), single())
			if err != nil || string(a.Body) != `{"once":1}` || !a.Call.Durable {
				t.Errorf("%+v, %v", a, err)
			}
		})
		synctest.Wait() // at the gate
		other := calls.Call{Task: single().Task, Status: 200}
		if err := l.Answered(t.Context(), other, []byte(`{"once":1}`)); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if n := len(p.journal()); n != 1 {
			t.Errorf("%d calls arrived, want 1: the consent was spent twice", n)
		}
	})
}

// Most connectors read with more than one call. A single-use consent is not spent on what can't be read whole with one.
func TestASingleUseConsentIsNotReadWithOrdinaryCalls(t *testing.T) {
	p, l := &provider{handler: answers(answer(200, `{}`))}, fetchtest.NewCallStore()
	c := client(t, options(t, served(t, p), l))
	r := single()
	r.Once = false
	_, err := c.Do(t.Context(), r)
	if e := wantClass(t, err, finance.Rejected); e.Reason == "" {
		t.Error("no reason")
	}
	if len(p.journal()) != 0 || len(l.Asks()) != 0 {
		t.Errorf("%d calls arrived, %d were asked for", len(p.journal()), len(l.Asks()))
	}
	for _, purpose := range []calls.Purpose{calls.ForStatus, calls.ForCheck} { // these don't spend it
		r.Purpose = purpose
		if _, err := c.Do(t.Context(), r); err != nil {
			t.Error(err)
		}
	}
}
