package jobs_test

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/plan"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/sandbox"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// drifted makes a row of the bank's first answer behind the list of accounts unreadable.
func drifted() sandbox.Rule {
	return sandbox.Rule{Provider: banksim.Name, Only: "api", After: 1, Times: 1,
		Action: sandbox.Action{Kind: sandbox.Replace, Old: `"accountingDate":`, New: `"accountingDate":17,"drifted":`}}
}

// TestARerunBringsWhatWasInQuarantine: a row far behind the lookback was unreadable once. The run is partial until a
// rerun has read it.
func TestARerunBringsWhatWasInQuarantine(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{}, banksim.Options{Customers: 1, Transactions: 80})
	l.importBank(1)
	clear := l.fault(drifted())
	n := l.start(nodeOptions{})
	root := l.run(n, money)
	if root.Run.Verdict != queue.VerdictPartial || l.number("SELECT count(*) FROM quarantine") != 1 {
		t.Fatalf("the first run is %s %+v", root.Run.Verdict, root.NotComplete)
	}
	clear()
	had := l.number("SELECT count(*) FROM transactions")
	rerun, root := l.rerun(n, root.Run, plan.Selection{})
	if has := l.number("SELECT count(*) FROM transactions"); has != had+1 {
		t.Errorf("the rerun is %s, the first run %s; there were %d transactions and are %d", rerun.Run.Verdict, root.Run.Verdict, had, has)
	}
	if rerun.Run.Verdict != queue.VerdictComplete || root.Run.Verdict != queue.VerdictComplete {
		t.Errorf("the rerun is %s, the first run %s", rerun.Run.Verdict, root.Run.Verdict)
	}
}

// TestARunThatGoesOnWithAPassKnowsWhatIsMissing: the pass of the first run broke off behind a page with a row in
// quarantine, so the rerun that goes on with it has not proven the item.
func TestARunThatGoesOnWithAPassKnowsWhatIsMissing(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{}, banksim.Options{Customers: 1, Transactions: 80})
	l.importBank(1)
	unspoil := l.fault(drifted())
	mend := l.fault(sandbox.Rule{Provider: banksim.Name, Only: "api", After: 2,
		Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 400, Body: "{}"}})
	n := l.start(nodeOptions{})
	root := l.run(n, money)
	if l.number("SELECT count(*) FROM quarantine") != 1 || l.number("SELECT count(*) FROM cursors WHERE mid_pass") != 1 {
		t.Fatalf("the first run did not break off behind a row in quarantine: %s %+v", root.Run.Verdict, root.NotComplete)
	}
	unspoil()
	mend()
	had := l.number("SELECT count(*) FROM transactions")
	rerun, root := l.rerun(n, root.Run, plan.Selection{})
	if rerun.Run.Verdict != queue.VerdictPartial || root.Run.Verdict != queue.VerdictPartial {
		t.Errorf("the rerun is %s, the first run %s; there were %d transactions and are %d", rerun.Run.Verdict, root.Run.Verdict,
			had, l.number("SELECT count(*) FROM transactions"))
	}
	rerun, root = l.rerun(n, root.Run, plan.Selection{})
	if rerun.Run.Verdict != queue.VerdictComplete || root.Run.Verdict != queue.VerdictComplete {
		t.Errorf("the second rerun is %s, the first run %s", rerun.Run.Verdict, root.Run.Verdict)
	}
}

// TestARecordThatStaysBrokenHoldsNothingBack: the second time it comes with the same bytes the position passes it. From then
// on a night costs what it always did, quarantine has the record once, and the item is partial until it is resolved.
func TestARecordThatStaysBrokenHoldsNothingBack(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{}, banksim.Options{Customers: 1, Transactions: 400})
	l.importBank(1)
	n := l.start(nodeOptions{})
	l.run(n, money)
	quiet := l.run(n, money)
	var id string
	l.must(l.db.Pool.QueryRow(t.Context(), `SELECT transaction_id FROM transactions
		WHERE transaction_id NOT LIKE '%-%' ORDER BY booked_on LIMIT 1`).Scan(&id))
	_, err := l.db.Pool.Exec(t.Context(), `TRUNCATE cursors, pages, transactions, transactions_history, answers`)
	l.must(err)
	member := fmt.Sprintf("%q:%q,", "transactionId", id)
	clear := l.fault(sandbox.Rule{Provider: banksim.Name, Only: "api",
		Action: sandbox.Action{Kind: sandbox.Replace, Old: member, New: member + "\"odd\":\"a\nb\","}})

	callsOf := func(r read.Report) int {
		return l.number("SELECT count(*) FROM calls WHERE purpose = 'data' AND run_id = $1", r.Run.ID)
	}
	var calls []int
	for night, want := range []string{"1 true", "2 false", "2 false"} {
		r := l.run(n, money)
		calls = append(calls, callsOf(r))
		if r.Run.Verdict != queue.VerdictPartial || len(r.NotComplete) != 1 || r.NotComplete[0].Class != finance.Malformed {
			t.Fatalf("night %d is %s: %+v", night+1, r.Run.Verdict, r.NotComplete)
		}
		var got string
		l.must(l.db.Pool.QueryRow(t.Context(), `SELECT string_agg(times || ' ' || held, ',') FROM quarantine
			WHERE record_id = $1 AND resolved_at IS NULL`, id).Scan(&got))
		if got != want {
			t.Errorf("night %d: quarantine has %s, want %s", night+1, got, want)
		}
	}
	if calls[1] <= callsOf(quiet) || calls[2] != callsOf(quiet) {
		t.Errorf("the nights took %v calls, a quiet one takes %d", calls, callsOf(quiet))
	}

	list, err := l.store.Read.Quarantine(t.Context(), read.QuarantineFilter{})
	l.must(err)
	l.must(l.store.Streams.AcceptQuarantined(t.Context(), list[0].ID, "the bank will not mend it"))
	if r := l.run(n, money); r.Run.Verdict != queue.VerdictComplete {
		t.Errorf("after it was accepted: %s %+v", r.Run.Verdict, r.NotComplete)
	}
	clear()
}

// blind can't read any record, until it is mended.
type blind struct {
	fetch.Connector
	mended *atomic.Bool
}

func (b blind) Pages(ctx context.Context, s fetch.Stream, from string) iter.Seq2[fetch.Page, error] {
	return func(yield func(fetch.Page, error) bool) {
		for page, err := range b.Connector.Pages(ctx, s, from) {
			if !b.mended.Load() {
				page.Rejects, page.Records = make([]finance.Reject, page.Records.Len()), finance.Records{}
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

// TestMostlyUnreadableFails: where nothing can be read the item fails, and is not merely partial.
func TestMostlyUnreadableFails(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{}, banksim.Options{Customers: 1, Transactions: 80})
	l.importBank(1)
	var mended atomic.Bool
	mended.Store(true)
	n := l.start(nodeOptions{wrap: func(c fetch.Connector) fetch.Connector { return blind{c, &mended} }})
	l.run(n, money)
	mended.Store(false)
	root := l.run(n, money)
	failed := 0
	for _, item := range root.NotComplete {
		if item.Dataset == finance.Transactions && item.Outcome == finance.Failed && item.Class == finance.Malformed {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("the run is %s: %+v", root.Run.Verdict, root.NotComplete)
	}
	mended.Store(true)
	if rerun, root := l.rerun(n, root.Run, plan.Selection{}); root.Run.Verdict != queue.VerdictComplete {
		t.Errorf("the rerun is %s, the first run %s: %+v", rerun.Run.Verdict, root.Run.Verdict, rerun.NotComplete)
	}
}
