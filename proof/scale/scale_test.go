// Package scale proves that a hundred thousand consents are planned in seconds, and that a large run keeps its speed and its
// memory.
package scale

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"syncer/persist/persisttest"
	"syncer/proof/lab"
	"syncer/sandbox/norskgjeld"
)

// TestMain builds the program that is measured here.
func TestMain(m *testing.M) { lab.Main(m) }

// scaleEnv is how many consents TestScale works; 10,000 by default, to be quick. It always plans 100,000.
const scaleEnv = "SYNCER_TEST_SCALE"

const (
	planned   = 100_000
	planLimit = 10 * time.Second
	planSlack = 12 << 20  // bytes that planning ten times as many consents may differ by
	runLimit  = 256 << 20 // bytes of resident memory of a whole run
)

// TestScale plans 100,000 consents in seconds and in the memory of 10,000, and works a large run at full speed in
// bounded memory, by the program itself.
func TestScale(t *testing.T) {
	lab.Long(t)
	persisttest.Turn(t)
	worked := 10_000
	if text := os.Getenv(scaleEnv); text != "" {
		var err error
		if worked, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: %v", scaleEnv, err)
		}
	}
	l := lab.New(t, lab.Options{
		NG:          norskgjeld.Options{Consents: max(planned, worked), Start: time.Now().Add(-time.Hour)},
		Connections: 3, Concurrency: 32, BatchSize: 100, Batches: 2, Lease: "5s",
	})
	began := time.Now()
	l.ImportNG("ng1", 0, worked)
	l.ImportNG("ng2", 0, planned)
	l.ImportNG("ng3", 0, planned/10)
	t.Logf("imported %d consents in %v", worked+planned+planned/10, time.Since(began))
	few, many := planAndDie(l, "debt3"), planAndDie(l, "debt2")
	var took time.Duration
	l.Scan(&took, `SELECT (1e9 * extract(epoch FROM min(b.claimed_at) - r.created_at))::int8 FROM batches b
		JOIN runs r ON r.id = b.run_id WHERE r.job = 'debt2' GROUP BY r.id`)
	t.Logf("planned %d consents in %v, peak %d MiB; %d: peak %d MiB", planned, took, many>>20, planned/10, few>>20)
	if n := l.Number("SELECT expected FROM runs WHERE job = 'debt2'"); n != planned {
		t.Errorf("%d items planned, want %d", n, planned)
	}
	if took > planLimit {
		t.Errorf("planning %d consents took %v", planned, took)
	}
	if many > few+planSlack {
		t.Errorf("planning %d consents took %d MiB of memory, %d took %d", planned, many>>20, planned/10, few>>20)
	}
	workAll(l, "debt1", worked)
}

// planAndDie plans a run by the program, which is stopped when it has claimed the first batch, and killed. It gives
// the peak of its resident memory.
func planAndDie(l *lab.Lab, job string) (peak int64) {
	l.Helper()
	p := l.Start([]string{lab.StepEnv + "=stop batch.claimed 1"}, "run", job)
	lab.WaitForState(l, p, 'T')
	peak = peakOf(p)
	p.Kill()
	return peak
}

// workAll works a run of n items to its verdict.
func workAll(l *lab.Lab, job string, n int) {
	l.Helper()
	began := time.Now()
	p := l.Start(nil, "run", job)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	var peak int64
	for running := true; running; {
		peak = max(peak, peakOf(p))
		select {
		case <-p.Ended:
			running = false
		case <-ticker.C:
		}
	}
	took := time.Since(began)
	cpu := p.ProcessState.UserTime() + p.ProcessState.SystemTime()
	l.Logf("worked %d consents in %v: %.0f a second, %v CPU time each; peak %d MiB", n, took, float64(n)/took.Seconds(),
		cpu/time.Duration(n), peak>>20)
	if code := p.ProcessState.ExitCode(); code != 0 {
		l.Errorf("syncer run %s: exit code %d", job, code)
	}
	if peak == 0 || peak > runLimit {
		l.Errorf("the run took %d MiB of memory", peak>>20)
	}
	if got := l.Number(`SELECT count(*) FROM items i JOIN batches b ON b.id = i.batch_id JOIN runs r ON r.id = b.run_id
		WHERE r.job = $1 AND r.verdict = 'complete' AND i.outcome IN ('rows', 'empty')`, job); got != n {
		l.Errorf("%d items are proven, want %d", got, n)
	}
	if calls := l.Number("SELECT count(*) FROM calls WHERE purpose = 'data'"); calls != n {
		l.Errorf("%d calls for the data of %d consents", calls, n)
	}
}

// peakOf is the peak of a process's resident memory so far; 0 when it is gone. The rusage of a child would not do: it
// begins with the memory of its parent.
func peakOf(p *lab.Process) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	_, _ = fmt.Sscan(rest, &kib) // a zombie has none
	return kib << 10
}
