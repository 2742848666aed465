package persist_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist"
	"syncer/persist/consents"
	"syncer/persist/queue"
	"syncer/persist/read"
)

// daily is a question for a call of a bucket with a quota. Its day ends in twelve hours, so that no test is
// near to it.
func daily(bucket string, perDay int) calls.Ask {
	a := ask(0)
	noon := time.Now().UTC().Add(12 * time.Hour)
	resets := time.Duration(noon.Hour())*time.Hour + time.Duration(noon.Minute())*time.Minute
	a.Bucket, a.Quota = bucket, calls.Quota{PerDay: perDay, Resets: resets, Zone: time.UTC}
	return a
}

// take asks for n calls, and gives how many were let through.
func take(t *testing.T, h *fixture, a calls.Ask, n int) (passed int) {
	t.Helper()
	for range n {
		if got := admission(t, h.Store, a); got.Gate == 0 && got.Refusal == "" {
			passed++
		}
	}
	return passed
}

// wantCalls looks at how many calls count to the bucket's day, and how many of them to the next one, too.
func wantCalls(t *testing.T, h *fixture, bucket string, calls, late int64) {
	t.Helper()
	got := queryInt(t, h.pool, "SELECT coalesce(sum(day_calls), 0) FROM gates WHERE bucket = $1", bucket)
	gotLate := queryInt(t, h.pool, "SELECT coalesce(sum(day_late), 0) FROM gates WHERE bucket = $1", bucket)
	if got != calls || gotLate != late {
		t.Errorf("%d calls count to the day and %d to the next one too, want %d and %d", got, gotLate, calls, late)
	}
}

// So many a day are so many, however many ask at once and from wherever. Whoever comes too late hears until
// when it is so.
func TestQuotaIsSharedByAll(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	const perDay, askers, each = 1100, 8, 60
	stores := []*persist.Store{h.Store, h.sibling(t, time.Hour), h.sibling(t, time.Hour)}
	a := daily("shared", perDay)
	ends := a.Quota.Next(time.Now()).Until
	var passed atomic.Int64
	var wg sync.WaitGroup
	for _, s := range stores {
		for range askers {
			wg.Go(func() {
				for range each {
					got, err := s.Admit.Admit(t.Context(), a)
					switch {
					case err != nil || got.Refusal != "":
						t.Errorf("admit: %+v, %v", got, err)
					case got.Gate == 0:
						passed.Add(1)
						if !got.Day.Equal(ends) {
							t.Errorf("a call of the day that ends at %s, want %s", got.Day, ends)
						}
					default:
						reason := "the day's quota of 1,100 calls is used up until " + ends.UTC().Format("2006-01-02T15:04:05")
						if !strings.HasPrefix(got.Reason, reason) {
							t.Errorf("the reason is %q, want %q", got.Reason, reason)
						}
						if off := time.Until(ends) - got.Gate; off < -time.Second || off > time.Second {
							t.Errorf("closed for %s, want until %s", got.Gate, ends)
						}
					}
				}
			})
		}
	}
	wg.Wait()
	if n := passed.Load(); n != perDay {
		t.Errorf("%d of %d calls passed, want %d", n, len(stores)*askers*each, perDay)
	}
}

// What a quota counts, and when it ends.
func TestQuota(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	for _, test := range []struct {
		name string
		run  func(t *testing.T, bucket string)
	}{
		{"a reset gives all of it again", func(t *testing.T, bucket string) {
			a := daily(bucket, 5)
			for day := range 3 {
				if n := take(t, h, a, 8); n != 5 {
					t.Errorf("on day %d %d calls passed, want 5", day, n)
				}
				h.exec(t, "UPDATE gates SET day_ends = clock_timestamp() WHERE bucket = $1", bucket)
			}
		}},
		{"what may be counted to either day counts to both", func(t *testing.T, bucket string) {
			a := daily(bucket, 10)
			a.PerSecond = 1.0 / 7200
			take(t, h, a, 1)
			h.exec(t, `UPDATE gates SET next_slot = day_doubt - interval '1 second' WHERE bucket = $1`, bucket)
			take(t, h, a, 3)
			wantCalls(t, h, bucket, 4, 2)
			h.exec(t, "UPDATE gates SET day_ends = clock_timestamp() WHERE bucket = $1", bucket)
			a.PerSecond = 0
			if n := take(t, h, a, 10); n != 8 {
				t.Errorf("%d calls passed on the next day, want 8: two count to it already", n)
			}
		}},
		{"a day on which nobody called lies between", func(t *testing.T, bucket string) {
			a := daily(bucket, 10)
			take(t, h, a, 4)
			h.exec(t, "UPDATE gates SET day_late = 4, day_ends = day_ends - interval '3 days' WHERE bucket = $1", bucket)
			take(t, h, a, 1)
			wantCalls(t, h, bucket, 1, 0)
		}},
		{"calls of the day from before there was one count", func(t *testing.T, bucket string) {
			h.called(t, bucket, time.Minute, 11*time.Hour, 13*time.Hour)
			if n := take(t, h, daily(bucket, 5), 5); n != 3 {
				t.Errorf("%d calls passed, want 3: two of the day were made before", n)
			}
		}},
		{"a lower and a higher one hold at once", func(t *testing.T, bucket string) {
			take(t, h, daily(bucket, 10), 6)
			if n := take(t, h, daily(bucket, 4), 1); n != 0 {
				t.Error("a seventh call of four passed")
			}
			if n := take(t, h, daily(bucket, 10), 1); n != 1 {
				t.Error("the seventh call of ten did not pass")
			}
			if n := take(t, h, daily(bucket, 9), 5); n != 2 {
				t.Errorf("%d more calls passed of nine, want 2", n)
			}
			if n := take(t, h, daily(bucket, 12), 5); n != 3 {
				t.Errorf("%d more calls passed of twelve, want 3", n)
			}
			none := ask(0)
			none.Bucket = bucket
			if n := take(t, h, none, 5); n != 5 {
				t.Errorf("without a quota %d calls of five passed", n)
			}
		}},
		{"another time of the reset ends the day, and its calls stay", func(t *testing.T, bucket string) {
			a := daily(bucket, 5)
			take(t, h, a, 5)
			a.Quota.Resets = (a.Quota.Resets + 23*time.Hour) % (24 * time.Hour)
			got := admission(t, h.Store, a)
			if got.Gate > 11*time.Hour+time.Minute || got.Gate < 10*time.Hour+58*time.Minute {
				t.Errorf("closed for %s, want 11 hours", got.Gate)
			}
		}},
		{"one that was taken and not made is not taken again", func(t *testing.T, bucket string) {
			a := daily(bucket, 2)
			a.Day = admission(t, h.Store, a).Day
			take(t, h, daily(bucket, 2), 1)
			if n := take(t, h, a, 3); n != 3 {
				t.Errorf("passed %d times of three", n)
			}
			wantCalls(t, h, bucket, 2, 0)
			if got, err := h.Admit.Look(t.Context(), a); err != nil || got.Gate > 0 {
				t.Errorf("a look before its send: %+v, %v", got, err)
			}
			a.Day = a.Day.Add(-24 * time.Hour)
			if n := take(t, h, a, 1); n != 0 {
				t.Error("one that was taken yesterday passed for one of today")
			}
		}},
		{"one that was not made is given back, in its day", func(t *testing.T, bucket string) {
			a := daily(bucket, 2)
			take(t, h, a, 1)
			a.Day = admission(t, h.Store, a).Day
			must(t, h.Admit.Refund(t.Context(), a))
			wantCalls(t, h, bucket, 1, 0)
			yesterday := a
			yesterday.Day = a.Day.Add(-24 * time.Hour)
			must(t, h.Admit.Refund(t.Context(), yesterday))
			wantCalls(t, h, bucket, 1, 0)
		}},
		{"a look takes none", func(t *testing.T, bucket string) {
			a := daily(bucket, 2)
			take(t, h, a, 1)
			for range 3 {
				if got, err := h.Admit.Look(t.Context(), a); err != nil || got.Gate > 0 || !got.Day.IsZero() {
					t.Fatalf("look: %+v, %v", got, err)
				}
			}
			take(t, h, a, 1)
			got, err := h.Admit.Look(t.Context(), a)
			if err != nil || got.Gate < 11*time.Hour || !strings.Contains(got.Reason, "quota of 2 calls is used up") {
				t.Errorf("when it is used up: %+v, %v", got, err)
			}
			h.exec(t, "UPDATE gates SET day_ends = clock_timestamp() WHERE bucket = $1", bucket)
			if got, err := h.Admit.Look(t.Context(), a); err != nil || got.Gate > 0 {
				t.Errorf("on the next day: %+v, %v", got, err)
			}
		}},
		{"a call whose day ends before its send asks anew", func(t *testing.T, bucket string) {
			a := daily(bucket, 2)
			a.Day = time.Now().Add(-time.Second)
			got, err := h.Admit.Look(t.Context(), a)
			if err != nil || !got.Awaits || got.Gate == 0 || got.Gate > time.Second {
				t.Errorf("got %+v, %v", got, err)
			}
		}},
		{"of one call", func(t *testing.T, bucket string) {
			a := daily(bucket, 1)
			take(t, h, a, 1)
			if got := admission(t, h.Store, a); !strings.HasPrefix(got.Reason, "the day's quota of 1 call is used up until 2") {
				t.Errorf("the reason is %q", got.Reason)
			}
		}},
		{"a pause that lasts longer is named", func(t *testing.T, bucket string) {
			a := daily(bucket, 1)
			take(t, h, a, 1)
			p := pauseOf(48*time.Hour, "retry-after")
			p.Bucket = bucket
			pause(t, h, p)
			if got := admission(t, h.Store, a); got.Reason != "retry-after" || got.Gate < 47*time.Hour {
				t.Errorf("got %+v", got)
			}
		}},
		{"with a rate it counts the same", func(t *testing.T, bucket string) {
			a := daily(bucket, 3)
			a.PerSecond = 1000
			if n := take(t, h, a, 6); n != 3 {
				t.Errorf("%d calls passed, want 3", n)
			}
			if n := queryInt(t, h.pool, "SELECT reserved FROM gates WHERE bucket = $1", bucket); n != 3 {
				t.Errorf("%d slots are reserved, want 3", n)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, test.name) })
	}
}

// A call that is not let through takes nothing of the quota, and a quota that is used up spends nothing else.
func TestQuotaSpendsNothingInVain(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 2, func(c *consents.Import) { c.ReadsPerDay = 1 })
	h.exec(t, "UPDATE consents SET valid_until = clock_timestamp() WHERE id = $1", ids[1])
	closed := pauseOf(time.Hour, "retry-after")
	closed.Bucket = "closed"
	pause(t, h, closed)
	take(t, h, daily("closed", 5), 3)
	wantCalls(t, h, "closed", 0, 0)
	over := daily("over", 5)
	over.Task = calls.Task{Consent: &finance.Consent{ID: ids[1]}}
	take(t, h, over, 3)
	wantCalls(t, h, "over", 0, 0)

	used := daily("used", 1)
	take(t, h, used, 1)
	h.exec(t, "UPDATE gates SET probing = true, refusals = 1 WHERE bucket = 'used'")
	used.Opening, used.Probe, used.Call = true, time.Minute, newCall(debtStream(ids[0])).ID
	used.Task = calls.Task{Consent: &finance.Consent{ID: ids[0]}}
	if got := admission(t, h.Store, used); got.Gate < time.Hour || got.Probe || got.Awaits {
		t.Errorf("a used-up quota: %+v", got)
	}
	if n := queryInt(t, h.pool, "SELECT (SELECT count(*) FROM consent_reads) + count(probe) FROM gates"); n != 0 {
		t.Errorf("%d reads and probes were given out", n)
	}
}

// Buckets of one crowd are counted each by itself.
func TestQuotasOfACrowd(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			if _, err := h.Admit.Admit(t.Context(), daily(fmt.Sprint("bucket ", i%3), 10)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range 3 {
		wantCalls(t, h, fmt.Sprint("bucket ", i), 10, 0)
	}
}

// Whenever the provider's day turns, on a night of the clocks too: none of its days has more calls than the
// quota. The calls come in hours that are busy, quiet or something between, around the reset at 02:30.
func TestQuotaOnTheNightsOfTheClocks(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	oslo, err := time.LoadLocation("Europe/Oslo")
	must(t, err)
	const perDay, step, seeds = 20, 5 * time.Minute, 6
	q := calls.Quota{PerDay: perDay, Resets: 150 * time.Minute, Zone: oslo}
	for seed := range uint64(seeds) {
		for _, noon := range []string{"2026-03-27T12:00:00Z", "2026-10-23T12:00:00Z"} {
			bucket := fmt.Sprint(noon, seed)
			h.exec(t, "INSERT INTO gates (bucket, connection) VALUES ($1, 'bank')", bucket)
			begin, err := time.Parse(time.RFC3339, noon)
			must(t, err)
			rng, mood := rand.New(rand.NewPCG(seed, 0)), 0
			var sent []time.Time
			var turns []calls.Reset
			for moment := begin; moment.Before(begin.Add(4 * 24 * time.Hour)); moment = moment.Add(step) {
				if next := q.Next(moment); len(turns) == 0 || !turns[len(turns)-1].Until.Equal(next.Until) {
					turns = append(turns, next)
				}
				if moment.Minute() == 0 {
					mood = rng.IntN(5)
				}
				if wall := moment.In(oslo); wall.Hour() < 6 && rng.IntN(4) < mood && h.counted(t, bucket, q, moment) {
					sent = append(sent, moment)
				}
			}
			for i := range len(turns) - 1 {
				wantAtMost(t, perDay, sent, turns[i], turns[i+1])
			}
			if n := len(sent); n < 2*perDay {
				t.Errorf("%d calls passed in four days, want at least %d", n, 2*perDay)
			}
		}
	}
}

// wantAtMost holds the calls of a day to the quota, wherever in their doubt the day's two resets are.
func wantAtMost(t *testing.T, perDay int, sent []time.Time, begins, ends calls.Reset) {
	t.Helper()
	for _, from := range []time.Time{begins.From, begins.Until} {
		for _, until := range []time.Time{ends.From, ends.Until} {
			if n := within(sent, from, until); n > perDay {
				t.Errorf("%d calls between %s and %s, want at most %d", n, from, until, perDay)
			}
		}
	}
}

// counted lets a call through at a moment, as admit_calls_v4 does, if there is one left in the day.
func (h *fixture) counted(t *testing.T, bucket string, q calls.Quota, moment time.Time) (passed bool) {
	t.Helper()
	var turns []string
	for _, r := range q.Turns(moment) {
		turns = append(turns, fmt.Sprint(r.From.UnixMicro()), fmt.Sprint(r.Until.UnixMicro()))
	}
	err := h.pool.QueryRow(t.Context(), `
		UPDATE gates g SET
			day_calls = d.day_calls + (d.day_calls < $4)::int,
			day_late = d.day_late + (d.day_calls < $4 AND $3 >= d.day_doubt)::int,
			day_doubt = d.day_doubt,
			day_ends = d.day_ends
		FROM (SELECT (on_day(o, $2, $3)).* FROM gates o WHERE o.bucket = $1) d
		WHERE g.bucket = $1
		RETURNING d.day_calls < $4`, bucket, "{"+strings.Join(turns, ",")+"}", moment, q.PerDay).Scan(&passed)
	must(t, err)
	return passed
}

func within(moments []time.Time, from, until time.Time) (n int) {
	for _, m := range moments {
		if !m.Before(from) && m.Before(until) {
			n++
		}
	}
	return n
}

// What has been counted is shown, with the end of its day. When that is over only what counts to the next
// day is left.
func TestDayCalls(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	take(t, h, daily("now", 5), 3)
	take(t, h, daily("over", 5), 3)
	take(t, h, daily("long over", 5), 3)
	take(t, h, ask(10), 1) // without a quota
	h.exec(t, "UPDATE gates SET day_ends = day_ends - interval '13 hours', day_late = 1 WHERE bucket = 'over'")
	h.exec(t, "UPDATE gates SET day_ends = day_ends - interval '3 days', day_late = 1 WHERE bucket = 'long over'")
	got, err := h.Read.DayCalls(t.Context())
	must(t, err)
	ends := daily("now", 5).Quota.Next(time.Now()).Until
	want := []read.DayCalls{
		{Bucket: "now", Connection: "bank", Calls: 3}, {Bucket: "over", Connection: "bank", Calls: 1},
	}
	if len(got) != 2 || !got[0].Ends.Equal(ends) || !got[1].Ends.IsZero() {
		t.Fatalf("got %+v", got)
	}
	got[0].Ends = time.Time{}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A batch that waits for the next day is woken when calls are left by the lowest quota that a living process
// names; one that waits for its provider is not.
func TestWakeForQuota(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 2)
	_, batches := h.plan(t, 1)
	older := h.sibling(t, time.Hour)
	older.Workers.NameQuota("bank", daily("", 1).Quota)
	h.Workers.NameQuota("bank", daily("", 2).Quota)
	must(t, older.Workers.Heartbeat(t.Context(), time.Hour))
	must(t, h.Workers.Heartbeat(t.Context(), time.Hour))
	a := daily("bank", 2)
	take(t, h, a, 1)
	for i, reason := range []string{admission(t, h.Store, a).Reason, "retry-after"} {
		reason = "bucket bank is closed: " + reason
		p := queue.Parking{For: time.Hour, Reason: reason, Bucket: "bank"}
		must(t, h.Queue.Park(t.Context(), batches[i], claim(t, h.Store, batches[i]).Fence, p))
	}
	woken := func(connections ...string) int64 {
		t.Helper()
		must(t, h.Queue.WakeForQuota(t.Context(), connections))
		return queryInt(t, h.pool, "SELECT coalesce(sum(id), 0) FROM batches WHERE wake_at <= clock_timestamp()")
	}
	if n := woken("bank"); n != 0 {
		t.Error("a batch was woken while the older process names a quota that is used up")
	}
	must(t, older.Workers.Leave(t.Context()))
	if n := woken("other"); n != 0 {
		t.Error("a batch of another connection was woken")
	}
	if n := woken("bank"); n != batches[0] {
		t.Errorf("woken are batches that add up to %d, want batch %d alone", n, batches[0])
	}
}

// A process whose clock is days behind can't count, and says so.
func TestQuotaAndAClockThatIsDaysBehind(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.exec(t, "INSERT INTO gates (bucket, connection) VALUES ('behind', 'bank')")
	_, err := h.pool.Exec(t.Context(), "SELECT on_day(g, '{1000000,2000000}', clock_timestamp()) FROM gates g")
	if err == nil || !strings.Contains(err.Error(), "the clock of this process is days behind") {
		t.Errorf("got %v", err)
	}
}
