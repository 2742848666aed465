package jobs_test

import (
	"testing"

	"syncer/sandbox"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// TestAnswersAboutOthersParkTheConnection: nothing is stored, and the calls end at the second such answer.
func TestAnswersAboutOthersParkTheConnection(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		times, calls int
		parked       bool
	}{{1, 30, false}, {0, 2, true}} {
		l := newLab(t, ngsim.Options{Consents: 30}, banksim.Options{})
		l.importNG(30)
		l.fault(sandbox.Rule{Template: debtTemplate, Times: c.times, Action: sandbox.Action{Kind: sandbox.WrongSubject}})
		n := l.start(nodeOptions{concurrency: 1, batchSize: 30})
		l.run(n, debt)
		conn, err := l.store.Connections.ByName(t.Context(), ng)
		l.must(err)
		if made := l.number("SELECT count(*) FROM calls WHERE purpose = 'data'"); conn.Parked != c.parked || made != c.calls {
			t.Errorf("after %d calls parked is %t; want %d, %t", made, conn.Parked, c.calls, c.parked)
		}
		if c.parked && l.number("SELECT count(*) FROM debts") != 0 {
			t.Error("somebody else's debts were stored")
		}
	}
}
