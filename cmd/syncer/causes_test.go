package main

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"syncer/proof/lab"
	"syncer/report/text"
)

// manyAlike makes a settled run of money1 with so many items that have failed alike, beside one that has not.
func manyAlike(t *testing.T, l *lab.Lab, items int) {
	t.Helper()
	l.Number(`WITH more AS (
			INSERT INTO consents (connection, external_id, status, valid_from)
			SELECT 'bank1', 'made-' || n, 'active', now() FROM generate_series(1, $1) AS n
			RETURNING id
		), failed AS (
			INSERT INTO items (batch_id, consent_id, dataset, outcome, class, reason, correlation_id, call_id, started_at, finished_at)
			SELECT (SELECT max(id) FROM batches), id, 'transactions', 'failed', 'transient',
				'status 500: the register is closed until ' || now() || ', trace ' || md5(id::text),
				md5(id::text), gen_random_uuid(), now(), now()
			FROM more RETURNING 1
		), run AS (
			UPDATE runs SET expected = expected + $1, verdict = 'partial' WHERE id = (SELECT max(id) FROM runs)
		) SELECT count(*) FROM failed`, items)
}

// A night in which thousands have failed alike is read on one screen, and each of them is a line for a script.
func TestThousandsThatFailedAlikeAreOneCause(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{})
	l.ImportBank("bank1", 0, 1)
	l.Says(0, []string{"run", "money1"}, "complete")
	items := 3000
	if n, err := strconv.Atoi(os.Getenv("ALIKE")); err == nil { // to measure with more
		items = n
	}
	manyAlike(t, l, items)
	all := text.Thousands(items)

	began := time.Now()
	shown := l.Says(0, []string{"runs", "show", "1"}, "Not complete: "+all+" items of 1 kind",
		all+" items of transactions: failed (transient), such as consent ", "status 500: the register is closed", "the newest is consent ")
	took := time.Since(began)
	if len(shown) > 3000 {
		t.Errorf("the report has %d bytes:\n%s", len(shown), shown)
	}
	planned := l.Says(0, []string{"rerun", "1", "--plan"}, "takes "+all+" items", "Not complete: "+all+" items of 1 kind", "status 500")
	if len(planned) > 1500 {
		t.Errorf("the plan has %d bytes:\n%s", len(planned), planned)
	}
	l.Says(0, []string{"rerun", "1", "--plan", "--json"}, `"not_complete_causes":{"items":`+strconv.Itoa(items))

	began = time.Now()
	all = l.Says(0, []string{"runs", "show", "1", "--json"})
	tookJSON := time.Since(began)
	lines := strings.Split(strings.TrimSpace(all), "\n")
	if len(lines) != 1+items {
		t.Fatalf("%d lines of JSON, want one for the report and one for each of %d items", len(lines), items)
	}
	var report, item struct {
		Event  string
		Reason string
		Causes struct {
			Items  int
			Causes []struct{ Items int }
		} `json:"not_complete_causes"`
	}
	if err := json.Unmarshal([]byte(lines[0]), &report); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(lines[items]), &item); err != nil {
		t.Fatal(err)
	}
	if len(lines[0]) > 3000 || report.Event != "report" || report.Causes.Items != items || len(report.Causes.Causes) != 1 ||
		item.Event != "item" || !strings.HasPrefix(item.Reason, "status 500") {
		t.Errorf("%s\n%s", lines[0], lines[items])
	}
	t.Logf("%d items: runs show %d bytes in %s, the plan of a rerun %d; as JSON %d bytes in %s, of which the report has %d",
		items, len(shown), took, len(planned), len(all), tookJSON, len(lines[0]))
}
