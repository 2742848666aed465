package main

import (
	"strings"
	"testing"

	"syncer/cli"
	"syncer/proof/lab"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
)

// Three of ten consents that end in one night are held: a person sees them, and why, and decides.
func TestEndsThatAreHeldAreAccepted(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{NG: norskgjeld.Options{Consents: 10}})
	l.ImportNG("ng1", 0, 10)
	for i := range 3 {
		l.Rule(sandbox.Rule{Subject: l.NG.Consent(i).ID, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 403,
			Body: `{"error":"no valid consent","trace_id":"t"}`}})
	}
	l.Says(cli.ExitOK, []string{"run", "debt1"}, "complete")
	l.Says(0, []string{"runs", "show", "1"}, "no valid consent", "20 % of the consents were ended")
	l.Says(0, []string{"status"}, "suspected to have ended", "3 consents", "syncer consents accept-ends ng1")
	l.Says(0, []string{"status", "--json"}, `"suspected_consents": [`, `"held": 3`)
	list := l.Says(0, []string{"consents", "list", "--status", "suspected"}, l.NG.Consent(0).ID)
	if n := strings.Count(list, " suspected "); n != 3 {
		t.Errorf("%d consents are listed:\n%s", n, list)
	}
	l.Says(0, []string{"consents", "show", "1"}, "suspected to be revoked since", "an operator decides", "revoked → suspected")
	l.Says(0, []string{"consents", "show", "1", "--json"}, `"status": "suspected"`, `"held": true`)

	before := l.Kit.Journal.Arrivals()
	l.Says(cli.ExitUsage, []string{"consents", "accept-ends", "ng1"})
	l.Says(cli.ExitError, []string{"consents", "accept-ends", "nobody", "--reason", "x"})
	l.Says(0, []string{"consents", "accept-ends", "ng1", "--reason", "they say so"}, "3 consents over ng1 ended")
	l.Says(0, []string{"consents", "show", "1"}, "suspected → revoked (operator): they say so")
	if n := l.Kit.Journal.Arrivals() - before; n != 0 {
		t.Errorf("%d calls were made", n)
	}
}
