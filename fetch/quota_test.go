package fetch_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// atNoon is a quota of a day that ends at noon; a bubble's time begins at midnight.
func atNoon(perDay int) calls.Quota {
	return calls.Quota{PerDay: perDay, Resets: 12 * time.Hour, Zone: time.UTC}
}

// Two processes share a day's quota. Whoever comes too late hears until when it is used up, without asking
// the store again and again, and the next day begins with all of it.
func TestADayHasSoManyCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: answers(answer(200, ""))}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		o.Quota, o.MaxWait = atNoon(5), time.Minute
		one, two := client(t, o), client(t, o)
		for day := 1; day <= 2; day++ {
			asked := len(l.Asks())
			for i := range 9 {
				_, err := []*fetch.Client{one, two}[i%2].Do(t.Context(), get("x"))
				if i < 5 {
					if err != nil {
						t.Errorf("call %d of day %d: %v", i+1, day, err)
					}
					continue
				}
				e := wantClass(t, err, finance.Throttled)
				left := time.Until(o.Quota.Next(time.Now()).Until)
				if e.Wait != left || e.Bucket == "" || !strings.Contains(e.Reason, "the day's quota is used up") {
					t.Errorf("call %d of day %d: wait %s, want %s: %s", i+1, day, e.Wait, left, e.Reason)
				}
			}
			if n := len(p.journal()); n != 5*day {
				t.Errorf("%d calls arrived by day %d, want %d", n, day, 5*day)
			}
			if n := len(l.Asks()) - asked; n > 7 {
				t.Errorf("the store was asked for a call %d times on day %d, want 7", n, day)
			}
			<-time.After(time.Until(o.Quota.Next(time.Now()).Until))
		}
	})
}

// A reset that is near is waited for.
func TestANearResetIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: answers(answer(200, ""))}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		o.Quota, o.MaxWait = atNoon(1), time.Minute
		<-time.After(12*time.Hour - 20*time.Second)
		c := client(t, o)
		for range 2 {
			if _, err := c.Do(t.Context(), get("x")); err != nil {
				t.Error(err)
			}
		}
		if j := p.journal(); len(j) != 2 || j[1].at.Sub(j[0].at) < 30*time.Second {
			t.Errorf("calls at %v", j)
		}
	})
}

// Callers that a pause stops after they were let through keep what they have of the quota: one call of it
// is one call.
func TestAPauseCostsNothingOfTheQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers = 8
		p, l := &provider{handler: pauseOn(2, "30")}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		o.Quota, o.Rate = atNoon(callers+1), 10 // the slots of all but two lie behind the refusal
		var wg sync.WaitGroup
		for range callers { // each a process of its own: within one they would wait before they ask the store
			wg.Go(func() {
				if _, err := client(t, o).Do(t.Context(), get("x")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := len(p.journal()); n != callers+1 {
			t.Errorf("%d calls arrived, want %d", n, callers+1)
		}
		o.MaxWait = time.Minute
		_, err := client(t, o).Do(t.Context(), get("x"))
		wantClass(t, err, finance.Throttled)
	})
}

// A call that was let through and never sent is given back.
func TestACallOfTheQuotaIsGivenBack(t *testing.T) {
	for _, found := range []calls.Admission{{Gate: time.Hour}, {Refusal: finance.Fenced}} {
		synctest.Test(t, func(t *testing.T) {
			p, l := &provider{handler: answers(answer(200, ""))}, fetchtest.NewCallStore()
			o, stop := piped(t, p, l)
			defer stop()
			o.Quota, o.MaxWait, o.Calls = atNoon(1), time.Minute, &closing{l, found}
			if _, err := client(t, o).Do(t.Context(), get("x")); err == nil {
				t.Error("the call was made")
			}
			back := l.Refunds()
			if len(back) != 1 || back[0].Day.IsZero() || back[0].Bucket != l.Asks()[0].Bucket || back[0].Opening {
				t.Errorf("given back: %+v", back)
			}
			o.Calls = l
			if _, err := client(t, o).Do(t.Context(), get("x")); err != nil {
				t.Errorf("the call that was given back: %v", err)
			}
			if n := len(l.Refunds()); n != 1 {
				t.Errorf("%d calls were given back, want 1", n)
			}
		})
	}
}

// A call whose day ends while its connection is made is not sent as one of that day: it takes one of the next.
func TestAHandshakeBeyondTheReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: answers(answer(200, ""))}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		o.Quota, o.MaxWait = atNoon(1), time.Minute
		dial := o.Dial
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			<-time.After(10 * time.Second)
			return dial(ctx, network, address)
		}
		<-time.After(12*time.Hour + 5*time.Second) // five seconds before the old day has surely ended
		c := client(t, o)
		if _, err := c.Do(t.Context(), get("x")); err != nil {
			t.Error(err)
		}
		_, err := c.Do(t.Context(), get("x"))
		wantClass(t, err, finance.Throttled)
		if n := len(p.journal()); n != 1 {
			t.Errorf("%d calls arrived, want 1", n)
		}
	})
}

// Each attempt is a call, and so is one that was answered badly.
func TestRepetitionsCountToTheQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: answers(answer(500, ""))}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		o.Quota, o.MaxWait = atNoon(3), time.Minute
		_, err := client(t, o).Do(t.Context(), get("x"))
		wantClass(t, err, finance.Throttled)
		if n := len(p.journal()); n != 3 {
			t.Errorf("%d calls arrived, want 3", n)
		}
	})
}
