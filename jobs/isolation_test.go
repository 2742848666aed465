package jobs_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/persist/plan"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/sandbox"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// ended is how the items of a report that are not proven complete have ended, by consent.
func ended(r read.Report) map[int64][2]string {
	m := map[int64][2]string{}
	for _, i := range r.NotComplete {
		m[i.Consent] = [2]string{string(i.Outcome), string(i.Class)}
	}
	return m
}

// One consent that always fails, one that is revoked mid-run and one with a malformed record: all others complete, the
// verdict is partial and the report names the three. A rerun of what failed calls only for that.
func TestOneBadConsentHarmsNoOther(t *testing.T) {
	t.Parallel()
	const failing, revoked, malformed = 3, 11, 17
	l := newLab(t, ngsim.Options{Consents: 40}, banksim.Options{})
	l.importNG(40)
	id := func(i int) string { return l.ng.Consent(i).ID }
	clear := l.fault(sandbox.Rule{Subject: id(failing), Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 500}})
	l.fault(sandbox.Rule{Subject: id(malformed), Times: 1, Action: sandbox.Action{Kind: sandbox.Replace, Old: `"interestBearingBalance":`, New: `"interestBearingBalance":"x","interestBearingBalance":`}})
	l.fault(sandbox.Rule{Subject: id(revoked), Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 403,
		Body: `{"error":"no valid consent","trace_id":"trace-of-revoked"}`}})
	n := l.start(nodeOptions{})

	root := l.run(n, debt)
	want := map[int64][2]string{
		l.consent(failing).ID:   {"failed", "transient"},
		l.consent(revoked).ID:   {"excused", "consent"},
		l.consent(malformed).ID: {"partial", "malformed"},
	}
	if diff := cmp.Diff(want, ended(root)); diff != "" || root.Run.Verdict != queue.VerdictPartial {
		t.Errorf("verdict %s, not complete (-want +got):\n%s%+v", root.Run.Verdict, diff, root.NotComplete)
	}
	if c := root.Counts[0]; c.Expected != 40 || c.Rows+c.Empty != 37 || c.Missing != 0 {
		t.Errorf("the others: %+v", c)
	}
	for _, i := range root.NotComplete {
		if i.Consent == l.consent(revoked).ID && (i.Correlation != "trace-of-revoked" || i.Call.IsZero()) {
			t.Errorf("the refused call can't be found: %+v", i)
		}
	}
	if l.consent(revoked).Status != finance.ConsentRevoked || l.calls(revoked) != 1 {
		t.Errorf("the revoked consent is %s after %d calls", l.consent(revoked).Status, l.calls(revoked))
	}

	clear()
	before := l.kit.Journal.CountBySubject(ngsim.Name)
	rerun, root := l.rerun(n, root.Run, plan.Selection{Failed: true})
	got := map[string]int{}
	for subject, n := range l.kit.Journal.CountBySubject(ngsim.Name) {
		if n != before[subject] {
			got[subject] = n - before[subject]
		}
	}
	if diff := cmp.Diff(map[string]int{id(failing): 1}, got); diff != "" {
		t.Errorf("calls of the rerun by consent (-want +got):\n%s", diff)
	}
	if rerun.Run.Verdict != queue.VerdictComplete || root.Run.Verdict != queue.VerdictPartial {
		t.Errorf("rerun of what failed: %s, the run: %s", rerun.Run.Verdict, root.Run.Verdict)
	}

	_, root = l.rerun(n, root.Run, plan.Selection{})
	if root.Run.Verdict != queue.VerdictComplete || l.calls(revoked) != 1 {
		t.Errorf("after the faults: %s, %d calls for the revoked consent", root.Run.Verdict, l.calls(revoked))
	}
	if _, _, err := n.Rerun(t.Context(), root.Run, plan.Selection{}); err == nil || !strings.Contains(err.Error(), "nothing to rerun") {
		t.Errorf("a rerun of nothing: %v", err)
	}
}

// The same run again changes no row and writes no history.
func TestRepeatChangesNothing(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 20}, banksim.Options{Customers: 4, Transactions: 60, Twins: true})
	l.importNG(20)
	l.importBank(4)
	n := l.start(nodeOptions{})
	var versions [2]map[string]string
	for i := range versions {
		for _, job := range []string{debt, money} {
			if r := l.run(n, job); r.Run.Verdict != queue.VerdictComplete {
				t.Fatalf("run of %s: %s, %+v", job, r.Run.Verdict, r.NotComplete)
			}
		}
		versions[i] = l.versions()
	}
	if len(versions[0]) < 500 {
		t.Fatalf("%d rows are too few to prove anything", len(versions[0]))
	}
	if diff := cmp.Diff(versions[0], versions[1]); diff != "" {
		t.Errorf("the repeat wrote (-first +second):\n%.3000s", diff)
	}
	l.noHistory()
}

// versions are the row versions of all records: a row that was written again has another, even if nothing in it changed.
func (l *lab) versions() map[string]string {
	l.Helper()
	got := map[string]string{}
	for table, key := range map[string]string{"accounts": "account_id", "balances": "account_id || kind",
		"transactions": "account_id || transaction_id", "debts": "debt_id"} {
		rows, err := l.db.Pool.Query(l.Context(), "SELECT '"+table+" ' || consent_id || ' ' || "+key+
			", concat_ws(' ', ctid, xmin, xmax, changed_xid) FROM "+table)
		l.must(err)
		for rows.Next() {
			var key, version string
			l.must(rows.Scan(&key, &version))
			got[key] = version
		}
		l.must(rows.Err())
	}
	return got
}

func (l *lab) noHistory() {
	l.Helper()
	for _, table := range []string{"accounts_history", "balances_history", "transactions_history", "debts_history"} {
		if n := l.number("SELECT count(*) FROM " + table); n != 0 {
			l.Errorf("%s has %d rows", table, n)
		}
	}
}
