package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"syncer/sandbox/norskgjeld"
)

// timed is a job with a schedule and what a calendar says of it. The ledger is how far the ticks had been considered
// when the last process before those of the test went away, due are the nominal times after it, oldest first.
type timed struct {
	name, expr, zone, catchUp string
	ledger                    time.Time
	due                       []time.Time
}

// wanted are the runs that the policy makes of what is due, when nobody was there for it.
func (j timed) wanted() []time.Time {
	switch {
	case len(j.due) == 0 || j.catchUp == "all":
		return j.due
	case j.catchUp == "latest":
		return j.due[len(j.due)-1:]
	}
	return nil
}

// nights is a lab of jobs with schedules, and the processes that serve them.
type nights struct {
	*lab
	jobs    []timed
	env     []string
	serving []*process
}

// newNights leaves a database as processes leave it that went away when the ledgers were last advanced. env is for
// the processes that come.
func newNights(t testing.TB, consents int, jobs []timed, env ...string) *nights {
	t.Helper()
	l := newLab(t, labOptions{NG: norskgjeld.Options{Consents: max(consents, 1), Start: time.Now().Add(-time.Hour)}, Log: "info"})
	if consents > 0 {
		l.importNG("ng1", 0, consents)
	}
	config, err := os.OpenFile(l.config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer config.Close()
	for _, j := range jobs { // "jobs" is the last key of the file
		if _, err := fmt.Fprintf(config, "  %s: { connection: ng1, datasets: [debt], schedule: %q, time_zone: %s, catch_up: %s }\n",
			j.name, j.expr, j.zone, j.catchUp); err != nil {
			t.Fatal(err)
		}
		if _, err := l.db.Pool.Exec(t.Context(), `INSERT INTO schedules (job, considered) VALUES ($1, $2)`, j.name, j.ledger); err != nil {
			t.Fatal(err)
		}
	}
	// Between the ticks they are as idle as processes of a real service: a test that lasts minutes must not slow others.
	return &nights{lab: l, jobs: jobs, env: append(env, "SYNCER_SERVER_LISTEN=127.0.0.1:0",
		"SYNCER_WORKER_LEASE=15s", "SYNCER_WORKER_HEARTBEAT=3s", "SYNCER_WORKER_SWEEP=3s")}
}

// serve starts the service; step is what happens to it, as stepEnv has it.
func (n *nights) serve(step string) *process {
	n.Helper()
	p := n.start(append(n.env[:len(n.env):len(n.env)], stepEnv+"="+step), "serve")
	n.serving = append(n.serving, p)
	return p
}

// patient is how long a test waits for what must happen, on a machine that does a lot of other things.
const patient = 5 * time.Minute

// up waits until a process serves.
func (n *nights) up(p *process) {
	n.Helper()
	for late := time.After(patient); ; {
		select {
		case line, ok := <-p.lines:
			if !ok {
				n.Fatal("a process ended before it served")
			}
			if strings.Contains(line, "serving") {
				return
			}
		case <-late:
			n.Fatal("a process did not come up")
		}
	}
}

// dies waits until a process has killed itself at the step that it was started with.
func (n *nights) dies(p *process) {
	n.Helper()
	select {
	case <-p.ended:
	case <-time.After(patient):
		n.Fatalf("a process never came to the step at which it dies%s", n.complaints())
	}
	if p.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		n.Fatalf("a process ended by itself: %v%s", p.ProcessState, n.complaints())
	}
}

// leave asks processes to go, as a deployment does.
func (n *nights) leave(all ...*process) {
	n.Helper()
	for _, p := range all {
		_ = p.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range all {
		if <-p.ended; !p.ProcessState.Success() {
			n.Errorf("a process that was asked to leave: %v%s", p.ProcessState, n.complaints())
		}
	}
}

// considered waits until the ledgers say that all that was due at a time has been fired or skipped.
func (n *nights) considered(until time.Time) {
	n.Helper()
	n.await(fmt.Sprintf("consider what is due until %s", until), func() bool {
		ledgers := n.ledgers()
		for _, j := range n.jobs {
			for _, at := range j.due {
				if !at.After(until) && ledgers[j.name].Before(at) {
					return false
				}
			}
		}
		return true
	})
}

func (n *nights) await(what string, done func() bool) {
	n.Helper()
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for late := time.After(patient); !done(); {
		select {
		case <-look.C:
		case <-late:
			want, got := n.runs(time.Now())
			n.Fatalf("the processes did not %s; the runs (-want +got):\n%s%s", what, cmp.Diff(want, got), n.complaints())
		}
	}
}

func (n *nights) ledgers() map[string]time.Time {
	n.Helper()
	rows, err := n.db.Pool.Query(n.Context(), "SELECT job, considered FROM schedules")
	if err != nil {
		n.Fatal(err)
	}
	at := map[string]time.Time{}
	var job string
	var considered time.Time
	if _, err := pgx.ForEachRow(rows, []any{&job, &considered}, func() error {
		at[job] = considered.UTC()
		return nil
	}); err != nil {
		n.Fatal(err)
	}
	return at
}

// complaints are what the processes have said of firings that failed.
func (n *nights) complaints() string {
	var said strings.Builder
	for _, p := range n.serving {
		for more := true; more; {
			select {
			case line, ok := <-p.lines:
				if more = ok; strings.Contains(line, "failed") {
					said.WriteString("\n" + line)
				}
			default:
				more = false
			}
		}
	}
	return said.String()
}

// runs gives the nominal times of all runs up to a time, and those that are wanted.
func (n *nights) runs(until time.Time) (want, got map[string][]string) {
	n.Helper()
	want, got = map[string][]string{}, map[string][]string{}
	for _, j := range n.jobs {
		for _, at := range j.wanted() {
			want[j.name] = append(want[j.name], at.UTC().Format(time.RFC3339Nano))
		}
	}
	rows, err := n.db.Pool.Query(n.Context(), "SELECT job, scheduled_for FROM runs WHERE scheduled_for <= $1 ORDER BY job, scheduled_for", until)
	if err != nil {
		n.Fatal(err)
	}
	var job string
	var at time.Time
	if _, err := pgx.ForEachRow(rows, []any{&job, &at}, func() error {
		got[job] = append(got[job], at.UTC().Format(time.RFC3339Nano))
		return nil
	}); err != nil {
		n.Fatal(err)
	}
	return want, got
}

// verify is that of the lab, in the zones of the processes.
func (n *nights) verify() {
	n.Helper()
	if out, err := n.command(n.env, "verify").CombinedOutput(); err != nil {
		n.Errorf("syncer verify: %v\n%s", err, out)
	}
}
