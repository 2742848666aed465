package jobs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"syncer/finance"
	"syncer/jobs"
	"syncer/persist/plan"
	"syncer/persist/queue"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// A job that says what it is for calls only for consents that were given for that, also when a consent's purpose is
// another by the time it is called for.
func TestAConsentServesItsPurposeAlone(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 6}, banksim.Options{})
	l.importNG(6)
	for i, purpose := range []string{"credit", "credit", "advice", "marketing", "", "credit"} {
		l.purpose(i, purpose)
	}
	planner := l.start(nodeOptions{idle: true, purposes: []string{"credit", "advice"}})
	run := l.fire(planner, debt)
	if run.Expected != 4 || run.Skipped != 2 {
		t.Errorf("%d consents are planned and %d left out, want 4 and 2", run.Expected, run.Skipped)
	}
	l.purpose(5, "marketing")
	worker := l.start(nodeOptions{purposes: []string{"credit", "advice"}})
	r := l.settled(worker, run)
	const want = "consent was not given for this: its purpose is marketing, the job's credit or advice"
	if len(r.NotComplete) != 1 || r.NotComplete[0].Outcome != finance.Excused || !strings.Contains(r.NotComplete[0].Reason, want) {
		t.Errorf("not complete: %+v", r.NotComplete)
	}
	got := ""
	for i := range 6 {
		got += fmt.Sprint(min(l.calls(i), 1))
	}
	if got != "111000" {
		t.Errorf("called for %s of the six", got)
	}
	rerun, _ := l.rerun(worker, run, plan.Selection{})
	refused := strings.Contains(fmt.Sprint(rerun.NotComplete), want)
	if l.calls(5) > 0 || !refused {
		t.Errorf("a rerun makes %d calls, and not complete is %+v", l.calls(5), rerun.NotComplete)
	}
	job, err := worker.Job(debt)
	l.must(err)
	again, err := worker.FireOrGoOn(t.Context(), job, time.Now(), 0)
	l.must(err)
	if !again.Created || again.Run.Expected != 3 || again.Run.Skipped != 3 {
		t.Errorf("%+v: 3 consents are to be planned and 3 left out", again)
	}
	l.settled(worker, again.Run)
	l.purpose(5, "advice")
	if _, root := l.rerun(worker, run, plan.Selection{}); root.Run.Verdict != queue.VerdictComplete || l.calls(5) == 0 {
		t.Errorf("after the consent's purpose was put right: %s, %d calls", root.Run.Verdict, l.calls(5))
	}
}

// What a job is for holds for the windows of its backfills and for the last pulls of its consents, too.
func TestPurposesHoldForEveryKindOfRun(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 2}, banksim.Options{Customers: 2, Transactions: 5})
	l.importNG(2)
	l.importBank(2)
	l.ending(2, "2 hours")
	_, err := l.db.Pool.Exec(t.Context(), "UPDATE consents SET purpose = CASE id % 2 WHEN 0 THEN 'credit' ELSE 'marketing' END")
	l.must(err)
	n := l.start(nodeOptions{purposes: []string{"credit"}, schedule: nightly(t)})
	job, err := n.Job(moves)
	l.must(err)
	today := finance.DateOf(time.Now())
	windows, err := n.Backfill(t.Context(), job, jobs.BackfillSpec{Windows: jobs.Windows(today.AddDays(-6), today, 7)})
	l.must(err)
	if len(windows.Runs) != 1 || windows.Runs[0].Expected != 1 {
		t.Errorf("a window is planned for %+v, want one consent", windows.Runs)
	}
	job, err = n.Job(debt)
	l.must(err)
	final, created, err := n.FireFinal(t.Context(), job, time.Now())
	l.must(err)
	if !created || final.Expected != 1 {
		t.Errorf("the last pull is planned (%v) for %d consents, want one", created, final.Expected)
	}
}

func (l *lab) purpose(i int, purpose string) {
	l.Helper()
	_, err := l.db.Pool.Exec(l.Context(), "UPDATE consents SET purpose = $2 WHERE id = $1", l.consent(i).ID, purpose)
	l.must(err)
}
