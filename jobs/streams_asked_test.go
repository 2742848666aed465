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

// noting notes the streams that it is asked for.
type noting struct {
	fetch.Connector
	note func(fetch.Stream)
}

func (c noting) Pages(ctx context.Context, s fetch.Stream, from string) iter.Seq2[fetch.Page, error] {
	c.note(s)
	return c.Connector.Pages(ctx, s, from)
}

// A connector is asked for streams as the job and the connection say: how far back, from which day of whose calendar, on whose
// behalf, and for which call; and its answers are kept for as long as the connection says.
func TestAStreamIsAskedForAsTheJobSays(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 1, "a1")
	a.history, a.lookback = 123, 17
	zone, err := time.LoadLocation("Pacific/Kiritimati") // its day is seldom that of UTC
	a.must(err)
	a.zone = zone
	var mu sync.Mutex
	var asked []fetch.Stream
	n := a.start(nodeOptions{more: a, wrap: func(c fetch.Connector) fetch.Connector {
		return noting{c, func(s fetch.Stream) {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, s)
		}}
	}})
	before := finance.DateOf(time.Now().In(zone))
	r := a.run(n, a.name)
	today := finance.DateOf(time.Now().In(zone))
	if len(asked) != 2 {
		t.Fatalf("%d streams were asked for, want the list and an account", len(asked))
	}
	for i, s := range asked {
		of := finance.Stream{Consent: 1, Dataset: finance.Accounts}
		if i == 1 {
			of = finance.Stream{Consent: 1, Dataset: finance.Transactions, Account: "a1"}
		}
		if s.Stream != of {
			t.Errorf("stream %d is %+v, want %+v", i, s.Stream, of)
		}
		if s.Lookback != 17 || s.Today < before || s.Today > today || s.Since != s.Today.AddDays(-123) || !s.Until.IsZero() {
			t.Errorf("stream %d: lookback %d, today %s, since %s, until %s", i, s.Lookback, s.Today, s.Since, s.Until)
		}
		if s.Task.Run != r.Run.ID || s.Task.Batch == 0 || s.Task.Fence == 0 || s.Task.Consent == nil || s.Task.Consent.ExternalID != "c0" ||
			s.Task.Dataset != of.Dataset {
			t.Errorf("stream %d is asked for by %+v", i, s.Task)
		}
	}
	const kept = "SELECT count(*) FROM answers WHERE keep_until BETWEEN now() + interval '50 min' AND now() + interval '60 min'"
	if n := a.number(kept); n != len(asked) { // see aggregator.connection
		t.Errorf("%d of %d answers are kept for an hour", n, len(asked))
	}
}
