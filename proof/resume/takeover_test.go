package resume

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"syncer/proof/lab"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
)

// takeOver is within how long of a kill the first call of somebody else's has to come, at the settings that
// nobody has changed: a lease of 30 s, and a sweep each 5 s.
const takeOver = 15 * time.Second

// takenOver is a lab with the default settings and one batch, which a process is working, slowly.
func takenOver(t *testing.T) (l *lab.Lab, holder *lab.Process, quick func()) {
	t.Helper()
	const people = 60
	l = lab.New(t, lab.Options{
		NG:          norskgjeld.Options{Consents: people, Start: time.Now().Add(-time.Hour)},
		Concurrency: 1, BatchSize: people, Lease: "30s",
	})
	config, err := os.ReadFile(l.Config)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(config), "heartbeat: 400ms, sweep: 300ms, ", "", 1)
	if text == string(config) {
		t.Fatal("the lab's configuration has other settings for heartbeat and sweep than this test takes out")
	}
	if err := os.WriteFile(l.Config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l.ImportNG("ng1", 0, people)
	quick = l.Rule(sandbox.Rule{Provider: norskgjeld.Name, Only: "api", Action: sandbox.Action{Kind: sandbox.SlowHeader, DelayMS: 700}})
	l.Plan("debt1")
	holder = l.Start(nil, "work", "--job", "debt1")
	l.Wait("it is at work", func() bool { return l.Number("SELECT count(*) FROM items WHERE finished_at IS NOT NULL") >= 2 })
	return l, holder, quick
}

// firstAfter is how long after an instant the first call arrived at the provider that began after it.
func firstAfter(l *lab.Lab, at time.Time) (after time.Duration) {
	l.Helper()
	l.Wait("somebody calls again", func() bool {
		for _, e := range l.Kit.Journal.Entries() {
			if !e.Token && e.Wall.After(at) {
				after = e.Wall.Sub(at)
				return true
			}
		}
		return false
	})
	return after
}

// TestABatchIsTakenOverSoon kills a process that has a batch: one that has siblings, and one that is started
// again.
func TestABatchIsTakenOverSoon(t *testing.T) {
	lab.Long(t)
	for n := range 5 {
		alone := n%2 == 1
		t.Run(fmt.Sprintf("%d, alone: %t", n, alone), func(t *testing.T) {
			t.Parallel()
			l, holder, quick := takenOver(t)
			if !alone {
				l.Start(nil, "work", "--job", "debt1")
				l.Wait("there is a sibling", func() bool { return l.Number("SELECT count(*) FROM workers") == 2 })
			}
			holder.Kill()
			killed := time.Now()
			if alone {
				l.Start(nil, "work", "--job", "debt1")
			}
			after := firstAfter(l, killed)
			t.Logf("the first call came after %s", after.Round(time.Millisecond))
			if after > takeOver {
				t.Errorf("the first call came %s after the kill, want %s at most", after, takeOver)
			}
			quick()
			l.Wait("the run is complete", func() bool { return l.Number("SELECT count(*) FROM runs WHERE verdict = 'complete'") == 1 })
			l.Verify()
		})
	}
}

// TestAFrozenProcessKeepsItsBatches stops a process for ten seconds, beside a sibling: it has kept its
// sessions, and its lease lasts.
func TestAFrozenProcessKeepsItsBatches(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	l, holder, quick := takenOver(t)
	l.Start(nil, "work", "--job", "debt1")
	l.Wait("there is a sibling", func() bool { return l.Number("SELECT count(*) FROM workers") == 2 })
	if err := holder.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	lab.WaitForState(t, holder, 'T')
	timer := time.NewTimer(10 * time.Second) // what it is promised
	defer timer.Stop()
	<-timer.C
	if err := holder.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	quick()
	// A call that was on its way is lost with its item: the lab's settings grant it five seconds in all.
	l.Wait("the run is settled", func() bool { return l.Number("SELECT count(*) FROM runs WHERE verdict IS NOT NULL") == 1 })
	if n := l.Number("SELECT max(claims) FROM batches"); n != 1 {
		t.Errorf("its batch was claimed %d times, want once", n)
	}
	l.Verify()
}
