// Package resume proves that a night with kills ends with the same tables as one without.
package resume

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/proof/lab"
)

// The points of a batch's life at which TestResume kills, each again and again: after the claim, before anything is
// written, at every step of the commit, before and after COMMIT, and where items and batches are decided.
var killPoints = []string{
	"batch.claimed", "page.decoded", "commit.fenced", "commit.cursors", "commit.rows", "commit.pages", "commit.items",
	"commit.ready", "commit.done", "item.deciding", "batch.finishing",
}

// TestMain builds the program that is killed here.
func TestMain(m *testing.M) { lab.Main(m) }

// TestResume kills the real program at least fifty times, at the named points of the commit path and at random
// instants, starts it again each time, and finds the tables equal to those of an undisturbed run.
func TestResume(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	want := lab.Undisturbed(t)
	if len(want["transactions"]) < 500 || len(want["debts"]) < 50 {
		t.Fatalf("the undisturbed run brought too little to prove anything: %d transactions, %d debts", len(want["transactions"]), len(want["debts"]))
	}
	random := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	for kills := 0; kills < 50; {
		l := lab.Small(t)
		kills += killOften(t, l, random)
		if diff := cmp.Diff(want, lab.Content(t, l.DB)); diff != "" {
			t.Fatalf("the tables differ from an undisturbed run (-undisturbed +killed):\n%.4000s", diff)
		}
		l.Verify()
		t.Logf("%d kills so far, %d arrivals at this sandbox", kills, l.Kit.Journal.Arrivals())
	}
}

// killOften runs both jobs to their ends, killing the process on the way as often as it lets itself be killed: two
// times of three at a named point, else at a random instant.
func killOften(t *testing.T, l *lab.Lab, random *rand.Rand) (kills int) {
	for _, job := range []string{"debt1", "money1"} {
		for round := range 40 {
			env := []string{fmt.Sprintf("%s=kill %s %d", lab.StepEnv, killPoints[round%len(killPoints)], 1+round/len(killPoints))}
			if round%3 == 2 {
				env = nil
			}
			p := l.Start(env, "run", job)
			if env == nil {
				select {
				case <-p.Ended:
				case <-time.After(time.Duration(100+random.IntN(900)) * time.Millisecond):
					_ = p.Process.Kill()
				}
			}
			<-p.Ended
			if p.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
				kills++
			} else if p.ProcessState.Success() {
				break // the run is complete: there is nothing left to kill
			}
		}
		if out, code := l.Syncer("run", job); code != 0 {
			t.Fatalf("the last run of %s: exit code %d\n%s", job, code, out)
		}
	}
	return kills
}

// TestResumeAtTheToken kills the process that asks for a job's first token before and after it asks, so that it leaves
// the right to ask behind and no token. Two kills and no more: a batch that three workers died on is given up.
func TestResumeAtTheToken(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	want, l := lab.Undisturbed(t), lab.Small(t)
	for _, job := range []string{"debt1", "money1"} {
		for _, point := range []string{"token.locked", "token.asked"} {
			p := l.Start([]string{fmt.Sprintf("%s=kill %s 1", lab.StepEnv, point)}, "run", job)
			<-p.Ended
			if p.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Errorf("%s: nothing was killed at %s: exit code %d", job, point, p.ProcessState.ExitCode())
			}
		}
		if out, code := l.Syncer("run", job); code != 0 {
			t.Fatalf("the survivor of %s: exit code %d\n%s", job, code, out)
		}
	}
	if diff := cmp.Diff(want, lab.Content(t, l.DB)); diff != "" {
		t.Errorf("the tables differ from an undisturbed run (-undisturbed +killed):\n%.4000s", diff)
	}
	l.Verify()
}

// TestSleeperIsFencedOff stops a worker with SIGSTOP in the middle of its work, lets another take over and finish,
// and wakes it: it must send nothing and write nothing, but for the records of calls that were on their way or had failed
// when it fell asleep, which the provider has seen.
func TestSleeperIsFencedOff(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	want := lab.Undisturbed(t)
	for _, point := range []string{"page.decoded", "item.deciding", "commit.done"} {
		t.Run(point, func(t *testing.T) {
			l := lab.Small(t)
			sleeper := l.Start([]string{lab.StepEnv + "=stop " + point + " 3"}, "run", "money1")
			lab.WaitForState(t, sleeper, 'T')
			asleep := time.Now()
			if out, code := l.Syncer("run", "money1"); code != 0 {
				t.Fatalf("the successor: exit code %d\n%s", code, out)
			}
			var calls []string
			l.Scan(&calls, "SELECT array_agg(id::text) FROM calls")
			before := l.Kit.Journal.Arrivals()
			tables := lab.Content(t, l.DB)
			if err := sleeper.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			<-sleeper.Ended
			if diff := cmp.Diff(tables, lab.Content(t, l.DB)); diff != "" {
				t.Errorf("the sleeper wrote records:\n%.2000s", diff)
			}
			var late []string
			l.Scan(&late, "SELECT array_agg(class || ' of ' || sent_at) FROM calls WHERE id::text <> ALL ($1) AND (sent_at >= $2 OR class = 'ok')", calls, asleep)
			if len(late) > 0 {
				t.Errorf("asleep since %s, the sleeper wrote calls: %v", asleep, late)
			}
			if after := l.Kit.Journal.Arrivals(); after != before {
				for _, e := range l.Kit.Journal.Entries()[before:] {
					t.Errorf("the sleeper sent a call: %+v", e)
				}
			}
			for _, table := range []string{"accounts", "balances", "transactions"} {
				if diff := cmp.Diff(want[table], tables[table]); diff != "" {
					t.Errorf("%s differ from an undisturbed run:\n%.2000s", table, diff)
				}
			}
			l.Verify()
		})
	}
}
