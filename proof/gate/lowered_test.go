package gate

import (
	"os"
	"strings"
	"testing"
	"time"

	"syncer/persist/persisttest"
	"syncer/proof/lab"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
)

// TestALoweredRateHoldsBesideAnOlderProcess: a process works with 50 calls a second. Another one is
// started, as in a rolling deploy, whose configuration names 10. From then on the two together keep to 10,
// though the older one still works; when the younger one has left, the older one goes on as it was
// configured.
func TestALoweredRateHoldsBesideAnOlderProcess(t *testing.T) {
	lab.Long(t)
	persisttest.Turn(t)
	const consents, low = 400, 10
	l := lab.New(t, lab.Options{
		NG:   norskgjeld.Options{Consents: consents, DebtFree: 0.5, MaxLoans: 2, Start: time.Now().Add(-time.Hour)},
		Rate: allowed, Concurrency: 8, BatchSize: 25, Batches: 2, Lease: "5s",
	})
	l.ImportNG("ng1", 0, consents)
	l.Plan("debt1")
	older := l.Start(nil, "work", "--job", "debt1")
	await(l, "send calls", func() bool { return len(dataCalls(l)["client-1"]) > allowed })

	config, err := os.ReadFile(l.Config)
	if err != nil {
		t.Fatal(err)
	}
	l.Config = strings.TrimSuffix(l.Config, ".yaml") + "-lowered.yaml"
	lowered := strings.ReplaceAll(string(config), "per_second: 50", "per_second: 10")
	if err := os.WriteFile(l.Config, []byte(lowered), 0o600); err != nil {
		t.Fatal(err)
	}
	younger := l.Start(nil, "work", "--job", "debt1")
	const named = "SELECT count(*) FROM worker_rates WHERE connection = 'ng1' AND interval_us > 100000"
	await(l, "name the lower rate", func() bool { return l.Number(named) == 1 })
	from := time.Now().Add(100 * time.Millisecond)
	await(l, "make calls at the lower rate", func() bool { return len(after(l, from)) >= 4*low })
	until := time.Now()
	slow := after(l, from)
	most := sandbox.MaxInWindow(slow, norskgjeld.Name, "client-1", time.Second)
	if most > low+1 { // a busy machine bunches two
		t.Errorf("%d calls in a second, want %d, or one more, at most", most, low)
	}
	if n := l.Number("SELECT count(*) FROM batches WHERE state = 'working'"); n < 3 {
		t.Errorf("%d batches are worked: the older process, which has two, does not work", n)
	}
	t.Logf("%d calls in %s at the lower rate, at most %d in a second", len(slow), until.Sub(from), most)

	younger.Kill()
	await(l, "finish the run at the old rate", func() bool {
		return l.Number("SELECT count(*) FROM runs WHERE verdict IS NULL") == 0
	})
	if most := sandbox.MaxInWindow(after(l, until), norskgjeld.Name, "client-1", time.Second); most < 2*low {
		t.Errorf("%d calls in a second after the younger process has left, want up to %d", most, allowed)
	}
	older.Kill()
}

// after are the data calls that arrived after a moment.
func after(l *lab.Lab, from time.Time) (late []sandbox.Entry) {
	l.Helper()
	for _, e := range dataCalls(l)["client-1"] {
		if e.Wall.After(from) {
			late = append(late, e)
		}
	}
	return late
}

// await waits until something is done.
func await(l *lab.Lab, what string, done func() bool) {
	l.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for late := time.After(lab.Patient); !done(); {
		select {
		case <-look.C:
		case <-late:
			l.Fatalf("the processes did not %s", what)
		}
	}
}
