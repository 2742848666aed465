package jobs_test

import (
	"testing"

	"syncer/finance"
	"syncer/persist"
	"syncer/sandbox"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// An item that is throttled whenever it is asked for, without a time, holds its run for some minutes and not for ever;
// the others are done meanwhile. The minutes are made to pass by waking the batch.
func TestAnItemThatIsThrottledForEverFails(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 5}, banksim.Options{})
	l.importNG(5)
	stubborn := l.ng.Consent(2).ID
	l.fault(sandbox.Rule{Subject: stubborn, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 429}})
	n := l.start(nodeOptions{batchSize: 5})
	run := l.fire(n, debt)
	for parks := 1; parks <= 3; parks++ {
		l.eventually("the batch parked", func() bool {
			return l.number("SELECT count(*) FROM batches WHERE state = 'parked' AND claims = $1", parks) == 1
		})
		if n := l.number("SELECT extract(epoch FROM wake_at - now())::int FROM batches"); n < 60<<(parks-1)-20 || n > 60<<(parks-1) {
			t.Errorf("parked for %d seconds the %d. time", n, parks)
		}
		if _, err := l.db.Pool.Exec(t.Context(), "UPDATE batches SET wake_at = now() WHERE state = 'parked'"); err != nil {
			t.Fatal(err)
		}
	}
	r := l.settled(n, run)
	if r.Run.Verdict != persist.VerdictPartial || len(r.NotComplete) != 1 || r.NotComplete[0].Class != finance.Throttled {
		t.Errorf("%s, %+v", r.Run.Verdict, r.NotComplete)
	}
	if calls := l.calls(2); calls != 4*6 {
		t.Errorf("%d calls", calls)
	}
}
