// Package reads proves that no consent is read more often in a day than it permits, by however many processes.
package reads

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"syncer/proof/lab"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
)

// TestMain builds the program whose reads are counted here.
func TestMain(m *testing.M) { lab.Main(m) }

const (
	readsConsents = 40
	readsPerDay   = 4
	readsWorkers  = 8
)

// TestReadsPerDayAreNeverExceeded lets eight processes work run after run and rerun after rerun of consents with four
// reads a day, while calls fail and are retried, the gate closes, and processes are killed. By the sandbox's journal no
// consent is called for a fifth time. Far more is asked for than that: it must be the budget that holds them back.
func TestReadsPerDayAreNeverExceeded(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	l := lab.New(t, lab.Options{NG: norskgjeld.Options{Consents: readsConsents, DebtFree: 0.1, Start: time.Now().Add(-time.Hour)},
		Concurrency: 3, Batches: 1, BatchSize: 4, Lease: "1s"})
	importBudgeted(l)
	for _, rule := range []sandbox.Rule{
		{Template: "/v1/debt/{consent}", Every: 7, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 500}},
		{Template: "/v1/debt/{consent}", Every: 11, Action: sandbox.Action{Kind: sandbox.Reset}},
		{Template: "/v1/debt/{consent}", Every: 45, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 429, RetryAfter: sandbox.RetryAfter{Seconds: 1}}},
	} {
		if _, err := l.Kit.Faults.Add(rule); err != nil {
			t.Fatal(err)
		}
	}
	workers := make([]*lab.Process, readsWorkers)
	for i := range workers {
		workers[i] = l.Start(nil, "work", "--job", "debt1")
	}
	kills := 0
	for run := 1; run <= 5; run++ {
		l.Plan("debt1")
		kills += settleAndKill(l, workers)
		if run == 2 { // what has failed so far, again and out of the same budget
			rerunAll(l)
		}
	}
	t.Logf("%d kills", kills)
	if kills < 3 {
		t.Errorf("only %d processes were killed", kills)
	}
	readsProof(l)
}

// importBudgeted imports all consents with a daily budget.
func importBudgeted(l *lab.Lab) {
	l.Helper()
	var csv strings.Builder
	csv.WriteString("external_id,national_id,scopes,valid_until,reads_per_day\n")
	for _, c := range l.NG.Consents() {
		fmt.Fprintf(&csv, "%s,%s,%s,%s,%d\n", c.ID, c.NationalID, c.Scope, c.ValidUntil.UTC().Format(time.RFC3339), readsPerDay)
	}
	l.ImportCSV("ng1", csv.String())
}

// settleAndKill waits until every run is settled, and kills a worker now and then, which is started anew.
func settleAndKill(l *lab.Lab, workers []*lab.Process) (kills int) {
	l.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	next := time.Now().Add(100 * time.Millisecond) // a run of these few consents may take no longer than two such
	for l.Number("SELECT count(*) FROM runs WHERE verdict IS NULL") > 0 {
		select {
		case <-l.Context().Done():
			l.Fatal(l.Context().Err())
		case <-ticker.C:
		}
		if time.Now().After(next) {
			i := rand.IntN(len(workers))
			workers[i].Kill()
			workers[i] = l.Start(nil, "work", "--job", "debt1")
			kills++
			next = time.Now().Add(time.Duration(300+rand.IntN(700)) * time.Millisecond)
		}
	}
	return kills
}

// rerunAll runs again what is not complete, by the command line. The workers take part.
func rerunAll(l *lab.Lab) {
	l.Helper()
	for run := 1; run <= 2; run++ {
		if _, code := l.Syncer("rerun", strconv.Itoa(run)); code != 0 && code != lab.ExitPartial && code != lab.ExitFailed {
			l.Logf("rerun of run %d: exit code %d", run, code) // nothing may be left to run again
		}
	}
}

// readsProof holds the journal against the budget, and the database against the journal.
func readsProof(l *lab.Lab) {
	l.Helper()
	if err := l.Kit.Journal.WaitForAnswers(l.Context()); err != nil {
		l.Fatal(err)
	}
	full, total := 0, 0
	for subject, calls := range l.Kit.Journal.CountBySubject(norskgjeld.Name) {
		total += calls
		if calls > readsPerDay {
			l.Errorf("consent %s was called for %d times", subject, calls)
		}
		if spent := l.Number("SELECT count(*) FROM consent_reads r JOIN consents c ON c.id = r.consent_id WHERE c.external_id = $1", subject); spent < calls || spent > readsPerDay {
			l.Errorf("consent %s: %d reads are written down, %d calls arrived", subject, spent, calls)
		}
		if calls == readsPerDay {
			full++
		}
	}
	refused := l.Number("SELECT count(*) FROM items WHERE outcome IN ('excused', 'failed') AND reason LIKE '%daily reads spent: next at 2%'")
	l.Logf("%d calls for %d consents; %d of them have used up their day; %d items were refused for it", total, readsConsents, full, refused)
	if full < readsConsents/2 || refused < readsConsents/2 {
		l.Errorf("%d consents have used up their day and %d items were refused: too few to prove anything", full, refused)
	}
	l.Verify()
}
