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

func (l *lab) budget(reads int) {
	l.Helper()
	if _, err := l.db.Pool.Exec(l.Context(), "UPDATE consents SET reads_per_day = $1", reads); err != nil {
		l.Fatal(err)
	}
}

// An item is one read, however many accounts and pages it has, so that four reads a day are two nights of accounts and
// transactions; the third finds the day used up and calls nobody.
func TestAnItemIsOneRead(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{}, banksim.Options{Customers: 4, Transactions: 150})
	l.importBank(4)
	l.budget(4)
	n := l.start(nodeOptions{})
	for night, want := range []int{2, 4} {
		if r := l.run(n, money); r.Run.Verdict != queue.VerdictComplete {
			t.Fatalf("night %d: %s, %+v", night, r.Run.Verdict, r.NotComplete)
		}
		if got := l.number("SELECT max(n) FROM (SELECT count(*) AS n FROM consent_reads GROUP BY consent_id) x"); got != want {
			t.Errorf("night %d: %d reads are spent, want %d", night, got, want)
		}
	}
	if accounts := l.number("SELECT count(*) FROM accounts"); accounts <= 4 {
		t.Fatalf("%d accounts of 4 customers prove nothing", accounts)
	}
	arrived := l.kit.Journal.Arrivals()
	r := l.run(n, money)
	for _, item := range r.NotComplete {
		if item.Outcome != finance.Excused || !strings.Contains(item.Reason, "daily reads spent: next at 2") {
			t.Errorf("%+v", item)
		}
	}
	if len(r.NotComplete) != 8 || l.kit.Journal.Arrivals() != arrived {
		t.Errorf("%d items were refused after %d more calls", len(r.NotComplete), l.kit.Journal.Arrivals()-arrived)
	}
}

// A refused token is renewed and its call made again. Where that would take a read that the consent does not have, the
// missing read is why the item is not there: nobody knows yet whether the new token is good.
func TestARefusedTokenWhereNoReadIsLeft(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 1}, banksim.Options{})
	l.importNG(1)
	l.budget(1)
	l.fault(sandbox.Rule{Template: debtTemplate, Times: 1, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 401}})
	r := l.run(l.start(nodeOptions{}), debt)
	if r.Run.Verdict != queue.VerdictFailed || len(r.NotComplete) != 1 {
		t.Fatalf("%s: %+v", r.Run.Verdict, r.NotComplete)
	}
	item := r.NotComplete[0]
	if item.Outcome != finance.Failed || item.Class != finance.Spent || item.Call.IsZero() ||
		!strings.HasPrefix(item.Reason, "daily reads spent: next at 2") ||
		!strings.HasSuffix(item.Reason, "; the call before was answered: invalid access token") {
		t.Errorf("%+v", item)
	}
}

// A read that met a gate which had just closed is not spent: the batch is parked, and when it wakes up the one read that
// the consent has is still there.
func TestAReadThatMetAClosedGateIsNotSpent(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 12}, banksim.Options{})
	l.importNG(12)
	l.budget(2) // one, and one for the consent that is told to wait
	l.fault(sandbox.Rule{Template: debtTemplate, After: 3, Times: 1, Action: sandbox.Action{
		Kind: sandbox.AnswerStatus, Status: 429, RetryAfter: sandbox.RetryAfter{Seconds: 2}}})
	n := l.start(nodeOptions{maxWait: time.Second, batchSize: 12})
	if r := l.run(n, debt); r.Run.Verdict != queue.VerdictComplete {
		t.Errorf("%s: %+v", r.Run.Verdict, r.NotComplete)
	}
	l.must(l.kit.Journal.WaitForAnswers(t.Context()))
	calls := 0
	for i := range 12 {
		calls += l.calls(i)
	}
	if spent := l.number("SELECT count(*) FROM consent_reads"); spent != calls {
		t.Errorf("%d reads are spent for %d calls", spent, calls)
	}
}
