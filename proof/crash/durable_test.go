package crash

import (
	"os"
	"strconv"
	"testing"
	"time"

	"syncer/proof/lab"
	"syncer/sandbox/norskgjeld"
)

// singleUse is how many consents there are; SYNCER_TEST_CONSENTS names another number, for a longer proof.
func singleUse(t *testing.T) int {
	text := os.Getenv("SYNCER_TEST_CONSENTS")
	if text == "" {
		return 24
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// TestIntentsSurviveWhateverTheDatabaseSays has a database that says of commits that they need not be durable, and whose log
// is written as late as can be, crash again and again while single-use consents are read. None is called for twice.
func TestIntentsSurviveWhateverTheDatabaseSays(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	people := singleUse(t)
	m := newMortal(t)
	for _, statement := range []string{
		"ALTER DATABASE syncer SET synchronous_commit = off",
		"ALTER ROLE syncer SET synchronous_commit = off",
		"ALTER SYSTEM SET wal_writer_delay = '10s'",
		"SELECT pg_reload_conf()",
	} {
		_, err := m.db.Pool.Exec(t.Context(), statement)
		must(t, err)
	}
	l := lab.New(t, lab.Options{DB: m.db, BatchSize: 8, Concurrency: 2, Batches: 1,
		NG: norskgjeld.Options{Consents: people, SingleUse: 1, Start: time.Now().Add(-time.Hour)}})
	l.ImportNG("ng1", 0, people)
	runner := l.Start(nil, "run", "debt1")
	crashes := people / 12
	for range crashes {
		arrive(l, 5)
		m.crash()
		m.rise()
	}
	<-runner.Ended
	if code := runner.ProcessState.ExitCode(); code != 0 && code != lab.ExitPartial {
		t.Errorf("the run ended with exit code %d", code)
	}
	called := map[string]int{}
	for _, e := range l.Kit.Journal.Entries() {
		if e.Template == "/v1/debt/{consent}" {
			called[e.Subject]++
		}
	}
	for id, n := range called {
		if n > 1 {
			t.Errorf("the single-use consent %s was called for %d times", id, n)
		}
	}
	// An intent whose commit was not answered may be there, and then its call is not made.
	if lost := people - len(called); lost > 2*crashes {
		t.Errorf("%d of %d consents were never called for, in %d crashes", lost, people, crashes)
	}
	t.Logf("%d crashes, %d consents, %d called for", crashes, people, len(called))
}
