package jobs_test

import (
	"context"
	"iter"
	"sync"
	"testing"
	"time"

	"syncer/fetch"
	"syncer/finance"
)

// watched notes which days its streams are read for.
type watched struct {
	fetch.Connector
	mu    *sync.Mutex
	today map[finance.Date]bool
	since map[finance.Date]bool
}

func (w watched) Pages(ctx context.Context, s fetch.Stream, from string) iter.Seq2[fetch.Page, error] {
	w.mu.Lock()
	w.today[s.Today], w.since[s.Since] = true, true
	w.mu.Unlock()
	return w.Connector.Pages(ctx, s, from)
}

// A stream is read for today in the provider's calendar. At any instant one of these two zones has another day than UTC,
// which is the job's.
func TestAStreamIsReadInTheProvidersCalendar(t *testing.T) {
	t.Parallel()
	for _, zone := range []*time.Location{time.FixedZone("far east", 14*60*60), time.FixedZone("far west", -12*60*60)} {
		t.Run(zone.String(), func(t *testing.T) {
			t.Parallel()
			a := newAggregator(t, 1, "a1")
			a.zone = zone
			seen := watched{mu: &sync.Mutex{}, today: map[finance.Date]bool{}, since: map[finance.Date]bool{}}
			n := a.start(nodeOptions{more: a, wrap: func(c fetch.Connector) fetch.Connector {
				seen.Connector = c
				return seen
			}})
			before := finance.DateOf(time.Now().In(zone))
			a.run(n, a.name)
			after := finance.DateOf(time.Now().In(zone))
			seen.mu.Lock()
			defer seen.mu.Unlock()
			for day := range seen.today {
				if day < before || day > after {
					t.Errorf("read for %s, and it was %s", day, before)
				}
			}
			for day := range seen.since {
				if day < before.AddDays(-400) || day > after.AddDays(-400) {
					t.Errorf("read since %s, want 400 days before %s", day, before)
				}
			}
			if len(seen.today) == 0 {
				t.Error("nothing was read")
			}
		})
	}
}
