package jobs_test

import (
	"strings"
	"testing"

	"syncer/finance"
	"syncer/persist"
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
			if r.Run.Verdict != persist.VerdictPartial || len(r.NotComplete) != 1 || r.NotComplete[0].Class != finance.Rejected ||
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

// A token that is refused for everybody parks the connection once four of them were refused.
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
	// Three, and the one that was on its way beside each; none where four were refused before the first was judged.
	if alone > 5 {
		t.Errorf("%d items failed before the token was to blame", alone)
	}
}
