package lab

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

// Timed is a job with a schedule and what a calendar says of it. ConsideredAt is how far the ticks had been considered
// when the last process before those of the test went away, Due are the nominal times after it, oldest first.
type Timed struct {
	Name, Expr, Zone, CatchUp string
	ConsideredAt              time.Time
	Due                       []time.Time
}

// wanted are the runs that the policy makes of what is due, when nobody was there for it.
func (j Timed) wanted() []time.Time {
	switch {
	case len(j.Due) == 0 || j.CatchUp == "all":
		return j.Due
	case j.CatchUp == "latest":
		return j.Due[len(j.Due)-1:]
	}
	return nil
}

// Nights is a lab of jobs with schedules, and the processes that serve them.
type Nights struct {
	*Lab
	jobs    []Timed
	env     []string
	serving []*Process
}

// NewNights leaves a database as processes leave it that went away when ticks were last considered. env is for
// the processes that come.
func NewNights(t testing.TB, consents int, jobs []Timed, env ...string) *Nights {
	t.Helper()
	l := New(t, Options{NG: norskgjeld.Options{Consents: max(consents, 1), Start: time.Now().Add(-time.Hour)}, Log: "info", Lease: "1s"})
	if consents > 0 {
		l.ImportNG("ng1", 0, consents)
	}
	config, err := os.OpenFile(l.Config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer config.Close()
	for _, j := range jobs { // "jobs" is the last key of the file
		if _, err := fmt.Fprintf(config, "  %s: { connection: ng1, datasets: [debt], schedule: %q, time_zone: %s, catch_up: %s }\n",
			j.Name, j.Expr, j.Zone, j.CatchUp); err != nil {
			t.Fatal(err)
		}
		if _, err := l.DB.Pool.Exec(t.Context(), `INSERT INTO schedules (job, considered) VALUES ($1, $2)`, j.Name, j.ConsideredAt); err != nil {
			t.Fatal(err)
		}
	}
	// Between the ticks they are as idle as processes of a real service: a test that lasts minutes must not slow others.
	return &Nights{Lab: l, jobs: jobs, env: append(env, "SYNCER_SERVER_LISTEN=127.0.0.1:0",
		"SYNCER_WORKER_LEASE=15s", "SYNCER_WORKER_HEARTBEAT=3s", "SYNCER_WORKER_SWEEP=3s")}
}

// Serve starts the service; step is what happens to it, as StepEnv has it.
func (n *Nights) Serve(step string) *Process {
	n.Helper()
	p := n.Start(append(n.env[:len(n.env):len(n.env)], StepEnv+"="+step), "serve")
	n.serving = append(n.serving, p)
	return p
}

// Patient is how long a test waits for what must happen, on a machine that does a lot of other things.
const Patient = 5 * time.Minute

// Up waits until a process serves.
func (n *Nights) Up(p *Process) {
	n.Helper()
	for late := time.After(Patient); ; {
		select {
		case line, ok := <-p.Lines:
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

// Dies waits until a process has killed itself at the step that it was started with.
func (n *Nights) Dies(p *Process) {
	n.Helper()
	select {
	case <-p.Ended:
	case <-time.After(Patient):
		n.Fatalf("a process never came to the step at which it dies%s", n.Complaints())
	}
	if p.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		n.Fatalf("a process ended by itself: %v%s", p.ProcessState, n.Complaints())
	}
}

// Leave asks processes to go, as a deployment does.
func (n *Nights) Leave(all ...*Process) {
	n.Helper()
	for _, p := range all {
		_ = p.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range all {
		if <-p.Ended; !p.ProcessState.Success() {
			n.Errorf("a process that was asked to leave: %v%s", p.ProcessState, n.Complaints())
		}
	}
}

// Considered waits until the tables say that all that was due at a time has been fired or skipped.
func (n *Nights) Considered(until time.Time) {
	n.Helper()
	n.Await(fmt.Sprintf("consider what is due until %s", until), func() bool {
		considered := n.consideredAt()
		for _, j := range n.jobs {
			for _, at := range j.Due {
				if !at.After(until) && considered[j.Name].Before(at) {
					return false
				}
			}
		}
		return true
	})
}

// Await waits until something is done, by the processes; what says what.
func (n *Nights) Await(what string, done func() bool) {
	n.Helper()
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for late := time.After(Patient); !done(); {
		select {
		case <-look.C:
		case <-late:
			want, got := n.Runs(time.Now())
			n.Fatalf("the processes did not %s; the runs (-want +got):\n%s%s", what, cmp.Diff(want, got), n.Complaints())
		}
	}
}

func (n *Nights) consideredAt() map[string]time.Time {
	n.Helper()
	rows, err := n.DB.Pool.Query(n.Context(), "SELECT job, considered FROM schedules")
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

// Complaints are what the processes have said of firings that failed.
func (n *Nights) Complaints() string {
	var said strings.Builder
	for _, p := range n.serving {
		for more := true; more; {
			select {
			case line, ok := <-p.Lines:
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

// Runs gives the nominal times of all runs up to a time, and those that are wanted.
func (n *Nights) Runs(until time.Time) (want, got map[string][]string) {
	n.Helper()
	want = map[string][]string{}
	got = map[string][]string{}
	for _, j := range n.jobs {
		for _, at := range j.wanted() {
			want[j.Name] = append(want[j.Name], at.UTC().Format(time.RFC3339Nano))
		}
	}
	rows, err := n.DB.Pool.Query(n.Context(), "SELECT job, scheduled_for FROM runs WHERE scheduled_for <= $1 ORDER BY job, scheduled_for", until)
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

// Verify is that of the lab, in the zones of the processes.
func (n *Nights) Verify() {
	n.Helper()
	if out, err := n.Command(n.env, "verify").CombinedOutput(); err != nil {
		n.Errorf("syncer verify: %v\n%s", err, out)
	}
}
