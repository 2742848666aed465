package jobs_test

import (
	"sync"
	"testing"

	"syncer/persist/queue"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// A crash of Postgres may take back what was decided last, while the worker goes on and believes it. The batch is claimed again then,
// and the item decided from what its pages have left, without a call.
func TestADecisionThatACrashHasTakenBack(t *testing.T) {
	t.Parallel()
	const consents = 8
	l := newLab(t, ngsim.Options{Consents: consents}, banksim.Options{})
	l.importNG(consents)
	var once sync.Once
	n := l.start(nodeOptions{batchSize: consents, step: func(name string) {
		if name != "batch.finishing" {
			return
		}
		once.Do(func() {
			_, err := l.db.Pool.Exec(l.Context(), `UPDATE items
				SET outcome = NULL,
					finished_at = NULL
				WHERE consent_id = (SELECT min(consent_id) FROM items)`)
			if err != nil {
				l.Error(err)
			}
		})
	}})
	if r := l.run(n, debt); r.Run.Verdict != queue.VerdictComplete {
		t.Errorf("the run is %s: %+v", r.Run.Verdict, r.NotComplete)
	}
	if calls := l.dataCalls(consents); calls != consents {
		t.Errorf("%d calls for %d consents", calls, consents)
	}
}
