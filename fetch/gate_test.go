package fetch_test

import (
	"context"
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

// pauseOn answers every call after 5 ms, and the n-th with a 429.
func pauseOn(n int, retryAfter string) func(int, http.ResponseWriter, *http.Request) {
	return func(i int, w http.ResponseWriter, _ *http.Request) {
		<-time.After(5 * time.Millisecond)
		if i == n {
			w.Header().Set("Retry-After", retryAfter)
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}
}

func TestNobodyCallsInsideAnAnnouncedPause(t *testing.T) {
	for _, rate := range []float64{0, 100} {
		synctest.Test(t, func(t *testing.T) {
			p, l := &provider{handler: pauseOn(20, "10")}, fetchtest.NewCallStore()
			o, stop := piped(t, p, l)
			defer stop()
			o.Rate, o.Concurrency = rate, 3
			c := client(t, o)
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					if _, err := c.Do(t.Context(), get("x")); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			j := p.journal()
			told := j[19].at.Add(5 * time.Millisecond)
			for i, a := range j {
				// What is sent in the very instant of the announcement may have come before it.
				if d := a.at.Sub(told); d > 0 && d < 10*time.Second {
					t.Errorf("rate %v: call %d came %s into a pause of 10 s", rate, i+1, d)
				}
			}
			if len(j) != 51 {
				t.Errorf("%d calls for 50 answers and one 429", len(j))
			}
			if rate > 0 {
				for i := 1; i < len(j); i++ {
					if d := j[i].at.Sub(j[i-1].at); d < 9*time.Millisecond {
						t.Errorf("calls %d and %d are %s apart, at 100 a second", i, i+1, d)
					}
				}
			}
		})
	}
}

// Two clients stand for two processes: they share the store and nothing else.
func TestTwoProcessesShareRateAndGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: pauseOn(30, "60")}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		o.Rate = 50
		one, two := client(t, o), client(t, o)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if _, err := []*fetch.Client{one, two}[i%2].Do(t.Context(), get("x")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		j := p.journal()
		for i := 1; i < len(j); i++ {
			if d := j[i].at.Sub(j[i-1].at); d < 19*time.Millisecond {
				t.Errorf("calls %d and %d are %s apart, at 50 a second", i, i+1, d)
			}
		}
		if d := j[30].at.Sub(j[29].at); d < time.Minute {
			t.Errorf("a call came %s into a pause of one minute", d)
		}
		if d := j[len(j)-1].at.Sub(j[0].at); d > 63*time.Second {
			t.Errorf("%d calls at 50 a second and one minute's pause took %s", len(j), d)
		}
	})
}

func TestALongPauseParks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: pauseOn(1, "86400")}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		c := client(t, o)
		for range 2 { // the one that was told, and one that comes later
			began := time.Now()
			_, err := c.Do(t.Context(), get("x"))
			if e := wantClass(t, err, finance.Throttled); e.Wait < 86399*time.Second || e.Wait > 86400*time.Second {
				t.Errorf("wait is %s", e.Wait)
			}
			if time.Since(began) > time.Second {
				t.Error("it waited, though it was to park")
			}
		}
		// Another process, started again: its own gate is open, the store's is not.
		_, err := client(t, o).Do(t.Context(), get("x"))
		wantClass(t, err, finance.Throttled)
		if n := len(p.journal()); n != 1 {
			t.Errorf("%d calls arrived, want the one that was told", n)
		}
	})
}

// A pause of one bucket is nobody else's.
func TestBucketsPauseByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: pauseOn(1, "3600")}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		c := client(t, o)
		r := get("x")
		r.Bucket = "narrow"
		_, err := c.Do(t.Context(), r)
		wantClass(t, err, finance.Throttled)
		if _, err := c.Do(t.Context(), get("x")); err != nil {
			t.Error(err)
		}
		if got := l.Pauses()[0].Bucket; got != "bank/narrow@http://api.example" {
			t.Errorf("bucket %q", got)
		}
	})
}

// A pause that another process commits while we wait for our slot is seen before the send.
func TestGateIsLookedAtAgainAfterTheSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: answers(answer(200, ""))}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		o.Rate = 0.1
		r := get("x")
		r.Opening = true
		if _, err := client(t, o).Do(t.Context(), get("x")); err != nil { // takes the slot of these ten seconds
			t.Fatal(err)
		}
		began := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			<-time.After(5 * time.Second)
			if _, err := l.Pause(t.Context(), calls.Pause{Bucket: "bank", For: time.Minute}); err != nil {
				t.Error(err)
			}
		})
		if _, err := client(t, o).Do(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		opening := 0
		for _, ask := range l.Asks() {
			if ask.Opening {
				opening++
			}
		}
		if opening != 1 {
			t.Errorf("%d reads of the budget spent on one send: a lost slot must not be paid for again", opening)
		}
		if d := p.journal()[1].at.Sub(began); d < 65*time.Second {
			t.Errorf("sent after %s, into another process's pause", d)
		}
	})
}

func TestACallerMayLeaveAtTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: pauseOn(1, "600")}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := client(t, o).Do(ctx, get("x"))
		wantClass(t, err, finance.Interrupted)
	})
}

// The headers close the gate; nobody waits for the body to know.
func TestThePauseBeginsWithTheHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: func(n int, w http.ResponseWriter, _ *http.Request) {
			if n == 1 {
				w.Header().Set("Retry-After", "30")
				w.WriteHeader(429)
				_ = http.NewResponseController(w).Flush()
				<-time.After(5 * time.Second)
			}
		}}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		c := client(t, o)
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				<-time.After(time.Duration(i) * time.Second)
				if _, err := c.Do(t.Context(), get("x")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if d := p.journal()[1].at.Sub(began); d < 30*time.Second {
			t.Errorf("a call was sent %s after the headers of a 429 had arrived", d)
		}
	})
}

// A dial may take long enough for another caller to be told to wait. What has not been written by then is not written.
func TestACallThatIsStillDiallingStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The connection is closed, or the second call would get it in the very instant of the announcement.
		p, l := &provider{handler: func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			pauseOn(1, "30")(n, w, r)
		}}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		var dials atomic.Int32
		dial := o.Dial
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if dials.Add(1) == 2 {
				<-time.After(time.Second)
			}
			return dial(ctx, network, address)
		}
		c := client(t, o)
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				<-time.After(time.Duration(i) * time.Millisecond)
				if _, err := c.Do(t.Context(), get("x")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n, d := len(p.journal()), p.journal()[1].at.Sub(began); n != 3 || d < 30*time.Second {
			t.Errorf("%d calls, the second %s after the first", n, d)
		}
		if calls := l.Calls(); len(calls) != 1 {
			t.Errorf("%d calls recorded: what was not sent is no call", len(calls))
		}
	})
}
