package gate

import (
	"strings"
	"testing"
	"time"

	"syncer/proof/lab"
	"syncer/sandbox/norskgjeld"
)

// TestAnIdleProcessStaysCheap: a process that serves two jobs and has nothing to do commits nine
// transactions a second or so in its first twenty seconds, most of them River's. It keeps a connection on
// which it hears what others take back, but nothing goes over it.
func TestAnIdleProcessStaysCheap(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	world := norskgjeld.Options{Consents: 10, Start: time.Now().Add(-time.Hour)}
	l := lab.New(t, lab.Options{NG: world, Log: "info"})
	l.ImportNG("ng1", 0, 10)
	p := l.Start([]string{"SYNCER_SERVER_LISTEN=127.0.0.1:0",
		"SYNCER_WORKER_LEASE=60s", "SYNCER_WORKER_HEARTBEAT=10s", "SYNCER_WORKER_SWEEP=5s"}, "serve")
	for line := range p.Lines {
		if strings.Contains(line, "serving") {
			break
		}
	}
	const idle = 20 * time.Second
	rest := time.NewTimer(idle)
	defer rest.Stop()
	before := committed(l)
	<-rest.C
	n := committed(l) - before
	t.Logf("%d transactions in %s: %.1f a second", n, idle, float64(n)/idle.Seconds())
	if most := 15 * int(idle.Seconds()); n > most {
		t.Errorf("an idle process has committed %d transactions in %s, want %d at most", n, idle, most)
	}
	n = l.Number(`SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database()
		AND query = 'LISTEN syncer_changes'`)
	if n != 1 {
		t.Errorf("%d connections hear what others take back and say nothing, want 1", n)
	}
	p.Kill()
}

// committed is how many transactions the processes of the database have committed.
func committed(l *lab.Lab) int {
	l.Helper()
	return l.Number("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
}
