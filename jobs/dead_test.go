package jobs_test

import (
	"strings"
	"testing"

	"syncer/finance"
	"syncer/persist/plan"
	"syncer/persist/queue"
	"syncer/sandbox"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// A provider that answers nothing has its batches parked, and after a quarter of an hour without a good answer the items
// that wait for it fail, without another call. That time is made to pass by the run's own beginning.
func TestDeadProviderIsNotWaitedForWithoutEnd(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 30}, banksim.Options{})
	l.importNG(30)
	clear := l.fault(sandbox.Rule{Template: debtTemplate, Action: sandbox.Action{Kind: sandbox.Reset}})
	n := l.start(nodeOptions{batchSize: 30})
	run := l.fire(n, debt)
	l.eventually("the batch parked by the breaker", func() bool {
		return l.number("SELECT count(*) FROM batches WHERE state = 'parked' AND park_reason LIKE '%breaker%'") == 1
	})
	waiting, arrived := l.number("SELECT count(*) FROM items WHERE outcome IS NULL"), l.kit.Journal.Arrivals()
	if waiting < 15 || l.number("SELECT count(*) FROM runs WHERE verdict IS NULL") != 1 {
		t.Fatalf("%d items wait", waiting)
	}

	wake := func(created string) {
		t.Helper()
		for _, sql := range []string{"UPDATE runs SET created_at = now() - interval '" + created + "'", "UPDATE batches SET wake_at = now() WHERE state = 'parked'"} {
			if _, err := l.db.Pool.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
	}
	claims := l.number("SELECT claims FROM batches")
	wake("14 minutes")
	l.eventually("the batch parked once more", func() bool {
		return l.number("SELECT count(*) FROM batches WHERE state = 'parked' AND claims > $1", claims) == 1
	})
	if got := l.number("SELECT count(*) FROM items WHERE outcome IS NULL"); got != waiting {
		t.Errorf("%d items wait after 14 minutes, want %d", got, waiting)
	}
	wake("16 minutes")
	r := l.settled(n, run)
	given := 0
	for _, item := range r.NotComplete {
		if item.Class != finance.Transient || item.Outcome != finance.Failed {
			t.Errorf("consent %d: %s, %s", item.Consent, item.Outcome, item.Class)
		}
		if strings.HasSuffix(item.Reason, "; the provider has given nobody a good answer for 15m0s") {
			given++
		} else {
			t.Errorf("consent %d: %s", item.Consent, item.Reason)
		}
	}
	if r.Run.Verdict != queue.VerdictFailed || given != waiting || l.kit.Journal.Arrivals() != arrived {
		t.Errorf("%s; %d of %d were given up, after %d more calls", r.Run.Verdict, given, waiting, l.kit.Journal.Arrivals()-arrived)
	}

	n.stop()
	clear()
	if _, err := l.db.Pool.Exec(t.Context(), "DELETE FROM gates"); err != nil {
		t.Fatal(err)
	}
	if _, root := l.rerun(l.start(nodeOptions{}), run, plan.Selection{}); root.Run.Verdict != queue.VerdictComplete {
		t.Errorf("when the provider is back: %s", root.Run.Verdict)
	}
}
