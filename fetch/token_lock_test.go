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

// deadHolder is a token store whose right to refresh is held, for a while, by a process that was killed.
type deadHolder struct {
	*fetchtest.CallStore
	until time.Time
}

func (s *deadHolder) LockToken(ctx context.Context, key string, d time.Duration) (bool, error) {
	if time.Now().Before(s.until) {
		return false, ctx.Err()
	}
	return s.CallStore.LockToken(ctx, key, d)
}

// behindADeadHolder is a client whose token endpoint takes 20 seconds, and whose right to ask it is free after so long.
func behindADeadHolder(t *testing.T, held time.Duration) (fetch.Options, func()) {
	s, l := newIssuer(time.Hour), fetchtest.NewCallStore()
	p, o, stop := tokened(t, s, l)
	p.handler = func(n int, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			select {
			case <-time.After(20 * time.Second):
			case <-r.Context().Done():
			}
		}
		s.handle(n, w, r)
	}
	o.Tokens = &deadHolder{CallStore: l, until: time.Now().Add(held)}
	return o, stop
}

// kill -9 while a token is asked for leaves a lock behind. Whoever waits for it gets it, whenever he began to wait, and
// then has the time that a request takes.
func TestTheLockOfADeadProcessIsOutlasted(t *testing.T) {
	for _, held := range []time.Duration{time.Second, 30 * time.Second, 60 * time.Second, 80 * time.Second, 90 * time.Second, 10 * time.Minute} {
		t.Run(held.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, stop := behindADeadHolder(t, held)
				defer stop()
				c := client(t, o)
				began := time.Now()
				var wg sync.WaitGroup
				for range 8 {
					wg.Go(func() {
						if _, err := c.Do(t.Context(), get("x")); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				if took := time.Since(began); took > held+30*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// A right that can't be had for too long says nothing of the items that wait for it: they are parked and not failed.
func TestALockThatCannotBeHadParks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, stop := behindADeadHolder(t, time.Hour)
		defer stop()
		o.MaxWait = time.Second
		_, err := client(t, o).Do(t.Context(), get("x"))
		if e := wantClass(t, err, finance.Throttled); e.Wait <= 0 || e.Wait > time.Minute {
			t.Errorf("parked for %s", e.Wait)
		}
	})
}

var _ fetch.TokenStore = (*deadHolder)(nil)
