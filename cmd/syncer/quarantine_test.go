package main

import (
	"encoding/json"
	"strings"
	"testing"

	"syncer/cli"
	"syncer/proof/lab"
	"syncer/sandbox"
	"syncer/sandbox/sbanken"
)

// A record in quarantine keeps its item partial night after night, although nothing leads back to it, until
// somebody accepts it.
func TestQuarantineIsListedAndAccepted(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{})
	l.ImportBank("bank1", 0, 1)
	l.Says(0, []string{"run", "money1"}, "complete")
	l.Says(0, []string{"quarantine", "list"})
	id := l.Number(`WITH q AS (INSERT INTO quarantine 
			(consent_id, dataset, account_id, call_id, place, reason, body_hash, record_id, times)
		SELECT consent_id, dataset, account_id, call_id, 3, 'amount: not an amount', 'bytes', 'tx-7', 2
		FROM cursors WHERE dataset = 'transactions' LIMIT 1 RETURNING id) SELECT id FROM q`)
	if id != 1 {
		t.Fatalf("the record has the id %d", id)
	}
	l.Says(cli.ExitPartial, []string{"run", "money1"}, "records could not be read and are in quarantine: 1")
	l.Says(0, []string{"quarantine", "list", "--connection", "bank1"}, "open", "amount: not an amount")
	l.Says(0, []string{"quarantine", "list", "--json"},
		`"id":1`, `"key":"tx-7"`, `"times":2`, `"place":3`, `"waits":false`)
	l.Says(0, []string{"quarantine", "list", "--connection", "ng1"})
	l.Says(cli.ExitError, []string{"quarantine", "list", "--connection", "bank2"})
	l.Says(cli.ExitUsage, []string{"quarantine", "accept", "1"})
	l.Says(cli.ExitUsage, []string{"quarantine", "accept", "one", "--reason", "x"})
	l.Says(cli.ExitError, []string{"quarantine", "accept", "7", "--reason", "x"})
	l.Says(0, []string{"quarantine", "accept", "1", "--reason", "the bank will not mend it"}, "Accepted")
	l.Says(cli.ExitError, []string{"quarantine", "accept", "1", "--reason", "again"})
	if out := l.Says(0, []string{"quarantine", "list"}); strings.Contains(out, "amount") {
		t.Errorf("what was accepted is open:\n%s", out)
	}
	l.Says(0, []string{"quarantine", "list", "--all", "--json"},
		`"resolved_as":"accepted"`, `"note":"the bank will not mend it"`)
	l.Says(0, []string{"acts", "--json"}, `"act":"quarantine accept","kind":"record","object":"1","done_at"`)
	l.Says(0, []string{"run", "money1"}, "complete")
	l.Verify()
}

// A record that could not be read is shown with its reason, and read again on demand: by a rerun where the position waits for
// it, and from the beginning of its stream where the position has passed it. The report counts what the table has then.
func TestQuarantineIsShownAndRetried(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Bank: sbanken.Options{Customers: 1, Transactions: 80}})
	l.ImportBank("bank1", 0, 1)
	drifts := func() func() {
		return l.Rule(sandbox.Rule{Provider: sbanken.Name, Only: "api", After: 1, Action: sandbox.Action{
			Kind: sandbox.Replace, Old: `"accountingDate":`, New: `"accountingDate":17,"drifted":`}})
	}
	mend := drifts()
	l.Says(cli.ExitPartial, []string{"run", "money1"})
	records := l.Number("SELECT count(*) FROM quarantine")
	if records == 0 {
		t.Fatal("nothing is in quarantine")
	}
	l.Says(0, []string{"runs", "show", "1"}, "In quarantine: syncer quarantine list", "(agreement-000000)")
	l.Says(0, []string{"quarantine", "show", "1"}, "state", "open", "position waits", "yes", "syncer quarantine retry 1")
	l.Says(0, []string{"quarantine", "show", "1", "--json"}, `"external_id": "agreement-000000"`, `"run": 1`)
	l.Says(cli.ExitUsage, []string{"quarantine", "show", "one"})
	l.Says(cli.ExitError, []string{"quarantine", "show", "999"})

	l.Says(cli.ExitPartial, []string{"quarantine", "retry", "1"}, "Record 1 is still in quarantine")
	if n := l.Number("SELECT count(*) FROM quarantine"); n != records {
		t.Errorf("%d records are in quarantine, and the retry has made it %d", records, n)
	}
	mend()
	usage := l.Says(cli.ExitUsage, []string{"quarantine", "retry", "1"}, "would be")
	if strings.Contains(usage, "Run ") {
		t.Errorf("it is read from the beginning without being asked to:\n%s", usage)
	}
	// The customer's other accounts have records of their own in quarantine, so the run may stay partial for these.
	if out, _ := l.Syncer("quarantine", "retry", "1", "--yes"); !strings.Contains(out, "Record 1 is resolved") {
		t.Errorf("what can be read again is not resolved:\n%s", out)
	}
	l.Says(cli.ExitError, []string{"quarantine", "retry", "1"})

	var shown struct {
		Counts []struct {
			Dataset                      string
			Records, Inserted, Unchanged int
			Figures                      *struct{ Records, Inserted int }
		}
	}
	first := json.NewDecoder(strings.NewReader(l.Says(0, []string{"runs", "show", "1", "--json"}))) // items follow
	if err := first.Decode(&shown); err != nil {
		t.Fatal(err)
	}
	rows := l.Number("SELECT count(*) FROM transactions WHERE removed_at IS NULL")
	for _, c := range shown.Counts {
		switch c.Dataset {
		case "transactions":
			if c.Inserted != rows || c.Unchanged != c.Records-c.Inserted {
				t.Errorf("the report has %+v, the table %d rows", c, rows)
			}
		case "accounts":
			accounts, balances := l.Number("SELECT count(*) FROM accounts"), l.Number("SELECT count(*) FROM balances")
			if c.Inserted != accounts || c.Figures == nil || c.Figures.Inserted != balances {
				t.Errorf("the report has %+v, the tables %d accounts and %d balances", c, accounts, balances)
			}
		}
	}
	l.Verify()
}
