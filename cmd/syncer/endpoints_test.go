package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"syncer/cli"
	"syncer/proof/lab"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
)

// reconfigure replaces a text in the lab's configuration, wherever it stands.
func reconfigure(t *testing.T, l *lab.Lab, from, to string) {
	t.Helper()
	text, err := os.ReadFile(l.Config)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		t.Fatalf("the configuration has no %q", from)
	}
	if err := os.WriteFile(l.Config, []byte(strings.ReplaceAll(string(text), from, to)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tells runs the program, wants its exit code, and wants the texts in what it prints to stderr.
func tells(t *testing.T, l *lab.Lab, code int, args []string, texts ...string) {
	t.Helper()
	cmd := l.Command(nil, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	_ = cmd.Run() // the exit code says it
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("syncer %v: exit code %d, want %d\n%s", args, got, code, stderr.String())
	}
	for _, text := range texts {
		if !strings.Contains(stderr.String(), text) {
			t.Errorf("syncer %v does not tell %q:\n%s", args, text, stderr.String())
		}
	}
}

// A connection that has another name in the configuration is not a new one: everything says so until it is renamed, and
// then it goes on where it was.
func TestAConnectionIsRenamedByCommand(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{})
	l.ImportBank("bank1", 0, 3)
	l.Says(0, []string{"run", "money1"}, "complete")
	before := l.Number("SELECT count(*) FROM transactions")
	rename := []string{"connections", "rename", "bank1", "oslo", "--reason", "there is a second one now"}
	tells(t, l, cli.ExitError, rename, "connection bank1 is still in the configuration")

	reconfigure(t, l, "bank1", "oslo")
	const forgotten = "connection bank1 has 3 active consents, and this configuration does not name it"
	l.Says(0, []string{"check", "--json"}, forgotten, "syncer connections rename bank1 NEW")
	tells(t, l, cli.ExitPartial, []string{"run", "money1"}, "Nothing was read", forgotten) // a night before anybody has looked
	tells(t, l, cli.ExitUsage, rename[:4], "--reason is missing")

	reconfigure(t, l, "provider: sbanken\n    environment: prod", "provider: sbanken\n    environment: test")
	tells(t, l, cli.ExitError, rename, "call it bank1 there once more, say with `syncer connections move bank1`", "and then rename it")
	reconfigure(t, l, "provider: sbanken\n    environment: test", "provider: sbanken\n    environment: prod")
	l.ImportBank("oslo", 0, 4) // the list comes every night, with one more
	l.Says(0, rename, "Connection bank1 is oslo now", "4 consents were imported under the new name already and not read yet: 3 are", "1 is new")
	tells(t, l, cli.ExitError, rename, `no connection "bank1" has been used`)
	l.Says(0, []string{"run", "money1"}, "complete")
	if after := l.Number("SELECT count(*) FROM transactions WHERE consent_id <= 3"); after != before || before == 0 {
		t.Errorf("%d transactions, %d before the rename", after, before)
	}

	// An environment that is left out, after it was known, passes for no other and for none.
	reconfigure(t, l, "provider: sbanken\n    environment: prod", "provider: sbanken")
	tells(t, l, cli.ExitError, []string{"run", "money1"}, "connection oslo has no environment in the configuration", "Write `environment: prod` again")
	tells(t, l, cli.ExitError, []string{"connections", "move", "oslo", "--keep", "--reason", "r"}, "write which one it leads to now")
	l.Verify()
}

// A configuration that leads to another environment under the same name calls nobody until somebody says what becomes of
// the consents.
func TestAConnectionIsMovedByCommand(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{NG: norskgjeld.Options{Consents: 4}})
	l.ImportNG("ng1", 0, 4)
	l.Says(0, []string{"run", "debt1"}, "complete")
	reconfigure(t, l, "environment: preprod", "environment: prod")
	before := l.Kit.Journal.Arrivals()
	tells(t, l, cli.ExitError, []string{"run", "debt1"},
		"connection ng1 leads to norskgjeld (prod) at http://loopback, and its consents and rows are of norskgjeld (preprod)",
		"syncer connections move ng1")
	tells(t, l, cli.ExitError, []string{"consents", "sync", "ng1"}, "connection ng1 leads to")
	if n := l.Kit.Journal.Arrivals(); n != before {
		t.Errorf("%d calls to where the connection did not lead", n-before)
	}
	l.Says(1, []string{"check"}, "✗ ng1", "✓ bank1 call")
	served := l.Start([]string{"SYNCER_SERVER_LISTEN=127.0.0.1:0"}, "serve") // the other jobs go on
	for line := range served.Lines {
		if strings.Contains(line, "these jobs are left out") {
			if !strings.Contains(line, `"debt1"`) || !strings.Contains(line, "connection ng1 leads to") {
				t.Errorf("left out: %s", line)
			}
			break
		}
	}
	served.Kill()
	tells(t, l, cli.ExitUsage, []string{"connections", "move", "ng1", "--reason", "live"}, "--keep or --end")
	l.Says(0, []string{"connections", "move", "ng1", "--end", "--reason", "live"}, "4 consents ended; their rows stay")
	tells(t, l, cli.ExitPartial, []string{"run", "debt1"}, "Nothing was read")
	l.Says(0, []string{"consents", "show", "1"}, "by an operator: live")
	l.Verify()
}

// A process that has the old configuration sends nothing more for a connection that has been moved, and says so.
func TestAWorkerWithTheOldConfigurationLeavesAMovedConnection(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{NG: norskgjeld.Options{Consents: 4}})
	l.ImportNG("ng1", 0, 4)
	l.Says(0, []string{"run", "debt1"}, "complete")
	worker := l.Start(nil, "work", "--job", "debt1")
	l.Wait("a process works", func() bool {
		return l.Number("SELECT count(*) FROM workers") > 0
	})
	reconfigure(t, l, "environment: preprod", "environment: prod")
	l.Says(0, []string{"connections", "move", "ng1", "--keep", "--reason", "they have merged the two"}, "4 active consents going on")
	before := l.Kit.Journal.Arrivals()
	l.Plan("debt1")
	for line := range worker.Lines {
		if strings.Contains(line, "the batch is left to others") && strings.Contains(line, "connection ng1 leads to") {
			break
		}
	}
	if n := l.Kit.Journal.Arrivals(); n != before {
		t.Errorf("%d calls by a process with the old configuration", n-before)
	}
	reconfigure(t, l, "environment: prod", "environment: preprod") // the simulator is no other environment than this
	l.Says(0, []string{"connections", "move", "ng1", "--keep", "--reason", "they have not"}, "4 active consents going on")
	l.Says(0, []string{"run", "debt1"}, "complete")
	l.Verify()
}

// A foreground run whose connection is moved or renamed beside it ends and says so: nobody here would ever finish it.
func TestARunIsLeftWhenItsConnectionMoves(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, from, to string
		command        []string
		told           string
	}{
		{"moved", "environment: preprod", "environment: prod",
			[]string{"connections", "move", "ng1", "--keep", "--reason", "r"}, "connection ng1 was moved to norskgjeld (prod)"},
		{"renamed", "ng1", "oslo",
			[]string{"connections", "rename", "ng1", "oslo", "--reason", "r"}, "connection ng1 was renamed to oslo"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := lab.New(t, lab.Options{NG: norskgjeld.Options{Consents: 4}})
			l.ImportNG("ng1", 0, 4)
			l.Rule(sandbox.Rule{Provider: "norskgjeld", Only: "api", Action: sandbox.Action{Kind: sandbox.SlowHeader, DelayMS: 3000}})
			run := l.Start(nil, "run", "debt1")
			l.Wait("a batch is worked", func() bool {
				return l.Number("SELECT count(*) FROM batches WHERE state = 'working'") > 0
			})
			reconfigure(t, l, c.from, c.to)
			l.Says(0, c.command)
			told := ""
			for line := range run.Lines {
				told += line + "\n"
			}
			<-run.Ended
			if code := run.ProcessState.ExitCode(); code != cli.ExitError || !strings.Contains(told, c.told) {
				t.Errorf("exit code %d, want %d and %q:\n%s", code, cli.ExitError, c.told, told)
			}
		})
	}
}

// A job that has another name in the configuration leaves runs behind: an open one is told of, and what is missing from a settled one
// is read again with the settings of the job that has its work now.
func TestRunsOfARenamedJob(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{NG: norskgjeld.Options{Consents: 4}})
	l.ImportNG("ng1", 0, 4)
	mend := l.Rule(sandbox.Rule{Subject: l.NG.Consent(2).ID, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 500}})
	l.Says(cli.ExitPartial, []string{"run", "debt1"}, "partial")
	l.Plan("debt1") // run 2, which nobody works
	mend()
	reconfigure(t, l, "debt1:", "nightly:")
	l.Says(0, []string{"check", "--json"}, "run 2 of debt1 is not finished, and this configuration has no such job")
	tells(t, l, 0, []string{"run", "nightly"}, "`syncer runs close 2` ends it")
	l.Says(0, []string{"runs", "close", "2", "--reason", "renamed"}, "Run 2 is closed")
	l.Says(0, []string{"rerun", "1"}, "complete")
	l.Verify()
}
