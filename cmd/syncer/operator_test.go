package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"syncer/cli"
	"syncer/proof/lab"
	"syncer/report"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
)

func TestCheckTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{NG: norskgjeld.Options{Consents: 3}})
	good := l.Says(0, []string{"check"}, "ng1 token", "ng1 call", "bank1 token", "bank1 call", "the same as ours")
	if n := strings.Count(good, "✗"); n != 0 {
		t.Errorf("%d crosses in a good check:\n%s", n, good)
	}
	secret := filepath.Join(filepath.Dir(l.Config), "ng-secret")
	if err := os.WriteFile(secret, []byte("wr0ng-s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := l.Says(1, []string{"check"}, "✗ ng1 token", "invalid_client", "✓ bank1 call")
	if strings.Contains(bad, "wr0ng") {
		t.Errorf("the check prints the secret:\n%s", bad)
	}
	l.Says(1, []string{"check", "--json"}, `"check":"ng1 token","state":"failed"`, "wrong credentials")
}

func TestConsentsSyncReadsTheFeed(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{NG: norskgjeld.Options{Consents: 6}})
	l.ImportNG("ng1", 0, 6)
	l.Says(0, []string{"consents", "sync", "ng1"}, "read over ng1")
	l.NG.Revoke(l.NG.Consent(2).ID)
	l.Says(0, []string{"consents", "sync", "debt1"}, "1 event", "1 consent changed")
	l.Says(0, []string{"consents", "list", "--status", "revoked"}, l.NG.Consent(2).ID)
	l.Says(0, []string{"consents", "sync", "bank1"}, "has no feed")
}

func TestRerunTakesOnlyWhatFailed(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{NG: norskgjeld.Options{Consents: 8}})
	l.ImportNG("ng1", 0, 8)
	broken := l.NG.Consent(3).ID
	mend := l.Rule(sandbox.Rule{Subject: broken, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 500}})
	l.Says(cli.ExitPartial, []string{"run", "debt1"}, "partial", "1 item")
	before := l.Kit.Journal.Arrivals()
	l.Says(0, []string{"rerun", "1", "--plan"}, "1 item of 1 consent")
	if n := l.Kit.Journal.Arrivals(); n != before {
		t.Errorf("--plan made %d calls", n-before)
	}
	l.Says(cli.ExitUsage, []string{"rerun", "1", "--only", "class=transiet"})
	l.Says(cli.ExitPartial, []string{"rerun", "1", "--only", "consent=1"}, "run 1 stays partial")
	mend()
	helper := l.Start(nil, "work", "--job", "debt1")
	l.Says(0, []string{"rerun", "1", "--only", "failed", "--wait"}, "complete")
	helper.Kill()
	if got := l.Arrivals(before); len(got) != 1 || got[broken] != 1 {
		t.Errorf("the rerun called for %v", got)
	}
	l.Says(0, []string{"rerun", "1"}, "Nothing to do")
	l.Says(0, []string{"runs", "show", "1"}, "complete")
	l.Verify()
}

func TestBackfillCutsARangeIntoWindows(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{})
	l.ImportBank("bank1", 0, 2)
	l.Says(0, []string{"run", "money1"}, "complete")
	nightly := l.Number("SELECT count(*) FROM cursors WHERE span = ''")
	at := lab.Content(t, l.DB)
	command := []string{"backfill", "money1", "--from", "2026-08-01", "--to", "2026-10-09", "--days", "35"}
	<-l.Start([]string{lab.StepEnv + "=kill page.decoded 1"}, command...).Ended
	if n := l.Number("SELECT count(*) FROM runs WHERE kind = 'backfill' AND verdict IS NULL"); n < 1 { // the second may not have been planned yet
		t.Fatal("no backfill is open")
	}
	out := l.Says(0, command)
	if n := l.Number("SELECT count(*) FROM runs WHERE kind = 'backfill' AND verdict = 'complete'"); n != 2 {
		t.Errorf("%d backfills for two windows:\n%s", n, out)
	}
	if n := l.Number("SELECT count(*) FROM cursors WHERE span = ''"); n != nightly {
		t.Errorf("the nightly cursors were %d and are %d", nightly, n)
	}
	if n := l.Number("SELECT count(DISTINCT span) FROM cursors WHERE span <> ''"); n != 2 {
		t.Errorf("%d windows have cursors", n)
	}
	if again := lab.Content(t, l.DB); fmt.Sprint(at["transactions"]) != fmt.Sprint(again["transactions"]) {
		t.Error("a backfill of what was there has changed it")
	}
	l.Says(cli.ExitError, []string{"backfill", "debt1", "--from", "2026-08-01", "--to", "2026-10-09"})
	l.Says(cli.ExitUsage, []string{"backfill", "money1", "--from", "2026-08-01", "--to", "9999-10-09"})
	if n := l.Number("SELECT count(*) FROM runs WHERE kind = 'backfill'"); n != 2 {
		t.Errorf("%d backfills", n)
	}
	l.Verify()
}

// A refused token parks the connection; opening it lets a run that was cut short be made again.
func TestAParkedConnectionIsOpenedByHand(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{})
	l.ImportBank("bank1", 0, 3)
	mend := l.Rule(sandbox.Rule{Provider: "sbanken", Only: "api", Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 401}})
	l.Says(cli.ExitFailed, []string{"run", "money1"}, "failed", "parked")
	l.Says(0, []string{"connections", "list", "--json"}, `"state":"parked"`, "status 401")
	before := l.Kit.Journal.Arrivals()
	l.Says(cli.ExitFailed, []string{"rerun", "1"}, "parked")
	if n := l.Kit.Journal.Arrivals(); n != before {
		t.Errorf("%d calls over a parked connection", n-before)
	}
	mend()
	l.Says(0, []string{"check", "--json"}, "parked for these credentials since", "syncer connections open bank1")
	l.Says(0, []string{"connections", "open", "bank1"}, "is open; it was parked since")
	l.Says(0, []string{"connections", "open", "bank1"}, "was open already")
	l.Says(0, []string{"rerun", "1"}, "complete")

	l.Says(cli.ExitUsage, []string{"connections", "park", "bank1"})
	l.Says(0, []string{"connections", "park", "bank1", "--reason", "they asked us to stop"}, "Connection bank1 is parked")
	l.Says(0, []string{"connections", "park", "bank1", "--reason", "again"}, "was parked already", "they asked us to stop")
	before = l.Kit.Journal.Arrivals()
	l.Says(cli.ExitFailed, []string{"run", "money1"}, "they asked us to stop", "syncer connections open bank1")
	if n := l.Kit.Journal.Arrivals(); n != before {
		t.Errorf("%d calls over a connection that an operator has parked", n-before)
	}
	l.Verify()
}

// A provider that wrote a wrong date closes a connection for years. Everybody can see it, and an operator can end it.
func TestAPauseOfDaysIsEndedByHand(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{})
	l.ImportBank("bank1", 0, 3)
	l.Rule(sandbox.Rule{Provider: "sbanken", Only: "api", Times: 1, Action: sandbox.Action{
		Kind: sandbox.AnswerStatus, Status: 429, RetryAfter: sandbox.RetryAfter{Literal: "1893456000"}}})
	l.Says(0, []string{"connections", "resume", "bank1", "--reason", "none"}, "Nothing of connection bank1 is closed")
	run := l.Start(nil, "run", "money1")
	l.Wait("the batches are parked", func() bool {
		return l.Number("SELECT count(*) FROM batches WHERE state = 'parked'") > 0
	})
	l.Says(0, []string{"status"}, "is closed until 2030-01-01 00:00:00Z", " days): ", "  syncer connections resume bank1 --reason TEXT", "parked")
	l.Says(0, []string{"status", "--json"}, `"pauses": [`, `"gate": "bank1@http://127.0.0.1:`)
	l.Says(0, []string{"runs", "show", "1"}, "is closed until 2030-01-01 00:00:00Z")
	l.Says(cli.ExitUsage, []string{"connections", "resume", "bank1"})
	l.Says(0, []string{"connections", "resume", "bank1", "--reason", "a wrong date, says their support"},
		"is open; it was closed until 2030-01-01 00:00:00Z", "retry-after")
	<-run.Ended
	l.Says(0, []string{"runs", "show", "1"}, "complete", "1 pause honoured")
	if n := l.Number("SELECT count(*) FROM pauses WHERE ended_reason = 'by an operator: a wrong date, says their support'"); n != 1 {
		t.Errorf("%d pauses say who has ended them", n)
	}
	l.Says(0, []string{"connections", "resume", "bank1", "--reason", "again", "--json"}, `"ended": []`)
	n := l.Number("SELECT count(*) FROM acts WHERE act = 'connections resume' AND details->>'ended' = '1'")
	if n != 1 {
		t.Errorf("%d acts say who has ended pauses", n)
	}
	l.Verify()
}

// When the day's quota is used up a run waits for the next day; what is left is seen by everybody. A process
// that begins with a higher one goes on at once.
func TestAQuotaThatIsUsedUp(t *testing.T) {
	t.Parallel()
	const perDay = 12
	l := lab.New(t, lab.Options{PerDay: perDay, BatchSize: 5})
	l.ImportBank("bank1", 0, 10)
	l.Says(0, []string{"status"}, "Calls that are left today",
		"bank1: 12 of 12 calls until 20", "ng1: 12 of 12 calls until 20")
	run := l.Start(nil, "run", "money1")
	l.Wait("the batches are parked", func() bool {
		return l.Number("SELECT count(*) FROM batches WHERE state = 'parked'") >= 2
	})
	l.Says(0, []string{"status"}, "bank1@http://127.0.0.1:", "none of 12 calls until 20", "token@http://127.0.0.1:",
		"2 batches are parked, the first until 20", "the day's quota of 12 calls is used")
	out := l.Says(0, []string{"status", "--json"}, `"quotas": [`)
	var shown struct {
		Quotas []report.DayQuota `json:"quotas"`
	}
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		t.Fatal(err)
	}
	for _, q := range shown.Quotas {
		bank := strings.HasPrefix(q.Bucket, "bank1@")
		usedUp := q.Used == perDay && q.Left == 0
		adds := q.PerDay == perDay && q.Used+q.Left == perDay
		if bank != usedUp || !adds || q.Until.Before(time.Now()) {
			t.Errorf("%+v", q)
		}
	}
	if len(shown.Quotas) != 3 {
		t.Errorf("want the bank's bucket, that of its tokens, and the registry's: %+v", shown.Quotas)
	}
	if n := dataArrivals(l); n != perDay {
		t.Errorf("%d calls arrived, want %d", n, perDay)
	}
	l.Says(0, []string{"check", "--json"}, `{"check":"bank1 token","state":"ok"`, `{"check":"ng1 call","state":"ok"`,
		`{"check":"bank1 call","state":"note","detail":"not tried: the day's quota of 12 calls is used up until 2`)
	select {
	case <-run.Ended:
		t.Error("the run did not wait for the next day")
	default:
	}
	run.Kill()
	raiseQuota(l, perDay, 10000)
	work := l.Start(nil, "work", "--job", "money1")
	l.Wait("every run is over", func() bool {
		return l.Number("SELECT count(*) FROM runs WHERE verdict IS NULL") == 0
	})
	work.Kill()
	l.Says(0, []string{"runs", "show", "1"}, "complete")
	l.Verify()
}

// dataArrivals are the calls that have arrived, without those for tokens.
func dataArrivals(l *lab.Lab) (n int) {
	for _, e := range l.Kit.Journal.Entries() {
		if !e.Token {
			n++
		}
	}
	return n
}

// raiseQuota writes another quota into the configuration.
func raiseQuota(l *lab.Lab, from, to int) {
	l.Helper()
	text, err := os.ReadFile(l.Config)
	if err != nil {
		l.Fatal(err)
	}
	quota := func(n int) string { return fmt.Sprintf("per_day: %d,", n) }
	changed := strings.ReplaceAll(string(text), quota(from), quota(to))
	if err := os.WriteFile(l.Config, []byte(changed), 0o600); err != nil {
		l.Fatal(err)
	}
}
