package jobs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"syncer/finance"
	"syncer/persist/plan"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/sandbox"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// What one consent is answered parks the connection for nobody: some providers answer 401 for a consent that
// is over. It does not matter whether that consent is the first that is asked for.
func TestATokenThatIsRefusedForOneConsentParksNothing(t *testing.T) {
	t.Parallel()
	for _, stubborn := range []int{0, 3} {
		l := newLab(t, ngsim.Options{Consents: 8}, banksim.Options{})
		l.importNG(8)
		l.fault(sandbox.Rule{Subject: l.ng.Consent(stubborn).ID, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 401}})
		n := l.start(nodeOptions{concurrency: 1})
		for range 2 {
			r := l.run(n, debt)
			if r.Run.Verdict != queue.VerdictPartial || len(r.NotComplete) != 1 || r.NotComplete[0].Class != finance.Rejected ||
				!strings.Contains(r.NotComplete[0].Reason, "so far for this consent alone") {
				t.Errorf("consent %d: %s, %+v", stubborn, r.Run.Verdict, r.NotComplete)
			}
			if r.Over.Parked || len(r.Over.Refused) > 0 {
				t.Errorf("consent %d: parked: %+v", stubborn, r.Over)
			}
		}
		n.stop()
	}
}

// A token that is refused for everybody parks the connection once five in a row were refused, and its check too.
func TestATokenThatIsRefusedForAllParksTheConnection(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 40}, banksim.Options{})
	l.importNG(40)
	l.fault(sandbox.Rule{Provider: ngsim.Name, Only: "api", After: 12, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 401}})
	n := l.start(nodeOptions{concurrency: 2})
	r := l.run(n, debt)
	if len(r.Over.Refused) != 1 || r.Over.Refused[0].Class != "token" {
		t.Errorf("refused: %+v", r.Over.Refused)
	}
	alone := 0
	for _, i := range r.NotComplete {
		if strings.Contains(i.Reason, "so far for this consent alone") {
			alone++
		}
	}
	// Four, and those that were on their way beside them; none where five were refused before the first was judged.
	if alone > 7 {
		t.Errorf("%d items failed before the token was to blame", alone)
	}
}

// nobodyParked tells whether a connection was parked.
func (a *aggregator) nobodyParked(when string, r read.Report) {
	a.Helper()
	if r.Over.Parked || len(r.Over.Refused) > 0 {
		a.Errorf("%s: parked: %+v", when, r.Over)
	}
}

// A rerun and a final pull ask just those that are refused, so many refusals in a row say nothing of the
// others. With a check that passes nobody is parked.
func TestARerunOfTheDeadParksNobody(t *testing.T) {
	t.Parallel()
	const consents, dead = 40, 17
	for _, status := range []int{401, 302} {
		a := newAggregator(t, consents, "a1")
		a.everything(withStatus(status), dead)
		n := a.start(nodeOptions{more: a, concurrency: 4, batchSize: 20})
		root := a.run(n, a.name)
		a.nobodyParked("the night", root)
		rerun, _ := a.rerun(n, root.Run, plan.Selection{})
		a.nobodyParked("the rerun", rerun)

		a.passes(2) // so that no good answer is of the last hour
		_, err := a.db.Pool.Exec(t.Context(), `UPDATE consents SET valid_until = now() + interval '2 hours'
			WHERE id IN (SELECT id FROM consents ORDER BY id LIMIT $1)`, dead)
		a.must(err)
		a.took()
		job := a.job(nodeOptions{batchSize: 20})
		job.Schedule = nightly(t)
		final, created, err := n.FireFinal(t.Context(), job, time.Now())
		if a.must(err); !created {
			t.Fatal("there is no final pull")
		}
		r := a.settled(n, final)
		a.nobodyParked("the final pull", r)
		if got := len(a.took()); r.Run.Expected != 2*dead || got < dead {
			t.Errorf("the final pull has %d items and %d calls", r.Run.Expected, got)
		}
		a.nobodyParked("the next night", a.run(n, a.name))
		if got := a.number("SELECT count(DISTINCT consent_id) FROM transactions"); got != consents-dead {
			t.Errorf("%d consents have rows", got)
		}
		n.stop()
	}
}

// Few consents of which most are refused park nobody either, in whatever order they are asked, if the
// check passes. Where it is refused as well the connection is to blame.
func TestManyDeadConsentsParkNothingWhereTheCheckPasses(t *testing.T) {
	t.Parallel()
	for last := range 2 { // the living one is the first that is asked for, or the last
		a := newAggregator(t, 6, "a1")
		a.everything(withStatus(401), 6)
		a.answers(fmt.Sprintf("c%d/accounts", 5*last), nil)
		n := a.start(nodeOptions{more: a, concurrency: 1})
		for range 3 {
			r := a.run(n, a.name)
			a.nobodyParked("a night", r)
			if r.Counts[0].Rows != 1 || r.Counts[0].Failed != 5 {
				t.Errorf("%+v", r.Counts)
			}
		}
		n.stop()
	}
	a := newAggregator(t, 6, "a1")
	a.everything(withStatus(401), 6)
	a.answers("ping", withStatus(401))
	n := a.start(nodeOptions{more: a, concurrency: 1})
	if r := a.run(n, a.name); len(r.Over.Refused) != 1 {
		t.Errorf("%+v", r.Over)
	}
}
