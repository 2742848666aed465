// Package upgrade proves that one release is replaced by the next in the middle of a night, while processes of both work.
package upgrade

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"syncer/persist/persisttest"
	"syncer/proof/lab"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
	"syncer/sandbox/sbanken"
)

// TestMain builds the newer of the two programs.
func TestMain(m *testing.M) { lab.Main(m) }

// older is the commit whose program is the older one.
const older = "3f70f1c"

// TestTwoReleasesShareANight lets a process of an older release work while the schema is migrated under it, and then beside a
// newer one. Every item is read, and the tables keep their promises.
//
// Where the history has no such commit, as in a shallow clone, the test says so, and two processes of this release share the
// night on the schema of a release to come: it is the same promise, one release later.
func TestTwoReleasesShareANight(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	program := olderProgram(t)
	l := lab.New(t, lab.Options{
		DB:        persisttest.Empty(t),
		NG:        norskgjeld.Options{Consents: 40, DebtFree: 0.1, Start: time.Now().Add(-time.Hour)},
		Bank:      sbanken.Options{Customers: 24, Transactions: 60},
		BatchSize: 2,
	})
	var old *lab.Process
	if program != "" {
		old = l.Watch(exec.CommandContext(t.Context(), program, "--config", l.Config, "work"))
	} else {
		old = l.Start(nil, "work")
	}
	l.Wait("the older process works", func() bool {
		return l.Number("SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename = 'workers'") == 1 &&
			l.Number("SELECT count(*) FROM workers") == 1
	})
	before := l.Number("SELECT max(version_id) FROM goose_db_version")
	l.ImportNG("ng1", 0, 40) // and with it comes the newer schema
	l.ImportBank("bank1", 0, 24)
	if program == "" {
		nextSchema(l)
	}
	t.Logf("the schema has gone from version %d to %d under the older process", before,
		l.Number("SELECT max(version_id) FROM goose_db_version"))
	l.Plan("debt1")
	l.Wait("the older process reads a run alone", func() bool {
		return l.Number("SELECT count(*) FROM runs WHERE verdict IS NOT NULL") == 1
	})

	l.Rule(sandbox.Rule{Provider: sbanken.Name, Only: "api", Action: sandbox.Action{Kind: sandbox.SlowHeader, DelayMS: 50}})
	l.Start(nil, "work")
	l.Wait("a newer process works beside it", func() bool { return l.Number("SELECT count(*) FROM workers") == 2 })
	l.Plan("money1")
	most := 0
	l.Wait("both read a run", func() bool {
		most = max(most, l.Number("SELECT count(DISTINCT holder) FROM batches WHERE state = 'working'"))
		return l.Number("SELECT count(*) FROM runs WHERE verdict IS NOT NULL") == 2
	})
	if most != 2 {
		t.Error("the two processes have not shared the run")
	}

	l.Plan("money1") // of which the older one dies
	l.Wait("the older process has a batch", func() bool {
		return l.Number("SELECT count(DISTINCT holder) FROM batches WHERE state = 'working'") == 2
	})
	old.Kill()
	l.Wait("the newer one takes over", func() bool { return l.Number("SELECT count(*) FROM runs WHERE verdict IS NOT NULL") == 3 })
	if n := l.Number("SELECT count(*) FROM runs WHERE verdict = 'complete'"); n != 3 {
		t.Errorf("%d of 3 runs are complete", n)
	}
	l.Verify()
}

// nextSchema makes of the database what a release to come may make of it.
func nextSchema(l *lab.Lab) {
	l.Helper()
	_, err := l.DB.Pool.Exec(l.Context(), `
		ALTER TABLE transactions ADD COLUMN of_a_release_to_come text;
		CREATE TABLE of_a_release_to_come (id bigint PRIMARY KEY);
		INSERT INTO goose_db_version (version_id, is_applied) SELECT max(version_id) + 1, true FROM goose_db_version`)
	if err != nil {
		l.Fatal(err)
	}
}

// olderProgram builds the program of the older release, from the history that this folder has; empty: it has no such commit.
func olderProgram(t *testing.T) string {
	t.Helper()
	root := strings.TrimSpace(run(t, ".", "go", "list", "-m", "-f", "{{.Dir}}", "syncer"))
	if out, err := exec.CommandContext(t.Context(), "git", "-C", root, "cat-file", "-e", older+"^{commit}").CombinedOutput(); err != nil {
		t.Logf("THE HISTORY HAS NO COMMIT %s (%v, %s), as in a shallow clone: no older program is built, and two of this release "+
			"share the night on the schema of the next one", older, err, strings.TrimSpace(string(out)))
		return ""
	}
	dir := t.TempDir()
	archive := filepath.Join(dir, "source.tar")
	source := filepath.Join(dir, "source")
	if err := os.Mkdir(source, 0o700); err != nil {
		t.Fatal(err)
	}
	run(t, root, "git", "archive", "--format=tar", "--output", archive, older)
	run(t, source, "tar", "-x", "-f", archive)
	program := filepath.Join(dir, "older")
	run(t, source, "go", "build", "-trimpath", "-o", program, "./cmd/syncer") // so that it is built once a machine
	return program
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		said := ""
		if exit, ok := err.(*exec.ExitError); ok {
			said = string(exit.Stderr)
		}
		t.Fatal(fmt.Errorf("%s %v: %w %s", name, args, err, said))
	}
	return string(out)
}
