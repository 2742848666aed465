// Package once proves that a single-use call is sent at most once, wherever the process that makes it is killed.
package once

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"syncer/proof/lab"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
)

// TestMain builds the program that is killed here.
func TestMain(m *testing.M) { lab.Main(m) }

// The points around the send of a single-use call and of what becomes of its answer. From s2 to before s6 what the
// provider did is not known to whoever comes next.
var oncePoints = []struct {
	name   string
	n      int  // killed at the n-th time: after an item or two, so that no batch looks poisoned
	unsure bool // the consent in hand has an intent without an answer
}{
	{"intent.begun", 2, false}, {"intent.written", 2, true}, {"call.admitted", 3, false}, {"answer.arrived", 2, true},
	{"answer.stored", 2, false}, {"page.decoded", 2, false}, {"commit.fenced", 2, false}, {"commit.rows", 2, false},
	{"commit.ready", 2, false}, {"commit.done", 2, false}, {"item.deciding", 2, false}, {"batch.finishing", 1, false},
}

// single is a world of consents that one answer spends.
func single(t testing.TB) *lab.Lab {
	l := lab.New(t, lab.Options{NG: norskgjeld.Options{Consents: onceConsents, SingleUse: 1, DebtFree: 0.1, Start: time.Now().Add(-time.Hour)},
		Concurrency: 1, Batches: 1, BatchSize: 4, Lease: "1s"})
	l.ImportNG("ng1", 0, onceConsents)
	return l
}

const onceConsents = 40

// TestSingleUseIsSentOnce kills the program at every named point around the send of a single-use call, and while the
// call is on the wire, and starts it again each time. By the sandbox's journal no consent is called for twice; what has
// been answered and stored is in the tables as in an undisturbed run; the others end in a state that says so.
func TestSingleUseIsSentOnce(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	peace := single(t)
	if out, code := peace.Syncer("run", "debt1"); code != 0 {
		t.Fatalf("undisturbed: exit code %d\n%s", code, out)
	}
	l := single(t)
	unsure := killOnTheWire(l, 5)
	for _, point := range oncePoints {
		p := l.Start([]string{fmt.Sprintf("%s=kill %s %d", lab.StepEnv, point.name, point.n)}, "run", "debt1")
		<-p.Ended
		if p.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Errorf("at %s nothing was killed: exit code %d", point.name, p.ProcessState.ExitCode())
		}
		if point.unsure {
			unsure++
		}
	}
	_, code := l.Syncer("run", "debt1")
	if code != lab.ExitPartial {
		t.Errorf("the last run ends with %d, want %d: some items have failed", code, lab.ExitPartial)
	}
	onceProof(l, peace, unsure)
	statusProof(l, peace)
}

// statusProof lets the time pass after which none of the calls can arrive any more. Then a rerun asks the registry what has
// become of the consents in doubt: what it has not answered is read, what it has is over, and nobody's debt is told twice.
func statusProof(l *lab.Lab, peace *lab.Lab) {
	l.Helper()
	l.Number(`WITH aged AS (
		UPDATE inbox SET intended_at = intended_at - interval '1 hour' WHERE answered_at IS NULL RETURNING 1
	) SELECT count(*) FROM aged`)
	if out, code := l.Syncer("rerun", "1"); code != lab.ExitPartial {
		l.Errorf("the rerun ends with %d, want %d: what was told and not stored is lost\n%s", code, lab.ExitPartial, out)
	}
	told := map[string]int{}
	for _, e := range l.Kit.Journal.Entries() {
		if e.Template == "/v1/debt/{consent}" && e.Status == http.StatusOK {
			told[e.Subject]++
		}
	}
	want, got := debtsOf(peace, "consumed"), debtsOf(l, "consumed")
	lost := 0 // told to a process that was killed before it had stored the answer
	for id, rows := range want {
		switch {
		case told[id] != 1:
			l.Errorf("the debt of consent %s was told %d times", id, told[id])
		case len(rows) > 0 && len(got[id]) == 0:
			lost++
		default:
			if diff := cmp.Diff(rows, got[id]); diff != "" {
				l.Errorf("consent %s differs from an undisturbed run:\n%s", id, diff)
			}
		}
	}
	if n := len(oncePoints); len(got) != onceConsents || lost > n {
		l.Errorf("%d of %d consents are consumed, and %d are lost in %d kills", len(got), onceConsents, lost, n)
	}
	l.Verify()
}

// killOnTheWire kills the program while the call for a consent is unanswered.
func killOnTheWire(l *lab.Lab, consent int) (kills int) {
	l.Helper()
	id := l.NG.Consent(consent).ID
	rule, err := l.Kit.Faults.Add(sandbox.Rule{Subject: id, Action: sandbox.Action{Kind: sandbox.Hang}})
	if err != nil {
		l.Fatal(err)
	}
	defer l.Kit.Faults.Remove(rule)
	p := l.Start(nil, "run", "debt1")
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for l.Kit.Journal.CountSubject(norskgjeld.Name, id) == 0 {
		select {
		case <-p.Ended:
			l.Fatal("the program ended before it called")
		case <-ticker.C:
		}
	}
	p.Kill()
	return 1
}

// onceProof holds the journal and the tables against those of an undisturbed run.
func onceProof(l *lab.Lab, peace *lab.Lab, unsure int) {
	l.Helper()
	for subject, calls := range l.Kit.Journal.CountBySubject(norskgjeld.Name) {
		if calls > 1 {
			l.Errorf("consent %s was called for %d times", subject, calls)
		}
	}
	want, got := debtsOf(peace, "consumed"), debtsOf(l, "consumed")
	if len(want) != onceConsents || len(got) != onceConsents-unsure {
		l.Errorf("%d consents were read, want %d but for %d of which nobody can know; undisturbed %d", len(got), onceConsents, unsure, len(want))
	}
	for id, rows := range got {
		if diff := cmp.Diff(want[id], rows); diff != "" {
			l.Errorf("consent %s differs from an undisturbed run:\n%s", id, diff)
		}
	}
	if n := l.Number(`SELECT count(*) FROM inbox i
		JOIN consents c ON c.id = i.consent_id
		JOIN items t ON t.consent_id = c.id AND t.class = 'unanswered'
		WHERE i.answered_at IS NULL AND c.status = 'active'`); n != unsure {
		l.Errorf("%d consents wait for their status, want %d", n, unsure)
	}
	if n := l.Number("SELECT count(*) FROM inbox WHERE answered_at IS NOT NULL AND (settled_at IS NULL OR body IS NOT NULL)"); n != 0 {
		l.Errorf("%d answers still lie in the inbox", n)
	}
	if n := l.Number(`SELECT count(*) FROM calls k WHERE k.purpose = 'data' AND k.class = 'ok' AND NOT EXISTS
		(SELECT FROM items i WHERE i.consent_id = k.consent_id AND i.outcome IN ('rows', 'empty', 'partial'))`); n != 0 {
		l.Errorf("%d answers that arrived brought nothing into the tables", n)
	}
	l.Verify()
}

// debtsOf are the debts of each consent in a state, as the hashes of their contents; none for a person without debts.
func debtsOf(l *lab.Lab, status string) map[string][]string {
	l.Helper()
	rows, err := l.DB.Pool.Query(l.Context(), `SELECT c.external_id, array_remove(array_agg(encode(d.content_hash, 'hex') ORDER BY d.debt_id), NULL)
		FROM consents c LEFT JOIN debts d ON d.consent_id = c.id WHERE c.status = $1 GROUP BY 1`, status)
	if err != nil {
		l.Fatal(err)
	}
	all := map[string][]string{}
	var id string
	var hashes []string
	if _, err := pgx.ForEachRow(rows, []any{&id, &hashes}, func() error {
		all[id] = append([]string{}, hashes...)
		return nil
	}); err != nil {
		l.Fatal(err)
	}
	return all
}
