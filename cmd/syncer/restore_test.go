package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"syncer/persist/embedded"
	"syncer/persist/persisttest"
	"syncer/proof/lab"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
)

// postgresTool runs a program that lies beside Postgres' own.
func postgresTool(t *testing.T, name string, args ...string) {
	t.Helper()
	dir, err := embedded.Provide(t.Context(), embedded.Options{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), filepath.Join(dir, name), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// restored gives the lab a new database that is made of a dump.
func restored(t *testing.T, l *lab.Lab, dump string) {
	t.Helper()
	db := persisttest.Empty(t)
	postgresTool(t, "pg_restore", "--exit-on-error", "--no-owner", "--dbname", db.URL, dump)
	if err := os.WriteFile(filepath.Join(filepath.Dir(l.Config), "database-url"), []byte(db.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	l.DB = db
}

// debtsTold counts how often the debt of a consent was told to us, by the registry's journal, and finds who was told twice.
func debtsTold(t *testing.T, l *lab.Lab) (consents int) {
	t.Helper()
	told := map[string]int{}
	for _, e := range l.Kit.Journal.Entries() {
		if e.Template == "/v1/debt/{consent}" && e.Status == http.StatusOK {
			told[e.Subject]++
		}
	}
	for id, n := range told {
		if n > 1 {
			t.Errorf("the debt of the single-use consent %s was told %d times", id, n)
		}
	}
	return len(told)
}

// A dump from before a night knows nothing of the night's calls. Restored, it has nobody called for again that has one call,
// or one of the day, until somebody has accepted it; then what is used is told by the registry, or taken for used.
func TestARestoredDumpCallsNobodyTwice(t *testing.T) {
	t.Parallel()
	const people = 6
	l := lab.New(t, lab.Options{NG: norskgjeld.Options{Consents: people, SingleUse: 1, Start: time.Now().Add(-time.Hour)}})
	l.ImportNG("ng1", 0, people)
	l.ImportCSV("bank1", "external_id,national_id,reads_per_day\n"+
		"agreement-000000,"+l.Bank.Customer(0).CustomerID+",2\nagreement-000001,"+l.Bank.Customer(1).CustomerID+",\n")
	dump := filepath.Join(t.TempDir(), "dump")
	postgresTool(t, "pg_dump", "--format=custom", "--file", dump, "--dbname", l.DB.URL)

	// In the night one consent can't be read, and stays unused.
	mended := l.Rule(sandbox.Rule{Subject: l.NG.Consent(2).ID, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: http.StatusBadRequest}})
	l.Says(lab.ExitPartial, []string{"run", "debt1"})
	l.Says(0, []string{"run", "money1"})
	mended()
	if n := debtsTold(t, l); n != people-1 {
		t.Fatalf("the night has told %d debts, want %d", n, people-1)
	}
	night := len(l.Kit.Journal.Entries())

	restored(t, l, dump)
	l.Says(lab.ExitPartial, []string{"run", "debt1"})
	l.Says(lab.ExitPartial, []string{"run", "money1"})
	came := l.Arrivals(night)
	for i := range people {
		if n := came[l.NG.Consent(i).ID]; n != 0 {
			t.Errorf("the single-use consent %d was called for %d times after the restore", i, n)
		}
	}
	if n := came[l.Bank.Customer(0).CustomerID]; n != 0 {
		t.Errorf("whose read of the day is spent was called for %d times", n)
	}
	if came[l.Bank.Customer(1).CustomerID] == 0 {
		t.Error("who has no number of reads was not called for")
	}
	l.Says(1, []string{"check", "--json"}, "restored copy", "syncer db accept-restore")
	l.Says(0, []string{"status", "--json"}, `"restored"`, "another database")
	l.Says(0, []string{"status"}, "Restored", "accept-restore")

	l.Says(0, []string{"db", "accept-restore", "--json", "--reason", "disk lost"},
		`"asked": 6`, `"unused": 1`, `"ended": 5`, `"consumed_unknown": 0`, `"days_spent": 1`)
	l.Says(0, []string{"db", "accept-restore"}, "nothing to accept")
	l.Says(0, []string{"acts"}, "accept-restore", "disk lost")
	if n := l.Number("SELECT count(*) FROM consents WHERE connection = 'ng1' AND status = 'consumed'"); n != people-1 {
		t.Errorf("%d consents are consumed, want %d", n, people-1)
	}
	// A call that was sent before the restore may still arrive: what is unused now is asked for once more when none can.
	l.Says(lab.ExitFailed, []string{"run", "debt1", "--new"})
	l.Number(`WITH aged AS (
		UPDATE inbox SET intended_at = intended_at - interval '1 hour' WHERE answered_at IS NULL RETURNING 1
	) SELECT count(*) FROM aged`)
	l.Says(0, []string{"run", "debt1", "--new"})
	if n := debtsTold(t, l); n != people {
		t.Errorf("%d debts were told, want %d", n, people)
	}
	l.Says(lab.ExitPartial, []string{"run", "money1", "--new"})
	if n := l.Arrivals(night)[l.Bank.Customer(0).CustomerID]; n != 0 {
		t.Errorf("whose day is taken for spent was called for %d times", n)
	}
	if strings.Contains(l.Says(0, []string{"status", "--json"}), `"restored"`) {
		t.Error("status speaks of a restore that is accepted")
	}
	l.Verify()
}
