package jobs_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/persist/plan"
	"syncer/persist/queue"
	"syncer/sandbox"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// A single-use consent whose answer has come and whose process then stops is not called again: another worker reads the
// stored answer. When the first one wakes up, it writes nothing.
func TestSingleUseAnswerSurvivesACrash(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"page.decoded", "commit.done", "item.deciding"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, ngsim.Options{Consents: 4, SingleUse: 1}, banksim.Options{})
			l.importNG(4)
			wake, asleep := make(chan struct{}), make(chan struct{})
			var once sync.Once
			sleeper := l.start(nodeOptions{mute: true, step: func(at string) {
				if at == step {
					once.Do(func() {
						close(asleep)
						<-wake
					})
				}
			}})
			run := l.fire(sleeper, debt)
			<-asleep
			// A call that is still on its way when the lease ends would rightly be taken for unanswered.
			l.eventually("all answers are stored", func() bool {
				return l.number("SELECT count(*) FROM inbox WHERE answered_at IS NOT NULL") == 4
			})
			l.lapse()
			r := l.settled(l.start(nodeOptions{}), run)
			if r.Run.Verdict != queue.VerdictComplete {
				t.Errorf("verdict %s: %+v", r.Run.Verdict, r.NotComplete)
			}
			rows, calls := l.versions(), l.number("SELECT count(*) FROM calls WHERE purpose = 'data'")
			close(wake)
			sleeper.stop()
			if diff := cmp.Diff(rows, l.versions()); diff != "" || l.number("SELECT count(*) FROM calls WHERE purpose = 'data'") != calls {
				t.Errorf("the sleeper wrote:\n%s", diff)
			}
			for i := range 4 {
				if calls := l.calls(i); calls != 1 || l.consent(i).Status != finance.ConsentConsumed {
					t.Errorf("consent %d is %s after %d calls", i, l.consent(i).Status, calls)
				}
			}
		})
	}
}

// A single-use send that is never answered is not made again: whether the consent is spent is not known, and the item
// says so.
func TestUnansweredSingleUseIsNotSentAgain(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 4, SingleUse: 1}, banksim.Options{})
	l.importNG(4)
	l.fault(sandbox.Rule{Subject: l.ng.Consent(2).ID, Action: sandbox.Action{Kind: sandbox.Hang}})
	n := l.start(nodeOptions{timeout: 300 * time.Millisecond})
	root := l.run(n, debt)
	if len(root.NotComplete) != 1 || root.NotComplete[0].Class != finance.Unanswered || root.NotComplete[0].Outcome != finance.Failed {
		t.Errorf("not complete: %+v", root.NotComplete)
	}
	if got := l.consent(2).Status; got != finance.ConsentConsumedUnknown || l.calls(2) != 1 {
		t.Errorf("the consent is %s after %d calls", got, l.calls(2))
	}
	if _, _, err := n.Rerun(t.Context(), root.Run, plan.Selection{}); err == nil {
		t.Error("a rerun would call for a consent that may be spent")
	}
	l.run(n, debt)
	for i := range 4 {
		if l.calls(i) != 1 {
			t.Errorf("consent %d was called for %d times over two runs", i, l.calls(i))
		}
	}
}
