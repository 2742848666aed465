// Package nights proves that processes which begin after a long absence catch up on each missed night as its job says.
package nights

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/proof/lab"
)

// TestMain builds the program that wakes up here.
func TestMain(m *testing.M) { lab.Main(m) }

// oslo is the real zone with its last two changes of clocks.
type oslo struct {
	*time.Location
	spring, autumn time.Time // the instants at which the clocks changed
}

// changesBefore finds the changes, so that the test stays near them in every year.
func changesBefore(t testing.TB, now time.Time) oslo {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Oslo")
	if err != nil {
		t.Fatal(err)
	}
	o := oslo{Location: zone}
	for at := now.In(zone); o.spring.IsZero() || o.autumn.IsZero(); {
		change, _ := at.ZoneBounds()
		if change.IsZero() {
			t.Fatal("Europe/Oslo never changed its clocks")
		}
		at = change.Add(-time.Second)
		_, before := at.Zone()
		_, after := change.Zone()
		switch {
		case after-before == 3600 && o.spring.IsZero():
			o.spring = change
		case after-before == -3600 && o.autumn.IsZero():
			o.autumn = change
		}
	}
	return o
}

// evening is six o'clock on the eve of a change.
func (o oslo) evening(change time.Time) time.Time {
	y, m, d := change.In(o.Location).Date()
	return time.Date(y, m, d-1, 18, 0, 0, 0, o.Location)
}

// halfPastTwo are the nights' 02:30 in (after, until], one for each night: where clocks jump over it the instant at
// which they do, where it comes twice the first. keep says which days count.
func (o oslo) halfPastTwo(after, until time.Time, keep func(day time.Time) bool) (all []time.Time) {
	y, m, d := after.In(o.Location).Date()
	for {
		noon := time.Date(y, m, d, 12, 0, 0, 0, o.Location)
		at := time.Date(y, m, d, 2, 30, 0, 0, o.Location)
		switch noon {
		case o.noon(o.spring):
			at = o.spring
		case o.noon(o.autumn):
			at = o.autumn.Add(-30 * time.Minute)
		}
		if at.After(until) {
			return all
		}
		if at.After(after) && keep(noon) {
			all = append(all, at)
		}
		d++
	}
}

func (o oslo) noon(at time.Time) time.Time {
	y, m, d := at.In(o.Location).Date()
	return time.Date(y, m, d, 12, 0, 0, 0, o.Location)
}

// hours are n instants an hour apart.
func hours(first time.Time, n int) (all []time.Time) {
	for i := range n {
		all = append(all, first.Add(time.Duration(i)*time.Hour))
	}
	return all
}

// pastNights are jobs that nobody has served for a while: since the eve of the earlier change, so that both nights lie
// in that time, since the eve of one, and for two weeks.
func pastNights(t testing.TB, now time.Time) (jobs []lab.Timed) {
	o := changesBefore(t, now.AddDate(0, 0, -2))
	earlier := o.spring
	if o.autumn.Before(earlier) {
		earlier = o.autumn
	}
	long, fortnight := o.evening(earlier), now.AddDate(0, 0, -14)
	every := func(time.Time) bool { return true }
	sunday := func(day time.Time) bool { return day.Weekday() == time.Sunday }
	// The hourly job runs at a minute that comes again only when the test is over.
	hourly := now.Add(-20 * time.Minute).Truncate(time.Minute)
	springDay, autumnDay := o.spring.In(o.Location).Format("2 1"), o.autumn.In(o.Location).Format("2 1")
	firstHour := func(change time.Time) time.Time { return o.noon(change.AddDate(0, 0, -1)).Add(12 * time.Hour) }
	for _, policy := range []string{"latest", "all", "none"} {
		add := func(name, expr string, considered time.Time, due []time.Time) {
			jobs = append(jobs, lab.Timed{Name: name + "-" + policy, Expr: expr, Zone: "Europe/Oslo", CatchUp: policy,
				ConsideredAt: considered, Due: due})
		}
		add("daily", "30 2 * * *", long, o.halfPastTwo(long, now, every))
		add("sundays", "30 2 * * 0", long, o.halfPastTwo(long, now, sunday))
		add("spring", "30 2 "+springDay+" *", o.evening(o.spring), []time.Time{o.spring})
		add("autumn", "30 2 "+autumnDay+" *", o.evening(o.autumn), []time.Time{o.autumn.Add(-30 * time.Minute)})
		add("spring-hours", "0 * "+springDay+" *", o.evening(o.spring), hours(firstHour(o.spring), 23))
		add("autumn-hours", "0 * "+autumnDay+" *", o.evening(o.autumn), hours(firstHour(o.autumn), 25))
		add("down-daily", "30 2 * * *", fortnight, o.halfPastTwo(fortnight, now, every))
		add("down-sundays", "30 2 * * 0", fortnight, o.halfPastTwo(fortnight, now, sunday))
		add("down-hours", fmt.Sprintf("%d * * * *", hourly.Minute()), fortnight, hours(hourly.Add(-(14*24-1)*time.Hour), 14*24))
	}
	return jobs
}

// TestServeAfterPastNights starts two real processes at once behind a long absence: the real nights of both changes in
// Oslo, and two weeks. Each is killed at a tick, the run made and the tick not noted, and started again. The runs
// are exactly those that a calendar and the policies say.
func TestServeAfterPastNights(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	for {
		began := time.Now()
		n := lab.NewNights(t, 0, pastNights(t, began))
		// Neither can bring the fortnight of hours to its end before it dies, so the other finds enough to die of too.
		a, b := n.Serve("kill tick.fired 150"), n.Serve("kill tick.fired 300")
		n.Dies(a)
		a = n.Serve("")
		n.Dies(b)
		b = n.Serve("")
		n.Considered(began)
		n.Leave(a, b)
		// A tick of this minute is on time for a process that is quick and missed for one that is not. Both are right,
		// and so nothing is proven by a round that begins or ends around one: it is played again, once a night.
		if tick := changesBefore(t, began).halfPastTwo(began.Add(-time.Minute), time.Now(), func(time.Time) bool { return true }); len(tick) > 0 {
			t.Logf("%s fell into the round: once more", tick[0])
			continue
		}
		want, got := n.Runs(time.Now())
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("runs (-want +got):\n%s%s", diff, n.Complaints())
		}
		total := 0
		for _, runs := range want {
			total += len(runs)
		}
		t.Logf("%d runs of %d jobs in %s", total, len(want), time.Since(began).Round(time.Second))
		n.Verify()
		return
	}
}
