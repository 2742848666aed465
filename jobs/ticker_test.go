package jobs_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"syncer/finance"
	"syncer/jobs"
	"syncer/persist"
	"syncer/persist/connections"
	"syncer/persist/persisttest"
	"syncer/persist/pg"
)

const day = 24 * time.Hour

// life is one process of the service, from its start to its end. With crash it dies earlier: at the first run that it
// has fired at that time or later, before the tick is noted as considered.
type life struct{ from, until, crash string }

// ticks are the nominal times of one schedule, as a calendar on the wall in Oslo has them. Nobody was there for those
// that were missed.
type ticks struct{ before, missed, after []string }

// wanted are the runs that the policy makes of them.
func (w ticks) wanted(policy jobs.CatchUp) (list []string) {
	list = append(list, w.before...)
	switch policy {
	case jobs.CatchUpAll:
		list = append(list, w.missed...)
	case jobs.CatchUpLatest:
		list = append(list, w.missed[len(w.missed)-1])
	}
	return append(list, w.after...)
}

// span is from, from + step and so on, up to to.
func span(t testing.TB, from, to string, step time.Duration) (list []string) {
	t.Helper()
	for at := instant(t, from); !at.After(instant(t, to)); at = at.Add(step) {
		list = append(list, at.Format(time.RFC3339))
	}
	return list
}

func instant(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// Two replicas live through the nights of both changes of clocks, one of them crashes at a tick, both are down for
// two weeks: the runs are exactly the runs expected, under each policy.
func TestRunsAreExactlyThoseExpected(t *testing.T) {
	if testing.Short() {
		t.Skip("lives through weeks of hourly ticks, in two replicas")
	}
	t.Parallel()
	cases := []struct {
		name                  string
		replicas              [2][]life
		daily, sundays, hours ticks // 30 2 * * *, 30 2 * * 0, 0 * * * *
	}{{
		name: "spring, a crash, two weeks down",
		replicas: [2][]life{{
			{"2026-03-28T12:10:00Z", "2026-03-30T12:10:00Z", "2026-03-29T03:00:00+02:00"},
			{"2026-03-29T05:10:00Z", "2026-03-30T12:10:00Z", ""},
			{"2026-04-13T12:10:00Z", "2026-04-14T06:10:00Z", ""},
		}, {
			{"2026-03-28T12:10:00Z", "2026-03-30T12:10:00Z", ""},
			{"2026-04-13T12:10:00Z", "2026-04-14T06:10:00Z", ""},
		}},
		daily: ticks{
			before: []string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"},
			missed: span(t, "2026-03-31T02:30:00+02:00", "2026-04-13T02:30:00+02:00", day),
			after:  []string{"2026-04-14T02:30:00+02:00"},
		},
		sundays: ticks{
			before: []string{"2026-03-29T03:00:00+02:00"},
			missed: []string{"2026-04-05T02:30:00+02:00", "2026-04-12T02:30:00+02:00"},
		},
		hours: ticks{
			before: span(t, "2026-03-28T13:00:00Z", "2026-03-30T12:00:00Z", time.Hour),
			missed: span(t, "2026-03-30T13:00:00Z", "2026-04-13T12:00:00Z", time.Hour),
			after:  span(t, "2026-04-13T13:00:00Z", "2026-04-14T06:00:00Z", time.Hour),
		},
	}, {
		name: "autumn, a crash, two weeks down",
		replicas: [2][]life{{
			{"2026-10-24T12:10:00Z", "2026-10-26T12:10:00Z", ""},
			{"2026-11-09T12:10:00Z", "2026-11-10T06:10:00Z", ""},
		}, {
			{"2026-10-24T12:10:00Z", "2026-10-26T12:10:00Z", "2026-10-25T02:30:00+02:00"},
			{"2026-10-25T00:40:00Z", "2026-10-26T12:10:00Z", ""}, // back before 02:30 comes again
			{"2026-11-09T12:10:00Z", "2026-11-10T06:10:00Z", ""},
		}},
		daily: ticks{
			before: []string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"},
			missed: span(t, "2026-10-27T02:30:00+01:00", "2026-11-09T02:30:00+01:00", day),
			after:  []string{"2026-11-10T02:30:00+01:00"},
		},
		sundays: ticks{
			before: []string{"2026-10-25T02:30:00+02:00"},
			missed: []string{"2026-11-01T02:30:00+01:00", "2026-11-08T02:30:00+01:00"},
		},
		hours: ticks{
			before: span(t, "2026-10-24T13:00:00Z", "2026-10-26T12:00:00Z", time.Hour),
			missed: span(t, "2026-10-26T13:00:00Z", "2026-11-09T12:00:00Z", time.Hour),
			after:  span(t, "2026-11-09T13:00:00Z", "2026-11-10T06:00:00Z", time.Hour),
		},
	}, {
		name: "down while the clocks change",
		replicas: [2][]life{{
			{"2026-10-17T18:10:00Z", "2026-10-18T06:10:00Z", ""},
			{"2026-11-01T06:10:00Z", "2026-11-01T12:10:00Z", ""},
		}, {
			{"2026-10-17T18:10:00Z", "2026-10-18T06:10:00Z", ""},
			{"2026-11-01T06:10:00Z", "2026-11-02T06:10:00Z", ""},
		}},
		daily: ticks{
			before: []string{"2026-10-18T02:30:00+02:00"},
			missed: append(span(t, "2026-10-19T02:30:00+02:00", "2026-10-25T02:30:00+02:00", day),
				span(t, "2026-10-26T02:30:00+01:00", "2026-11-01T02:30:00+01:00", day)...),
			after: []string{"2026-11-02T02:30:00+01:00"},
		},
		sundays: ticks{
			before: []string{"2026-10-18T02:30:00+02:00"},
			missed: []string{"2026-10-25T02:30:00+02:00", "2026-11-01T02:30:00+01:00"},
		},
	}}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := map[string][]string{}
			var all []jobs.Job
			for _, policy := range []jobs.CatchUp{jobs.CatchUpLatest, jobs.CatchUpAll, jobs.CatchUpNone} {
				for name, s := range map[string]struct {
					expr string
					ticks
				}{"daily": {"30 2 * * *", c.daily}, "sundays": {"30 2 * * 0", c.sundays}, "hours": {"0 * * * *", c.hours}} {
					if s.missed == nil {
						continue
					}
					name := fmt.Sprintf("%s, %s", name, policy)
					all = append(all, scheduled(t, name, s.expr, policy))
					want[name] = inUTC(t, s.wanted(policy))
				}
			}
			if diff := cmp.Diff(want, live(t, all, nil, c.replicas[:]...)); diff != "" {
				t.Errorf("runs (-want +got):\n%s", diff)
			}
		})
	}
}

func inUTC(t testing.TB, list []string) []string {
	t.Helper()
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = instant(t, s).UTC().Format(time.RFC3339)
	}
	return out
}

// The only process dies between firing and noting the tick as considered, on both nights. The next one finds the run made, and
// makes no second one, whatever the policy.
func TestCrashAtTheTick(t *testing.T) {
	if testing.Short() {
		t.Skip("lives from March to October, three times")
	}
	t.Parallel()
	for _, policy := range []jobs.CatchUp{jobs.CatchUpLatest, jobs.CatchUpAll, jobs.CatchUpNone} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			got := live(t, []jobs.Job{scheduled(t, "daily", "30 2 * * *", policy)}, nil, []life{
				{"2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", "2026-03-29T01:00:00Z"},
				{"2026-03-29T01:00:10Z", "2026-03-30T12:00:00Z", ""},
			}, []life{
				{"2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z", "2026-10-25T00:30:00Z"},
				{"2026-10-25T00:30:10Z", "2026-10-26T12:00:00Z", ""},
			})
			want := []string{"2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}
			switch policy { // from March to October nobody was there
			case jobs.CatchUpLatest:
				want = []string{want[0], want[1], "2026-10-24T00:30:00Z", want[2], want[3]}
			case jobs.CatchUpAll:
				want = append(append(want[:2:2], inUTC(t, span(t, "2026-03-31T00:30:00Z", "2026-10-24T00:30:00Z", day))...), want[2:]...)
			}
			if diff := cmp.Diff(map[string][]string{"daily": want}, got); diff != "" {
				t.Errorf("runs (-want +got):\n%s", diff)
			}
		})
	}
}

// A process that comes up just before a tick and is busy catching up does not miss it.
func TestTickDuringCatchUp(t *testing.T) {
	t.Parallel()
	slow := func(string) { <-time.After(2 * time.Second) }
	got := live(t, []jobs.Job{scheduled(t, "hours", "0 * * * *", jobs.CatchUpLatest)}, slow,
		[]life{
			{"2026-06-01T09:30:00Z", "2026-06-01T10:30:00Z", ""},
			{"2026-06-01T12:59:59Z", "2026-06-01T14:30:00Z", ""},
		})
	want := []string{"2026-06-01T10:00:00Z", "2026-06-01T12:00:00Z", "2026-06-01T13:00:00Z", "2026-06-01T14:00:00Z"}
	if diff := cmp.Diff(want, got["hours"]); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
}

// onOneClock runs f on a clock of the test's own that begins at the given time, with a database.
func onOneClock(t *testing.T, from string, f func(t *testing.T, pool *pgxpool.Pool)) {
	t.Helper()
	url := persisttest.URL(t)
	synctest.Test(t, func(t *testing.T) {
		// Time stands still while anybody waits for the database, so it is as quick as it seems.
		<-time.After(time.Until(instant(t, from).Add(-time.Minute)))
		pool, err := pg.Open(t.Context(), url, pg.Options{MaxConns: 6})
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		f(t, pool)
	})
}

// A schedule that was edited, or taken away and given back, begins when it is seen. What it would have fired before was
// never missed, so nothing is caught up; what the same schedule missed still is.
func TestAnEditedScheduleDoesNotFireAtOnce(t *testing.T) {
	t.Parallel()
	onOneClock(t, "2026-06-01T12:00:00Z", func(t *testing.T, pool *pgxpool.Pool) {
		night, morning := scheduled(t, "daily", "30 2 * * *", jobs.CatchUpLatest), scheduled(t, "daily", "0 9 * * *", jobs.CatchUpLatest)
		byHand := morning
		byHand.Schedule = nil
		for _, l := range []struct {
			life
			jobs.Job
		}{
			{life{"2026-06-01T12:00:00Z", "2026-06-02T12:00:00Z", ""}, night},
			{life{"2026-06-05T12:00:00Z", "2026-06-06T12:00:00Z", ""}, morning}, // edited while nobody was there
			{life{"2026-06-07T12:00:00Z", "2026-06-07T18:00:00Z", ""}, morning}, // the same: 09:00 was missed
			{life{"2026-06-07T19:00:00Z", "2026-06-07T20:00:00Z", ""}, byHand},
			{life{"2026-06-10T12:00:00Z", "2026-06-11T12:00:00Z", ""}, morning},
		} {
			l.live(t, pool, []jobs.Job{l.Job}, nil)
		}
		want := map[string][]string{"daily": {"2026-06-02T00:30:00Z", "2026-06-06T07:00:00Z", "2026-06-07T07:00:00Z", "2026-06-11T07:00:00Z"}}
		if diff := cmp.Diff(want, scheduledRuns(t, pool)); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

// A tick that can't be fired at once has not been missed: it is fired when it can be, under every policy. Until then it
// is tried more and more seldom, since each try may cost a call.
func TestATickThatCanNotBeFiredIsNotLost(t *testing.T) {
	t.Parallel()
	onOneClock(t, "2026-06-01T12:00:00Z", func(t *testing.T, pool *pgxpool.Pool) {
		all := []jobs.Job{scheduled(t, "none", "30 2 * * *", jobs.CatchUpNone), scheduled(t, "latest", "30 2 * * *", jobs.CatchUpLatest)}
		var trouble sync.WaitGroup
		trouble.Go(func() {
			for _, at := range []struct{ when, sql string }{
				{"2026-06-02T00:20:00Z", "ALTER TABLE consents RENAME TO away"}, {"2026-06-02T00:50:00Z", "ALTER TABLE away RENAME TO consents"},
			} {
				<-time.After(time.Until(instant(t, at.when)))
				if _, err := pool.Exec(t.Context(), at.sql); err != nil {
					t.Error(err)
				}
			}
		})
		var told bytes.Buffer
		life{"2026-06-01T12:00:00Z", "2026-06-02T12:00:00Z", ""}.tell(t, pool, all, nil, zerolog.New(zerolog.SyncWriter(&told)))
		trouble.Wait()
		want := map[string][]string{"none": {"2026-06-02T00:30:00Z"}, "latest": {"2026-06-02T00:30:00Z"}}
		if diff := cmp.Diff(want, scheduledRuns(t, pool)); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
		if n := bytes.Count(told.Bytes(), []byte("firing failed")); n < 2*5 || n > 2*11 {
			t.Errorf("two jobs were tried %d times in 20 minutes", n)
		}
	})
}

func scheduled(t testing.TB, name, expr string, policy jobs.CatchUp) jobs.Job {
	t.Helper()
	oslo, err := time.LoadLocation("Europe/Oslo")
	if err != nil {
		t.Fatal(err)
	}
	s, err := jobs.ParseSchedule(expr, oslo)
	if err != nil {
		t.Fatal(err)
	}
	return jobs.Job{Name: name, Connection: "registry", Datasets: []finance.Dataset{finance.Debts}, Schedule: s, Zone: oslo,
		CatchUp: policy, BatchSize: 100}
}

// live lets replicas live their lives, each one after the other, on one database and on a clock of the test's own,
// and gives the nominal times of the runs of each job.
func live(t *testing.T, all []jobs.Job, fired func(string), replicas ...[]life) map[string][]string {
	t.Helper()
	var got map[string][]string
	onOneClock(t, replicas[0][0].from, func(t *testing.T, pool *pgxpool.Pool) {
		var wg sync.WaitGroup
		for _, lives := range replicas {
			wg.Go(func() {
				for _, l := range lives {
					l.live(t, pool, all, fired)
				}
			})
		}
		wg.Wait()
		got = scheduledRuns(t, pool)
	})
	return got
}

// scheduledRuns are the nominal times of the runs of each job.
func scheduledRuns(t *testing.T, pool *pgxpool.Pool) map[string][]string {
	t.Helper()
	got := map[string][]string{}
	rows, err := pool.Query(t.Context(), "SELECT job, scheduled_for FROM runs WHERE kind = 'scheduled' ORDER BY job, scheduled_for")
	if err != nil {
		t.Fatal(err)
	}
	var job string
	var at time.Time
	if _, err := pgx.ForEachRow(rows, []any{&job, &at}, func() error {
		got[job] = append(got[job], at.UTC().Format(time.RFC3339))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func (l life) live(t *testing.T, pool *pgxpool.Pool, all []jobs.Job, fired func(string)) {
	t.Helper()
	l.tell(t, pool, all, fired, zerolog.Nop())
}

// tell is live, with a log.
func (l life) tell(t *testing.T, pool *pgxpool.Pool, all []jobs.Job, fired func(string), log zerolog.Logger) {
	<-time.After(time.Until(instant(t, l.from)))
	ctx, die := context.WithDeadline(t.Context(), instant(t, l.until))
	defer die()
	engine, err := jobs.New(jobs.Options{
		Store: persist.NewStore(pool, nil, pg.Worker{ID: uuid.New()}), Pool: pool, Jobs: all,
		Connections: []*jobs.Connection{{Name: "registry", Endpoint: connections.Endpoint{Provider: "norskgjeld"}}}, Log: log,
		Step: func(step string) {
			if fired != nil {
				fired(step)
			}
			if step == "tick.fired" && l.crash != "" && !time.Now().Before(instant(t, l.crash)) {
				die()
			}
		},
	})
	if err == nil {
		err = engine.Start(ctx)
	}
	if err != nil {
		t.Errorf("a process did not come up at %s: %v", l.from, err)
		return
	}
	engine.Tick(ctx)
}
