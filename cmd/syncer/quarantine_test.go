package main

import (
	"strings"
	"testing"

	"syncer/cli"
	"syncer/proof/lab"
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
	l.Says(0, []string{"quarantine", "list", "--connection", "bank2"})
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
