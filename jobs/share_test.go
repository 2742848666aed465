package jobs_test

import (
	"sync"
	"testing"
	"time"

	"syncer/finance"
	"syncer/persist/queue"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// Two engines share a run: each works batches of it, every consent is called for once, every item decided once.
func TestTwoEnginesShareARun(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 60}, banksim.Options{})
	l.importNG(60)
	var mu sync.Mutex
	decided := [2]int{}
	var nodes [2]*node
	both := make(chan struct{}) // closed when both have work in hand
	met := [2]bool{}
	for i := range nodes {
		nodes[i] = l.start(nodeOptions{batchSize: 5, step: func(step string) {
			if step != "item.deciding" {
				return
			}
			mu.Lock()
			decided[i]++
			first := !met[i]
			met[i] = true
			if first && met[1-i] {
				close(both)
			}
			mu.Unlock()
			select {
			case <-both:
			case <-t.Context().Done():
			}
		}})
	}
	if r := l.run(nodes[0], debt); r.Run.Verdict != queue.VerdictComplete {
		t.Fatalf("%s: %+v", r.Run.Verdict, r.NotComplete)
	}
	if decided[0] == 0 || decided[1] == 0 || decided[0]+decided[1] != 60 {
		t.Errorf("decided by each: %v", decided)
	}
	for i := range 60 {
		if l.calls(i) != 1 {
			t.Errorf("consent %d was called for %d times", i, l.calls(i))
		}
	}
	if n := l.number("SELECT count(*) FROM items WHERE attempts <> 1"); n != 0 {
		t.Errorf("%d items were begun more than once", n)
	}
}

// A process that leaves mid-run gives its batch back at once, and another finishes it from where it stood: no page is
// read twice.
func TestLeavingGivesTheBatchBack(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 30}, banksim.Options{Customers: 1, Transactions: 300})
	l.importNG(30)
	l.importBank(1)
	for _, c := range []struct{ job, step string }{{debt, "item.deciding"}, {money, "commit.done"}} {
		t.Run(c.job, func(t *testing.T) {
			var first *node
			var once sync.Once
			ready, left := make(chan struct{}), make(chan struct{})
			first = l.start(nodeOptions{batchSize: 30, concurrency: 1, step: func(step string) {
				if step == c.step {
					once.Do(func() { <-ready; first.Leave(); close(left) })
				}
			}})
			run := l.fire(first, c.job)
			close(ready)
			select {
			case <-left:
			case <-time.After(20 * time.Second):
				t.Fatal("it did not come to " + c.step)
			}
			first.stop()
			if held := l.number("SELECT count(*) FROM batches WHERE run_id = $1 AND (state <> 'pending' OR wake_at > clock_timestamp())", run.ID); held != 0 {
				t.Fatal("the batch was not given back")
			}
			if open := l.number("SELECT count(*) FROM items i JOIN batches b ON b.id = i.batch_id WHERE b.run_id = $1 AND outcome IS NULL", run.ID); open == 0 {
				t.Fatal("it has finished before it left, which proves nothing")
			}
			calls := l.number("SELECT count(*) FROM calls WHERE purpose = 'data' AND class = 'ok'")
			second, began := l.start(nodeOptions{}), time.Now()
			defer second.stop()
			if r := l.settled(second, run); r.Run.Verdict != queue.VerdictComplete || time.Since(began) > 10*time.Second {
				t.Errorf("%s after %s: %+v", r.Run.Verdict, time.Since(began), r.NotComplete)
			}
			if l.number("SELECT count(*) FROM calls WHERE purpose = 'data' AND class = 'ok'") == calls {
				t.Error("the second process had nothing to do")
			}
			if n := l.number("SELECT count(*) FROM (SELECT FROM calls WHERE purpose = 'data' AND run_id = $1 AND dataset = $2 GROUP BY consent_id HAVING count(*) > 1) x",
				run.ID, finance.Debts); n != 0 {
				t.Errorf("%d consents were called for twice", n)
			}
		})
	}
}

// A wake-up that a leaving process has answered, or whose batch it gives back, is sent again at once: whoever stays must not wait
// for the sweep.
func TestALeavingProcessSwallowsNoWakeUp(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 12}, banksim.Options{Customers: 1})
	l.importNG(12)
	for name, leavesInWork := range map[string]bool{"before a batch": false, "in a batch": true} {
		t.Run(name, func(t *testing.T) {
			var once sync.Once
			inWork, mayGoOn := make(chan struct{}), make(chan struct{})
			first := l.start(nodeOptions{batchSize: 2, concurrency: 1, sweep: time.Minute, step: func(step string) {
				if leavesInWork && step == "item.deciding" {
					once.Do(func() { close(inWork); <-mayGoOn })
				}
			}})
			defer first.stop()
			second := l.start(nodeOptions{batchSize: 2, sweep: time.Minute, idle: leavesInWork})
			if leavesInWork { // the other one comes when all batches are in the first one's hands, or wait for them
				l.fire(first, debt)
				<-inWork
				second.stop()
				second = l.start(nodeOptions{batchSize: 2, sweep: time.Minute})
			}
			defer second.stop()
			first.Leave()
			run := queue.Run{ID: int64(l.number("SELECT coalesce(max(id), 0) FROM runs"))}
			if !leavesInWork {
				run = l.fire(second, debt)
			}
			began := time.Now()
			close(mayGoOn)
			if leavesInWork {
				first.stop()
			}
			r := l.settled(second, run)
			if took := time.Since(began); r.Run.Verdict != queue.VerdictComplete || took > 15*time.Second {
				t.Errorf("%s after %s: %+v", r.Run.Verdict, took, r.NotComplete)
			}
		})
	}
}
