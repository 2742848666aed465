package admit

import (
	"testing"
	"time"
)

func TestTransitDelay(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const ms = time.Millisecond
	skew := 3 * time.Hour // of the database's clock
	steps := []struct {
		name            string
		after           time.Duration // since the step before
		question, reply time.Duration // how long each was on its way
		want            time.Duration
	}{
		{"the first is taken for slow", 0, ms, 4 * ms, 5 * ms},
		{"a quicker one", ms, ms, 2 * ms, 0},
		{"a slow reply", ms, ms, 32 * ms, 30 * ms},
		{"a slow question is no delay of the reply", ms, 50 * ms, 2 * ms, 0},
		{"remembered into the next period", transitPeriod, ms, 7 * ms, 5 * ms},
		{"forgotten after two", transitPeriod + ms, ms, 7 * ms, 0},
		{"after a long silence", time.Hour, ms, 9 * ms, 10 * ms},
	}
	var tr transit
	for _, s := range steps {
		now = now.Add(s.after)
		began := now
		moment := began.Add(s.question)
		now = moment.Add(s.reply)
		if got := tr.delay(moment.Add(skew), began, now); got != s.want {
			t.Errorf("%s: delay is %s, want %s", s.name, got, s.want)
		}
	}
	// The database's clock is set back by a minute: no answer is taken for slower than its question took.
	if got := tr.delay(now.Add(skew-time.Minute), now, now.Add(3*ms)); got != 3*ms {
		t.Errorf("after a clock was set: delay is %s, want 3ms", got)
	}
}
