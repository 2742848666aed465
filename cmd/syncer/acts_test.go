package main

import (
	"strings"
	"testing"

	"syncer/cli"
	"syncer/proof/lab"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
)

// The commands that plan runs or ask a provider write down who has called them, too.
func TestActsOfCommandsThatTakeTime(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{NG: norskgjeld.Options{Consents: 3}})
	l.ImportNG("ng1", 0, 3)
	mend := l.Rule(sandbox.Rule{
		Subject: l.NG.Consent(1).ID, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 404},
	})
	l.Says(cli.ExitPartial, []string{"run", "debt1"})
	mend()
	l.Says(0, []string{"rerun", "1", "--plan", "--as", "ada"})
	l.Says(0, []string{"rerun", "1", "--as", "ada", "--reason", "they have mended it"}, "complete")
	l.Says(0, []string{"rerun", "1", "--as", "ada"}, "Nothing to do")
	l.Says(0, []string{"consents", "sync", "ng1", "--as", "ada"})
	l.ImportBank("bank1", 0, 1)
	backfill := []string{"backfill", "money1", "--from", "2026-09-01", "--to", "2026-09-30", "--as", "ada"}
	l.Says(0, backfill, "complete")
	out, _ := l.Syncer("acts", "--json")
	var ada []string
	for _, line := range strings.Split(out, "\n") {
		if strings.Contains(line, `"who":"ada"`) {
			ada = append(ada, line)
		}
	}
	want := []string{
		`"act":"backfill","kind":"job","object":"money1",` +
			`"details":{"from":"2026-09-01","to":"2026-09-30","windows":1}`,
		`"act":"consents sync","kind":"connection","object":"ng1","details":{"asked":0,"changed":0,"events":0}`,
		`"why":"they have mended it","act":"rerun","kind":"run","object":"1","details":{"items":1,"rerun":2}`,
	}
	if len(ada) != len(want) {
		t.Fatalf("%d acts, want %d:\n%s", len(ada), len(want), out)
	}
	for i := range want {
		if !strings.Contains(ada[i], want[i]) || !strings.Contains(ada[i], `"done_at"`) {
			t.Errorf("act %d is %s\nwant %s", i, ada[i], want[i])
		}
	}
}
