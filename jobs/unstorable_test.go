package jobs_test

import (
	"fmt"
	"strings"
	"testing"

	"syncer/finance"
	"syncer/persist/queue"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// A page that Postgres refuses comes again with every try. Its account is refused, with its call on record, and the
// customer's other account and the others of the batch go on.
func TestAPageThatCannotBeStoredCostsItsAccount(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{}, banksim.Options{Customers: 3})
	l.importBank(3)
	// Stands for whatever a connector lets through and Postgres does not take.
	_, err := l.db.Pool.Exec(t.Context(), fmt.Sprintf("ALTER TABLE transactions ADD CHECK (account_id <> '%s')",
		l.bank.Customer(1).Accounts[0].AccountID))
	l.must(err)
	n := l.start(nodeOptions{})
	report := l.run(n, money)
	if report.Run.Verdict != queue.VerdictPartial || len(report.NotComplete) != 1 {
		t.Fatalf("verdict %q, %d items not complete", report.Run.Verdict, len(report.NotComplete))
	}
	item := report.NotComplete[0]
	if item.Outcome != finance.Partial || item.Class != finance.Malformed || !strings.Contains(item.Reason, "can't be stored") {
		t.Errorf("%+v", item)
	}
	if n := l.number("SELECT count(*) FROM calls WHERE id = $1 AND class = 'malformed'", item.Call.String()); n != 1 {
		t.Errorf("%d records of the call that brought the page", n)
	}
	if n := l.number("SELECT max(claims) FROM batches"); n != 1 {
		t.Errorf("the batch was claimed %d times", n)
	}
}
