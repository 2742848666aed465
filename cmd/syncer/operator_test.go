package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
)

// says runs the program, wants its exit code, and wants every text in what it prints to stdout.
func (l *lab) says(code int, args []string, texts ...string) string {
	l.Helper()
	out, got := l.syncer(args...)
	if got != code {
		l.Fatalf("syncer %v: exit code %d, want %d\n%s", args, got, code, out)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			l.Errorf("syncer %v does not say %q:\n%s", args, text, out)
		}
	}
	return out
}

func (l *lab) rule(r sandbox.Rule) (undo func()) {
	l.Helper()
	id, err := l.kit.Faults.Add(r)
	if err != nil {
		l.Fatal(err)
	}
	return func() { l.kit.Faults.Remove(id) }
}

// arrivals are the data calls that the sandbox has seen since so many arrivals, by subject.
func (l *lab) arrivals(since int) map[string]int {
	seen := map[string]int{}
	for _, e := range l.kit.Journal.Entries()[since:] {
		if !e.Token && e.Subject != "" {
			seen[e.Subject]++
		}
	}
	return seen
}

func TestCheckTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	l := newLab(t, labOptions{NG: norskgjeld.Options{Consents: 3}})
	good := l.says(0, []string{"check"}, "ng1 token", "ng1 call", "bank1 token", "bank1 call", "the same as ours")
	if n := strings.Count(good, "✗"); n != 0 {
		t.Errorf("%d crosses in a good check:\n%s", n, good)
	}
	secret := filepath.Join(filepath.Dir(l.config), "ng-secret")
	if err := os.WriteFile(secret, []byte("wr0ng-s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := l.says(1, []string{"check"}, "✗ ng1 token", "invalid_client", "✓ bank1 call")
	if strings.Contains(bad, "wr0ng") {
		t.Errorf("the check prints the secret:\n%s", bad)
	}
	l.says(1, []string{"check", "--json"}, `"check":"ng1 token","state":"failed"`, "wrong credentials")
}

func TestConsentsSyncReadsTheFeed(t *testing.T) {
	t.Parallel()
	l := newLab(t, labOptions{NG: norskgjeld.Options{Consents: 6}})
	l.importNG("ng1", 0, 6)
	l.says(0, []string{"consents", "sync", "ng1"}, "read over ng1")
	l.ng.Revoke(l.ng.Consent(2).ID)
	l.says(0, []string{"consents", "sync", "debt1"}, "1 event", "1 consent changed")
	l.says(0, []string{"consents", "list", "--status", "revoked"}, l.ng.Consent(2).ID)
	l.says(0, []string{"consents", "sync", "bank1"}, "has no feed")
}

func TestRerunTakesOnlyWhatFailed(t *testing.T) {
	t.Parallel()
	l := newLab(t, labOptions{NG: norskgjeld.Options{Consents: 8}})
	l.importNG("ng1", 0, 8)
	broken := l.ng.Consent(3).ID
	mend := l.rule(sandbox.Rule{Subject: broken, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 500}})
	l.says(exitPartial, []string{"run", "debt1"}, "partial", "1 item")
	before := l.kit.Journal.Arrivals()
	l.says(0, []string{"rerun", "1", "--plan"}, "1 item of 1 consent")
	if n := l.kit.Journal.Arrivals(); n != before {
		t.Errorf("--plan made %d calls", n-before)
	}
	l.says(exitUsage, []string{"rerun", "1", "--only", "class=transiet"})
	l.says(exitPartial, []string{"rerun", "1", "--only", "consent=1"}, "run 1 stays partial")
	mend()
	helper := l.start(nil, "work", "--job", "debt1")
	l.says(0, []string{"rerun", "1", "--only", "failed", "--wait"}, "complete")
	helper.kill()
	if got := l.arrivals(before); len(got) != 1 || got[broken] != 1 {
		t.Errorf("the rerun called for %v", got)
	}
	l.says(0, []string{"rerun", "1"}, "Nothing to do")
	l.says(0, []string{"runs", "show", "1"}, "complete")
	l.verify()
}

func TestBackfillCutsARangeIntoWindows(t *testing.T) {
	t.Parallel()
	l := newLab(t, labOptions{})
	l.importBank("bank1", 0, 2)
	l.says(0, []string{"run", "money1"}, "complete")
	nightly := l.number("SELECT count(*) FROM cursors WHERE span = ''")
	at := content(t, l.db)
	command := []string{"backfill", "money1", "--from", "2026-08-01", "--to", "2026-10-09", "--days", "35"}
	<-l.start([]string{stepEnv + "=kill s8.decoded 1"}, command...).ended
	if n := l.number("SELECT count(*) FROM runs WHERE kind = 'backfill' AND verdict IS NULL"); n < 1 { // the second may not have been planned yet
		t.Fatal("no backfill is open")
	}
	out := l.says(0, command)
	if n := l.number("SELECT count(*) FROM runs WHERE kind = 'backfill' AND verdict = 'complete'"); n != 2 {
		t.Errorf("%d backfills for two windows:\n%s", n, out)
	}
	if n := l.number("SELECT count(*) FROM cursors WHERE span = ''"); n != nightly {
		t.Errorf("the nightly cursors were %d and are %d", nightly, n)
	}
	if n := l.number("SELECT count(DISTINCT span) FROM cursors WHERE span <> ''"); n != 2 {
		t.Errorf("%d windows have cursors", n)
	}
	if again := content(t, l.db); fmt.Sprint(at["transactions"]) != fmt.Sprint(again["transactions"]) {
		t.Error("a backfill of what was there has changed it")
	}
	l.says(exitError, []string{"backfill", "debt1", "--from", "2026-08-01", "--to", "2026-10-09"})
	l.says(exitUsage, []string{"backfill", "money1", "--from", "2026-08-01", "--to", "9999-10-09"})
	if n := l.number("SELECT count(*) FROM runs WHERE kind = 'backfill'"); n != 2 {
		t.Errorf("%d backfills", n)
	}
	l.verify()
}

// A refused token parks the connection; opening it lets a run that was cut short be made again.
func TestAParkedConnectionIsOpenedByHand(t *testing.T) {
	t.Parallel()
	l := newLab(t, labOptions{})
	l.importBank("bank1", 0, 3)
	mend := l.rule(sandbox.Rule{Provider: "sbanken", Only: "api", Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 401}})
	l.says(exitFailed, []string{"run", "money1"}, "failed", "parked")
	l.says(0, []string{"connections", "list", "--json"}, `"state":"parked"`, "status 401")
	before := l.kit.Journal.Arrivals()
	l.says(exitFailed, []string{"rerun", "1"}, "parked")
	if n := l.kit.Journal.Arrivals(); n != before {
		t.Errorf("%d calls over a parked connection", n-before)
	}
	mend()
	l.says(0, []string{"check", "--json"}, "parked since", "syncer connections open bank1")
	l.says(0, []string{"connections", "open", "bank1"}, "is open; it was parked since")
	l.says(0, []string{"connections", "open", "bank1"}, "was open already")
	l.says(0, []string{"rerun", "1"}, "complete")

	l.says(exitUsage, []string{"connections", "park", "bank1"})
	l.says(0, []string{"connections", "park", "bank1", "--reason", "they asked us to stop"}, "Connection bank1 is parked")
	l.says(0, []string{"connections", "park", "bank1", "--reason", "again"}, "was parked already", "they asked us to stop")
	before = l.kit.Journal.Arrivals()
	l.says(exitFailed, []string{"run", "money1"}, "they asked us to stop", "syncer connections open bank1")
	if n := l.kit.Journal.Arrivals(); n != before {
		t.Errorf("%d calls over a connection that an operator has parked", n-before)
	}
	l.verify()
}
