package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"syncer/cli"
	"syncer/proof/lab"
	"syncer/sandbox/norskgjeld"
)

// A position that lies in the future, after a night with a wrong clock, fails its item every night and names the command
// that clears it. The command says first what it costs, and then the next run reads the account's whole history again.
func TestStreamsAreReset(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{})
	l.ImportBank("bank1", 0, 2)
	l.Says(0, []string{"run", "money1"}, "complete")
	before := lab.Content(t, l.DB)
	list := l.Says(0, []string{"streams", "list", "--connection", "bank1", "--dataset", "transactions"}, "CONSENT", "transactions")
	if strings.Contains(list, "mid-pass") {
		t.Errorf("nothing is in the middle of a pass:\n%s", list)
	}
	l.Says(0, []string{"streams", "list", "--consent", "1", "--json"}, `"consent":1`, `"through":"`, `"mid_pass":false`, `"run":1`)
	if n := l.Number(`WITH c AS (UPDATE cursors SET position = '{"v":1,"through":"2999-01-01"}'
		WHERE consent_id = 1 AND dataset = 'transactions' RETURNING 1) SELECT count(*) FROM c`); n < 1 {
		t.Fatal("the first consent has no account")
	}
	const command = "streams reset --connection bank1 --consent 1 --dataset transactions"
	l.Says(cli.ExitPartial, []string{"run", "money1"}, "the stored cursor lies in the future", "syncer "+command)
	args := strings.Fields(command)
	cursors := l.Number(`SELECT count(*) FROM cursors`)
	l.Says(cli.ExitUsage, args, "of 1 consent would be read from the beginning")
	if n := l.Number(`SELECT count(*) FROM cursors`); n != cursors {
		t.Errorf("%d cursors of %d are left without --yes", n, cursors)
	}
	l.Says(0, append(args, "--yes"), "of 1 consent will be read from the beginning")
	l.Says(0, append(args, "--yes"), "There is no such stream")
	l.Says(0, []string{"run", "money1"}, "complete")
	after := lab.Content(t, l.DB)
	if strings.Join(before["transactions"], "\n") != strings.Join(after["transactions"], "\n") {
		t.Error("reading again what was there has changed it")
	}
	l.Verify()
}

// A job's history that is raised after the first load is told by check and by reports, with the backfill and its price,
// until that is done.
func TestARaisedHistoryIsTold(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{})
	l.ImportBank("bank1", 0, 1)
	l.Says(0, []string{"run", "money1"}, "complete")
	if out := l.Says(0, []string{"check"}); strings.Contains(out, "history") {
		t.Errorf("nothing was raised:\n%s", out)
	}
	config, err := os.ReadFile(l.Config)
	if err != nil {
		t.Fatal(err)
	}
	raised := bytes.ReplaceAll(config, []byte("history: 400d"), []byte("history: 410d"))
	if err := os.WriteFile(l.Config, raised, 0o600); err != nil || bytes.Equal(raised, config) {
		t.Fatal("the history is not raised: ", err)
	}
	out := l.Says(0, []string{"check"}, "! job money1 history", "history was raised after the first load")
	words := strings.Join(strings.Fields(out), " ")
	_, command, _ := strings.Cut(words, "`syncer backfill ")
	command, rest, _ := strings.Cut(command, "`")
	streams := l.Number("SELECT count(*) FROM accounts")
	if want := fmt.Sprintf(" reads them with at least %d calls", streams); !strings.HasPrefix(rest, want) {
		t.Errorf("want%s, got%.60s", want, rest)
	}
	l.Says(0, []string{"runs", "show", "1"}, "history was raised after the")
	l.Says(0, []string{"runs", "show", "1", "--json"}, `"history_raised":{"streams":`, "syncer backfill "+command)
	l.Says(0, append([]string{"backfill"}, strings.Fields(command)...), "complete")
	for _, look := range [][]string{{"check"}, {"runs", "show", "1"}} {
		if out := l.Says(0, look); strings.Contains(out, "history") {
			t.Errorf("%v: those days have been read:\n%s", look, out)
		}
	}
}

// A position of the feed that lies beyond its end is cleared the same way.
func TestAFeedIsReset(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{NG: norskgjeld.Options{Consents: 3}})
	l.ImportNG("ng1", 0, 3)
	l.Says(0, []string{"consents", "sync", "ng1"}, "read over ng1")
	l.Number(`WITH c AS (UPDATE connections SET feed_position = 'x' WHERE name = 'ng1' RETURNING 1) SELECT count(*) FROM c`)
	l.Says(cli.ExitError, []string{"consents", "sync", "ng1"})
	l.Says(cli.ExitUsage, []string{"streams", "reset", "--connection", "ng1", "--feed"}, "would be")
	l.Says(0, []string{"streams", "reset", "--connection", "ng1", "--feed", "--yes"}, "will be")
	l.Says(0, []string{"consents", "sync", "ng1"}, "read over ng1")
}

// While a run reads a stream it is not reset, whoever works it. A worker that is dead by its lease keeps nobody waiting.
func TestAStreamThatIsReadIsNotReset(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{})
	l.ImportBank("bank1", 0, 1)
	l.Says(0, []string{"run", "money1"}, "complete")
	cursors := l.Number(`SELECT count(*) FROM cursors`)
	worker := func(lease string) {
		t.Helper()
		changed := l.Number(`WITH w AS (
			INSERT INTO workers (id, host, pid, expires_at)
			VALUES ('00000000-0000-0000-0000-000000000001', 'elsewhere', 1, now() + $1::interval)
			ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at RETURNING id
		), i AS (
			UPDATE items SET outcome = NULL, finished_at = NULL RETURNING 1
		), b AS (
			UPDATE batches SET state = 'working', holder = w.id, finished_at = NULL FROM w RETURNING 1
		) SELECT count(*) FROM b, i`, lease)
		if changed == 0 {
			t.Fatal("no batch is worked")
		}
	}
	worker("1 hour")
	reset := []string{"streams", "reset", "--connection", "bank1", "--yes"}
	out, code := l.Syncer(reset...)
	if code != cli.ExitError || l.Number(`SELECT count(*) FROM cursors`) != cursors {
		t.Errorf("exit code %d while a run reads:\n%s", code, out)
	}
	worker("-1 second")
	l.Says(0, reset, "will be read from the beginning")
	if n := l.Number(`SELECT count(*) FROM cursors`); n != 0 {
		t.Errorf("%d cursors are left", n)
	}
}
