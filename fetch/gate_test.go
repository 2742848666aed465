package fetch_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// pauseOn answers the n-th call with a 429 and every other after a little while.
func pauseOn(n int, retryAfter string) func(int, http.ResponseWriter, *http.Request) {
	return func(i int, w http.ResponseWriter, _ *http.Request) {
		if i == n {
			w.Header().Set("Retry-After", retryAfter)
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}
}

func TestNobodyCallsInsideAnAnnouncedPause(t *testing.T) {
	for _, rate := range []float64{0, 100} {
		synctest.Test(t, func(t *testing.T) {
			p, l := &provider{handler: pauseOn(20, "10")}, fetchtest.NewLedger()
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
			told := j[19].at
			for i, a := range j {
				// Those on the wire when the announcement was made can't be called back; there are two.
				if d := a.at.Sub(told); i > 21 && d < 10*time.Second {
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

// Two clients stand for two processes: they share the ledger and nothing else.
func TestTwoProcessesShareRateAndGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: pauseOn(30, "60")}, fetchtest.NewLedger()
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
		p, l := &provider{handler: pauseOn(1, "86400")}, fetchtest.NewLedger()
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
		// Another process, started again: its own gate is open, the ledger's is not.
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
		p, l := &provider{handler: pauseOn(1, "3600")}, fetchtest.NewLedger()
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
		if got := l.Pauses()[0].Bucket; got != "bank/narrow" {
			t.Errorf("bucket %q", got)
		}
	})
}

// A pause that another process commits while we wait for our slot is seen before the send.
func TestGateIsLookedAtAgainAfterTheSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: answers(answer(200, ""))}, fetchtest.NewLedger()
		o, stop := piped(t, p, l)
		defer stop()
		o.Rate = 0.1
		if _, err := client(t, o).Do(t.Context(), get("x")); err != nil { // takes the slot of these ten seconds
			t.Fatal(err)
		}
		began := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			<-time.After(5 * time.Second)
			if err := l.Pause(t.Context(), finance.Pause{Bucket: "bank", For: time.Minute}); err != nil {
				t.Error(err)
			}
		})
		if _, err := client(t, o).Do(t.Context(), get("x")); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if d := p.journal()[1].at.Sub(began); d < 65*time.Second {
			t.Errorf("sent after %s, into another process's pause", d)
		}
	})
}

func TestACallerMayLeaveAtTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: pauseOn(1, "600")}, fetchtest.NewLedger()
		o, stop := piped(t, p, l)
		defer stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := client(t, o).Do(ctx, get("x"))
		wantClass(t, err, finance.Interrupted)
	})
}
