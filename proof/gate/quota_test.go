package gate

import (
	"math/rand/v2"
	"testing"
	"time"

	"syncer/persist/persisttest"
	"syncer/proof/lab"
	"syncer/sandbox/norskgjeld"
)

// The proof of a day's quota: the rate makes a day last for some seconds of three processes' work.
const (
	quotaPerDay      = 180
	quotaRate        = 40
	quotaConcurrency = 4
	quotaBatches     = 2
	quotaKills       = 20 // at least
	quotaDayKills    = 8  // at most in a day, so that the calls which die with a process leave the day well used
	quotaResets      = 2
	quotaMostDays    = 10 // four are enough
)

// TestADaysQuotaIsNeverExceeded: three processes share a quota of calls a day, while one after the other is
// killed and started anew. The sandbox's journal must show no day with more calls than the quota, over two
// resets at least, and no day that is used up with fewer than the kills explain: what was taken by a
// process that is dead is lost until the reset. The run then comes to its end, and no item fails for the
// quota.
//
// Nobody waits for midnight here: once a day is used up and all that was let through has arrived, the end
// of the day that stands in the database is moved to now, and the parked batches are woken, as the end
// would wake them. What happens around a reset while calls are made is proven by the tests of persist
// (TestQuota, TestQuotaOnTheNightsOfTheClocks).
func TestADaysQuotaIsNeverExceeded(t *testing.T) {
	lab.Long(t)
	persisttest.Turn(t)
	const consents = 500
	l := lab.New(t, lab.Options{
		NG:   norskgjeld.Options{Consents: consents, DebtFree: 0.5, MaxLoans: 2, Start: time.Now().Add(-time.Hour)},
		Rate: quotaRate, PerDay: quotaPerDay, Concurrency: quotaConcurrency,
		BatchSize: 5, Batches: quotaBatches, MaxWait: "5s", Lease: "1s",
	})
	l.ImportNG("ng1", 0, consents)
	l.Plan("debt1")
	q := &quotaProof{Lab: l, processes: make([]*lab.Process, 3)}
	for i := range q.processes {
		q.processes[i] = l.Start(nil, "work", "--job", "debt1")
	}
	for q.open() {
		q.day(t)
		if q.days == quotaMostDays {
			t.Fatalf("the run has not ended after %d days", q.days)
		}
	}
	resets := q.days - 1
	t.Logf("%d calls in %d days, the busiest with %d of %d; %d kills; %d calls died with their processes",
		q.arrived, q.days, q.busiest, quotaPerDay, q.kills, q.lost)
	if resets < quotaResets || q.kills < quotaKills {
		t.Errorf("%d resets and %d kills, want at least %d and %d", resets, q.kills, quotaResets, quotaKills)
	}
	for _, p := range q.processes {
		p.Kill()
	}
	if n := l.Number("SELECT count(*) FROM runs WHERE verdict = 'complete'"); n != 1 {
		t.Errorf("%d runs are complete, want 1", n)
	}
	l.Verify()
}

// quotaProof counts what arrives in each day.
type quotaProof struct {
	*lab.Lab
	processes                           []*lab.Process
	days, kills, arrived, busiest, lost int
}

// open says that the run goes on.
func (q *quotaProof) open() bool {
	return q.Number("SELECT count(*) FROM runs WHERE verdict IS NULL") > 0
}

// counted is how many calls the database has counted to the day.
func (q *quotaProof) counted() int {
	return q.Number("SELECT coalesce(sum(day_calls), 0) FROM gates WHERE bucket LIKE 'ng1@%'")
}

// resting says that nobody works: every batch that is not done is parked until the day ends. When all are done the
// run is about to have its verdict.
func (q *quotaProof) resting() bool {
	return q.Number(`SELECT (count(*) > 0
			AND bool_and(state = 'parked' AND wake_at > clock_timestamp() + interval '1 hour'))::int
		FROM batches
		WHERE state <> 'done'`) == 1
}

// day kills processes while there is something left of the day, until all wait for its end, and ends it then.
func (q *quotaProof) day(t *testing.T) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	kills, next := 0, time.Now().Add(time.Second)
	for q.open() && !q.resting() {
		select {
		case <-q.Context().Done():
			q.Fatal(q.Context().Err())
		case <-ticker.C:
		}
		if now := time.Now(); now.After(next) && kills < quotaDayKills && q.counted() < quotaPerDay {
			i := rand.IntN(len(q.processes))
			q.processes[i].Kill()
			q.processes[i] = q.Start(nil, "work", "--job", "debt1")
			kills++
			next = now.Add(time.Duration(150+rand.IntN(300)) * time.Millisecond)
		}
	}
	if err := q.Kit.Journal.WaitForAnswers(q.Context()); err != nil {
		q.Fatal(err)
	}
	all, counted := len(dataCalls(q.Lab)["client-1"]), q.counted()
	arrived := all - q.arrived
	q.arrived, q.busiest = all, max(q.busiest, arrived)
	q.days++
	q.kills += kills
	q.lost += counted - arrived
	t.Logf("day %d: %d calls arrived, %d were counted; %d kills", q.days, arrived, counted, kills)
	if arrived > counted || counted > quotaPerDay {
		t.Errorf("day %d has %d calls, and %d were counted, of %d", q.days, arrived, counted, quotaPerDay)
	}
	if lost := counted - arrived; lost > kills*quotaConcurrency*quotaBatches {
		t.Errorf("%d calls of day %d were counted and never made, which %d kills don't explain", lost, q.days, kills)
	}
	for _, sql := range []string{
		"UPDATE gates SET day_ends = clock_timestamp()",
		"UPDATE batches SET wake_at = clock_timestamp() WHERE state = 'parked'",
	} {
		if _, err := q.DB.Pool.Exec(q.Context(), sql); err != nil {
			q.Fatal(err)
		}
	}
}
