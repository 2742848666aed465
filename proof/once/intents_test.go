package once

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/proof/lab"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
)

var kills = flag.Int("kills", 20, "how many processes are killed among single-use consents")

// TestIntentsOfKilledProcesses kills the program at random instants while it makes five calls a second, each for a
// single-use consent and answered after 100 ms. A consent whose call never arrived is left in doubt only where its
// intent was committed less than 50 ms before the kill, and of ten kills one has such a consent at most.
func TestIntentsOfKilledProcesses(t *testing.T) {
	lab.Long(t)
	consents := 5 * *kills
	l := lab.New(t, lab.Options{
		NG:   norskgjeld.Options{Consents: consents, SingleUse: 1, Start: time.Now().Add(-time.Hour)},
		Rate: 5, Concurrency: 4, Batches: 1, BatchSize: consents, Lease: "1s",
	})
	l.ImportNG("ng1", 0, consents)
	l.Rule(sandbox.Rule{Provider: norskgjeld.Name, Only: "api", Action: sandbox.Action{Kind: sandbox.SlowHeader, DelayMS: 100}})
	var killed []kill
	decided := func() int { return l.Number("SELECT count(*) FROM items WHERE outcome IS NOT NULL") }
	idle := 0 // kills in a row before which no item was decided: at the third one the batch would be given up
	for range *kills {
		before := decided()
		progress := func() bool { return idle < 2 || decided() > before }
		k, called := killAnywhere(l, progress)
		if idle++; decided() > before {
			idle = 0
		}
		if !called { // on a slow machine the processes live long enough to call for all consents
			if n := len(l.Kit.Journal.CountBySubject(norskgjeld.Name)); n < consents-mayBeLost(*kills) {
				t.Fatalf("the program ended by itself when %d of %d consents had been called for", n, consents)
			}
			break
		}
		killed = append(killed, k)
	}
	if len(killed) < *kills/2 {
		t.Fatalf("the program had called for all %d consents after %d kills, so this proved little", consents, len(killed))
	}
	l.Syncer("run", "debt1") // goes on with what they have left
	tooEarly, lost := uncalled(l, killed)
	t.Logf("%d kills: %d consents are in doubt without a call, %d of them with an intent of more than 50 ms before the kill",
		len(killed), lost, tooEarly)
	if tooEarly > 0 || lost > mayBeLost(len(killed)) {
		t.Errorf("%d consents were lost in %d kills, %d of them by an early intent", lost, len(killed), tooEarly)
	}
	for subject, calls := range l.Kit.Journal.CountBySubject(norskgjeld.Name) {
		if calls > 1 {
			t.Errorf("consent %s was called for %d times", subject, calls)
		}
	}
	l.Verify()
}

// mayBeLost is how many consents may be in doubt without a call after so many kills.
func mayBeLost(kills int) int { return max(1, kills/10) }

// kill is the death of a process.
type kill struct {
	at    time.Time
	stood time.Duration // for how long this test itself got no processor before it, at the longest
}

// killAnywhere kills the program within a second of its first call and of progress, and says when. It says false where the program
// ended by itself without a call, which it does once every consent has been called for.
func killAnywhere(l *lab.Lab, progress func() bool) (k kill, called bool) {
	l.Helper()
	before := l.Kit.Journal.Arrivals()
	p := l.Start(nil, "run", "debt1")
	const tick = 5 * time.Millisecond
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for l.Kit.Journal.Arrivals() == before || !progress() {
		select {
		case <-p.Ended:
			l.Logf("exit code %d: %s", p.ProcessState.ExitCode(), p.Said())
			return kill{}, false
		case <-ticker.C:
		}
	}
	due := time.After(rand.N(time.Second))
	last := time.Now()
	for alive := true; alive; {
		select {
		case <-p.Ended:
			alive = false
		case <-due:
			alive = false
		case <-ticker.C:
		}
		now := time.Now()
		k.stood = max(k.stood, now.Sub(last)-tick)
		last = now
	}
	k.at = time.Now()
	p.Kill()
	return k, true
}

// uncalled counts the consents that are in doubt although no call for them arrived, and those of them whose
// intent was written down more than 50 ms before the kill that came next. Time in which the machine gave this
// test no processor does not count: the program had none either.
func uncalled(l *lab.Lab, killed []kill) (tooEarly, all int) {
	l.Helper()
	rows, err := l.DB.Pool.Query(l.Context(), `SELECT c.external_id, i.intended_at
		FROM consents c
		JOIN inbox i ON i.consent_id = c.id
		WHERE i.answered_at IS NULL AND c.status = 'active'`)
	if err != nil {
		l.Fatal(err)
	}
	called := l.Kit.Journal.CountBySubject(norskgjeld.Name)
	var id string
	var intended time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &intended}, func() error {
		if called[id] > 0 {
			return nil
		}
		all++
		for _, k := range killed {
			if k.at.After(intended) {
				if k.at.Sub(intended) > 50*time.Millisecond+k.stood {
					tooEarly++
				}
				return nil
			}
		}
		return nil
	})
	if err != nil {
		l.Fatal(err)
	}
	return tooEarly, all
}
