package lab

import (
	"testing"
	"time"

	"syncer/persist/persisttest"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
	"syncer/sandbox/sbanken"
)

// Small is the world of the proofs that disturb a run: enough pages that a kill falls between them. The bank's
// authorization server has a bad moment at first, in Keycloak's words.
func Small(t testing.TB) *Lab {
	t.Helper()
	return SmallOn(t, persisttest.NewDatabase(t))
}

// SmallOn is that world with a database of the test's.
func SmallOn(t testing.TB, db persisttest.Database) *Lab {
	t.Helper()
	l := New(t, Options{
		DB:        db,
		NG:        norskgjeld.Options{Consents: 60, DebtFree: 0.1, Start: time.Now().Add(-time.Hour)},
		Bank:      sbanken.Options{Customers: 12, Transactions: 60, Twins: true},
		BatchSize: 6, Lease: "1s",
	})
	l.Rule(sandbox.Rule{Provider: sbanken.Name, Only: "token", Times: 1, Action: sandbox.Action{
		Kind: sandbox.AnswerStatus, Status: 500, Body: `{"error":"unknown_error"}`}})
	l.ImportNG("ng1", 0, 60)
	l.ImportBank("bank1", 0, 12)
	return l
}

// Undisturbed is what the tables hold after both jobs of the small world ran in peace.
func Undisturbed(t testing.TB) map[string][]string {
	t.Helper()
	l := Small(t)
	for _, job := range []string{"debt1", "money1"} {
		if out, code := l.Syncer("run", job); code != 0 {
			t.Fatalf("undisturbed run of %s: exit code %d\n%s", job, code, out)
		}
	}
	return Content(t, l.DB)
}
