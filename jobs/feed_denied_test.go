package jobs_test

import (
	"testing"

	"syncer/persist/queue"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// With wrong credentials and a feed that is behind, a tick does not ask for a token for ever: the connection is parked,
// and the run is made, so that its items say why there is nothing.
func TestATickBehindWrongCredentialsParksTheConnection(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 4}, banksim.Options{})
	l.importNG(4)
	l.forgetFeed("8 days")
	n := l.start(nodeOptions{secret: "wrong"})
	r := l.run(n, debt)
	if r.Run.Verdict != queue.VerdictFailed || r.Counts[0].Failed != 4 || len(r.Over.Refused) != 1 {
		t.Errorf("verdict %s, %+v, refused %v", r.Run.Verdict, r.Counts, r.Over.Refused)
	}
	arrived := l.kit.Journal.Arrivals()
	if l.run(n, debt); l.kit.Journal.Arrivals() != arrived || arrived > 8 {
		t.Errorf("%d calls, and %d more while parked", arrived, l.kit.Journal.Arrivals()-arrived)
	}
}
