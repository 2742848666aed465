package fetch_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// crowd lets callers of three clients, which stand for three processes, call a provider again and again for a while. It
// gives how many calls the provider has refused.
func crowd(t *testing.T, p *provider, d time.Duration, each int, set func(*fetch.Options)) {
	t.Helper()
	l := fetchtest.NewCallStore()
	o, stop := piped(t, p, l)
	defer stop()
	o.Concurrency = each
	if set != nil {
		set(&o)
	}
	end := time.Now().Add(d)
	var wg sync.WaitGroup
	for range 3 {
		c := client(t, o)
		for range each {
			wg.Go(func() {
				for time.Now().Before(end) {
					_, err := c.Do(t.Context(), get("x"))
					if e, failed := err.(*fetch.Error); failed {
						<-time.After(min(max(e.Wait, time.Second), time.Until(end)+time.Second))
					}
				}
			})
		}
	}
	wg.Wait()
}

// A day's quota that is used up, and a 429 that names no time: ten minutes of three processes cost a dozen calls.
func TestAQuotaThatIsUsedUpIsAskedAboutSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{handler: func(_ int, w http.ResponseWriter, _ *http.Request) {
			<-time.After(50 * time.Millisecond)
			w.WriteHeader(http.StatusTooManyRequests)
		}}
		began := time.Now()
		crowd(t, p, 10*time.Minute, 8, nil)
		inFlight, later := 0, 0
		for _, a := range p.journal() {
			switch since := a.at.Sub(began); {
			case since < 50*time.Millisecond:
				inFlight++
			case since < 10*time.Minute:
				later++
			}
		}
		t.Logf("%d calls in flight at the first refusal, and %d refused in ten minutes", inFlight, later)
		if later > 12 || inFlight > 24 {
			t.Errorf("%d calls in flight at the first refusal, and %d later", inFlight, later)
		}
	})
}

// Retry-After 1, again and again: one call a pause tells as much as all of them. Behind the first pause everybody goes
// on, at the bucket's rate if it has one.
func TestPausesInARowAreAskedAboutByOneCall(t *testing.T) {
	for rate, most := range map[float64]int{0: 60 + 24, 50: 60} {
		synctest.Test(t, func(t *testing.T) { pausesInARow(t, rate, most) })
	}
}

func pausesInARow(t *testing.T, rate float64, most int) {
	p := &provider{handler: func(_ int, w http.ResponseWriter, _ *http.Request) {
		<-time.After(50 * time.Millisecond)
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	}}
	began := time.Now()
	crowd(t, p, time.Minute, 8, func(o *fetch.Options) { o.Rate = rate })
	inFlight, later := 0, 0
	for _, a := range p.journal() {
		switch since := a.at.Sub(began); {
		case since < 50*time.Millisecond:
			inFlight++
		case since < time.Minute:
			later++
		}
	}
	t.Logf("rate %v: %d calls in flight at the first refusal, and %d refused in a minute", rate, inFlight, later)
	if later > most {
		t.Errorf("rate %v: %d calls in flight at the first refusal, and %d later, want %d", rate, inFlight, later, most)
	}
}

// A good answer opens the bucket to everybody at once, in this process and, within a second, in the others.
func TestAProbeThatIsAnsweredOpensTheBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		p := &provider{handler: func(_ int, w http.ResponseWriter, _ *http.Request) {
			if time.Since(began) < 5*time.Second {
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			<-time.After(100 * time.Millisecond)
			_, _ = w.Write([]byte("{}"))
		}}
		l := fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		o.Concurrency = 8
		var wg sync.WaitGroup
		for range 3 {
			c := client(t, o)
			for range 8 {
				wg.Go(func() {
					if _, err := c.Do(t.Context(), get("x")); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		good := 0
		for _, a := range p.journal() {
			if a.at.Sub(began) >= 5*time.Second {
				good++
			}
		}
		// 1 + 2 + 4 seconds behind the first refusal; then one call, and the others within a second.
		if d := time.Since(began); good != 24 || d > 9*time.Second {
			t.Errorf("%d calls behind the end of the refusals, and %s", good, d)
		}
	})
}

// A probe that the caller gives up lets the next call probe.
func TestAProbeThatIsNotSentIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: answers(answer(429, ""), answer(500, ""), answer(200, "{}"))}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		o.Retry.Attempts = 1
		c := client(t, o)
		began := time.Now()
		_, err := c.Do(t.Context(), get("x")) // refused, and then it probes and meets a 500
		wantClass(t, err, finance.Transient)
		if _, err := c.Do(t.Context(), get("x")); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("it took %s: the probe was not given back", d)
		}
	})
}
