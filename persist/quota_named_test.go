package persist_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"syncer/calls"
	"syncer/persist"
)

// called records calls of a bucket, each sent so long ago.
func (h *fixture) called(t *testing.T, bucket string, ago ...time.Duration) {
	t.Helper()
	var calls []calls.Call
	for _, d := range ago {
		call := newCall(debtStream(1))
		call.Bucket, call.SentAt = bucket, time.Now().Add(-d)
		calls = append(calls, call)
	}
	must(t, h.Admit.Record(t.Context(), calls...))
}

// The key per_day may be taken out and put back: what is called meanwhile counts to the day.
func TestCallsWithoutAQuotaCountToItsDay(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	unlimited := func(bucket string) calls.Ask {
		a := ask(0)
		a.Bucket = bucket
		return a
	}
	for _, test := range []struct {
		name string
		run  func(t *testing.T, bucket string)
	}{
		{"taken out and put back on the same day", func(t *testing.T, bucket string) {
			take(t, h, daily(bucket, 50), 10)
			if n := take(t, h, unlimited(bucket), 20); n != 20 {
				t.Errorf("without a quota %d calls of 20 passed", n)
			}
			wantCalls(t, h, bucket, 30, 0)
			if n := take(t, h, daily(bucket, 32), 10); n != 2 {
				t.Errorf("%d calls of 32 passed behind 30, want 2", n)
			}
		}},
		{"with a rate alone", func(t *testing.T, bucket string) {
			take(t, h, daily(bucket, 5), 1)
			a := unlimited(bucket)
			a.PerSecond = 1000
			take(t, h, a, 3)
			wantCalls(t, h, bucket, 4, 0)
		}},
		{"one that is asked for again, or given back", func(t *testing.T, bucket string) {
			take(t, h, daily(bucket, 5), 1)
			a := unlimited(bucket)
			if a.Day = admission(t, h.Store, a).Day; a.Day.IsZero() {
				t.Fatal("it was counted to no day")
			}
			take(t, h, a, 3)
			wantCalls(t, h, bucket, 2, 0)
			must(t, h.Admit.Refund(t.Context(), a))
			wantCalls(t, h, bucket, 1, 0)
		}},
		{"when the day is over nothing is counted", func(t *testing.T, bucket string) {
			a := unlimited(bucket)
			take(t, h, daily(bucket, 5), 1)
			a.Day = admission(t, h.Store, a).Day
			h.exec(t, "UPDATE gates SET day_ends = clock_timestamp() WHERE bucket = $1", bucket)
			if got := admission(t, h.Store, a); got.Gate > 0 || !got.Day.IsZero() {
				t.Errorf("on the next day: %+v", got)
			}
			wantCalls(t, h, bucket, 2, 0)
		}},
		{"a day that begins without the key", func(t *testing.T, bucket string) {
			take(t, h, daily(bucket, 5), 1)
			h.exec(t, `UPDATE gates
				SET day_ends = day_ends - interval '1 day', day_doubt = day_doubt - interval '1 day'
				WHERE bucket = $1`, bucket)
			h.called(t, bucket, time.Minute, 2*time.Minute, 13*time.Hour)
			if n := take(t, h, daily(bucket, 5), 5); n != 3 {
				t.Errorf("%d calls passed, want 3: two of the day were made before", n)
			}
		}},
		{"what counted to both days is not counted twice", func(t *testing.T, bucket string) {
			take(t, h, daily(bucket, 5), 1)
			h.exec(t, `UPDATE gates
				SET day_ends = day_ends - interval '1 day', day_doubt = day_doubt - interval '1 day', day_late = 3
				WHERE bucket = $1`, bucket)
			h.called(t, bucket, time.Minute, 2*time.Minute)
			if n := take(t, h, daily(bucket, 5), 5); n != 2 {
				t.Errorf("%d calls passed, want 2: three count to the day", n)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, test.name) })
	}
}

// While processes with different quotas work side by side the lowest one holds for all, also for one that
// knows none. Which day it is of, the process that names it has said.
func TestTheLowestQuotaOfTheLivingHolds(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	older, younger := h.sibling(t, time.Hour), h.sibling(t, time.Hour)
	live := func(s *persist.Store, connection string, perDay int, lease time.Duration) {
		t.Helper()
		s.Workers.NameQuota(connection, daily("", perDay).Quota)
		must(t, s.Workers.Heartbeat(t.Context(), lease))
	}
	none := ask(0)
	none.Bucket = "deploy"
	reserved := none // for a call that is not sent yet
	if reserved.Day = admission(t, older, reserved).Day; !reserved.Day.IsZero() {
		t.Fatal("a call is of a day before anybody named a quota")
	}
	live(younger, "other", 1, time.Hour)
	if n := take(t, h, none, 2); n != 2 {
		t.Error("another connection's quota held")
	}
	live(younger, "bank", 3, time.Hour)
	if got, err := older.Admit.Look(t.Context(), reserved); err != nil || !got.Awaits || got.Gate > time.Second {
		t.Errorf("a slot that was reserved before the quota was named: %+v, %v; want it asked for anew", got, err)
	}
	if n := take(t, h, none, 5); n != 3 {
		t.Errorf("the older process, which knows none: %d calls passed, want 3", n)
	}
	got := admission(t, older, none)
	if got.Gate < 11*time.Hour || !strings.HasPrefix(got.Reason, "the day's quota of 3 calls is used up until 2") {
		t.Errorf("then: %+v", got)
	}
	if got, err := older.Admit.Look(t.Context(), none); err != nil || got.Awaits || got.Gate < 11*time.Hour {
		t.Errorf("a look when it is used up: %+v, %v", got, err)
	}
	if n := take(t, h, daily("deploy", 9), 1); n != 0 {
		t.Error("one that names more was let through")
	}
	live(older, "bank", 5, time.Hour)
	named, err := h.Read.NamedQuotas(t.Context())
	if want := map[string]int{"bank": 3, "other": 1}; err != nil || !maps.Equal(named, want) {
		t.Errorf("named are %v, %v, want %v", named, err, want)
	}
	must(t, younger.Workers.Heartbeat(t.Context(), 0))
	if n := take(t, h, daily("deploy", 9), 5); n != 2 {
		t.Errorf("after the younger one's lease %d more passed of 5, want 2", n)
	}
	if n := take(t, h, daily("deploy", 4), 1); n != 0 {
		t.Error("one that names less was let through")
	}
	must(t, older.Workers.Leave(t.Context()))
	if n := take(t, h, daily("deploy", 6), 5); n != 1 {
		t.Errorf("alone with 6: %d more passed, want 1", n)
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM worker_quotas WHERE connection = 'bank'"); n != 1 {
		t.Errorf("%d quotas are named, want that of the one who is only taken for dead", n)
	}
}

// A quota that begins to hold takes back what was said, and one that stays says nothing.
func TestANamedQuotaIsTold(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	other := h.sibling(t, time.Hour)
	stop := listens(t, other)
	defer stop()
	for _, tt := range []struct {
		name  string
		do    func()
		holds bool
	}{
		{"a quota", func() { h.Workers.NameQuota("bank", daily("", 5).Quota) }, false},
		{"the same one", func() {}, true},
	} {
		proven(t, other)
		said := admission(t, other, ask(0)).Said
		tt.do()
		must(t, h.Workers.Heartbeat(t.Context(), time.Hour))
		proven(t, other)
		if got := other.Admit.Holds(t.Context(), said, time.Now()); got != tt.holds {
			t.Errorf("%s: what was said before holds: %v, want %v", tt.name, got, tt.holds)
		}
	}
}

// A program that knows of no quotas is held by those of others.
func TestOlderProgramsAreHeldByTheQuotaOfOthers(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.Workers.NameQuota("bank", daily("", 2).Quota)
	must(t, h.Workers.Heartbeat(t.Context(), time.Hour))
	asks := func(us int64) (gate int64) {
		return queryInt(t, h.pool, `SELECT gate_us
			FROM admit_calls('{bank}', '{bank}', ARRAY[$1::bigint], '{f}', '{null}', '{0}', '{null}', '{null}', '{""}',
				'{1}', '{f}', '{""}', '{""}')`, us)
	}
	for i, want := range []bool{true, true, false} {
		if passed := asks(1) == 0; passed != want {
			t.Errorf("call %d passed: %v, want %v", i+1, passed, want)
		}
	}
	if asks(0) != 0 {
		t.Error("the look of a call that was let through is refused")
	}
}
