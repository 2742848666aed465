package jobs_test

import (
	"strings"
	"testing"
	"time"

	"syncer/finance"
	"syncer/persist/queue"
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
	n := l.start(nodeOptions{batchSize: 5, maxWait: 2 * time.Second})
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
	// Who was never asked, since others had the call each time the gate opened, has its turn behind the stubborn one.
	l.eventually("the run has its verdict", func() bool {
		_, err := l.db.Pool.Exec(t.Context(), "UPDATE batches SET wake_at = now() WHERE state = 'parked'")
		l.must(err)
		return l.number("SELECT count(*) FROM runs WHERE id = $1 AND verdict IS NOT NULL", run.ID) == 1
	})
	r := l.settled(n, run)
	if r.Run.Verdict != queue.VerdictPartial || len(r.NotComplete) != 1 || r.NotComplete[0].Class != finance.Throttled {
		t.Errorf("%s, %+v", r.Run.Verdict, r.NotComplete)
	}
	// Each refusal doubles the pause, which goes on where it was when the batch wakes. The answers to the others begin
	// the row anew while they come.
	if calls := l.calls(2); calls < 8 || calls > 24 {
		t.Errorf("%d calls", calls)
	}
}

// An item that was never asked has not been throttled, however often its batch was parked: the gate is closed for what
// another one was answered. Two are answered, the third is refused, and three stand behind it.
func TestAnItemThatWasNeverAskedIsNotThrottled(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 6}, banksim.Options{})
	l.importNG(6)
	refuse := sandbox.Action{Kind: sandbox.AnswerStatus, Status: 429}
	l.fault(sandbox.Rule{Provider: ngsim.Name, PathPrefix: "/v1/debt/", After: 2, Action: refuse})
	n := l.start(nodeOptions{batchSize: 6, concurrency: 1, maxWait: time.Second})
	l.fire(n, debt)
	parked := func(claims int) {
		l.Helper()
		l.eventually("the batch parked", func() bool {
			return l.number("SELECT count(*) FROM batches WHERE state = 'parked' AND claims = $1", claims) == 1
		})
	}
	parked(1)
	for _, sql := range []string{
		"UPDATE items SET attempts = 3 WHERE outcome IS NULL",
		"UPDATE gates SET not_before = now() + interval '1 hour' WHERE probing",
		"UPDATE batches SET wake_at = now()",
	} {
		_, err := l.db.Pool.Exec(t.Context(), sql)
		l.must(err)
	}
	parked(2)
	if failed := l.number("SELECT count(*) FROM items WHERE outcome = 'failed'"); failed > 1 {
		t.Errorf("%d items have failed, and only one was ever asked", failed)
	}
}

// A provider that refuses everybody, without a time, is waited for two hours and no longer. The hours are made to pass by
// making the run older.
func TestAProviderThatRefusesEverybodyIsNotWaitedForWithoutEnd(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 3}, banksim.Options{})
	l.importNG(3)
	l.fault(sandbox.Rule{Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 429}})
	n := l.start(nodeOptions{batchSize: 3, maxWait: 20 * time.Millisecond})
	run := l.fire(n, debt)
	parked := func(claims int) {
		l.eventually("the batch parked", func() bool {
			return l.number("SELECT count(*) FROM batches WHERE state = 'parked' AND claims >= $1", claims) == 1
		})
	}
	exec := func(sql string) {
		if _, err := l.db.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	wake := "UPDATE batches SET wake_at = now() WHERE state = 'parked'"
	for claims := 1; claims <= 5; claims++ { // oftener than one item alone is waited for
		parked(claims)
		exec(wake)
	}
	parked(6)
	if n := l.number("SELECT count(*) FROM batches b JOIN gates g ON g.bucket = b.park_bucket"); n != 1 {
		t.Error("nobody knows which bucket the batch waits for")
	}
	exec("UPDATE runs SET created_at = created_at - interval '2 hours 1 minute'")
	exec(wake)
	r := l.settled(n, run)
	for _, item := range r.NotComplete {
		if item.Outcome != finance.Failed || item.Class != finance.Throttled || !strings.Contains(item.Reason, "refused every call for 2h0m0s") {
			t.Errorf("%+v", item)
		}
	}
	if r.Run.Verdict != queue.VerdictFailed || len(r.NotComplete) != 3 {
		t.Errorf("%s, %d items", r.Run.Verdict, len(r.NotComplete))
	}
}
