package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"syncer/cli"
	"syncer/proof/lab"
	"syncer/sandbox"
	"syncer/sandbox/sbanken"
)

// bankOf is a lab of a bank with so many customers, who are imported.
func bankOf(t *testing.T, customers int) *lab.Lab {
	t.Helper()
	l := lab.New(t, lab.Options{Bank: sbanken.Options{Customers: customers, Transactions: 10, Days: 30}, Log: "info"})
	l.ImportBank("bank1", 0, customers)
	return l
}

// does changes the lab's database.
func does(l *lab.Lab, sql string, args ...any) {
	l.Helper()
	if _, err := l.DB.Pool.Exec(l.Context(), sql, args...); err != nil {
		l.Fatalf("%s: %v", sql, err)
	}
}

// asRole gives the processes that come a role of their own, which goes with the test. grants are what it may; $role is its name
// there, and what is given back.
func asRole(l *lab.Lab, grants ...string) (role string) {
	l.Helper()
	at, err := url.Parse(l.DB.URL)
	if err != nil {
		l.Fatal(err)
	}
	name := "role_of" + strings.ReplaceAll(at.Path, "/", "_")
	role = pgx.Identifier{name}.Sanitize()
	does(l, "CREATE ROLE "+role+" LOGIN PASSWORD 'for-the-test'")
	l.Cleanup(func() {
		ctx := context.WithoutCancel(l.Context())
		if _, err := l.DB.Pool.Exec(ctx, "DROP OWNED BY "+role+"; DROP ROLE "+role); err != nil {
			l.Error(err)
		}
	})
	for _, grant := range grants {
		does(l, strings.ReplaceAll(grant, "$role", role))
	}
	at.User = url.UserPassword(name, "for-the-test")
	if err := os.WriteFile(filepath.Join(filepath.Dir(l.Config), "database-url"), []byte(at.String()), 0o600); err != nil {
		l.Fatal(err)
	}
	return role
}

// configure changes the lab's configuration.
func configure(l *lab.Lab, old, now string) {
	l.Helper()
	text, err := os.ReadFile(l.Config)
	if err != nil {
		l.Fatal(err)
	}
	changed := strings.Replace(string(text), old, now, 1)
	if changed == string(text) {
		l.Fatalf("%q stands nowhere in the configuration", old)
	}
	if err := os.WriteFile(l.Config, []byte(changed), 0o600); err != nil {
		l.Fatal(err)
	}
}

// mayWork is what a role needs that works and changes no table.
func mayWork() []string {
	return []string{
		"REVOKE CREATE ON SCHEMA public FROM PUBLIC",
		"GRANT USAGE ON SCHEMA public TO $role",
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO $role",
		"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO $role",
	}
}

// Whoever may only read sees everything: commands that look change nothing, and say whether the schema is older or newer.
func TestARoleThatCanOnlyReadLooks(t *testing.T) {
	t.Parallel()
	l := bankOf(t, 2)
	l.Says(0, []string{"run", "money1"})
	role := asRole(l, "GRANT pg_read_all_data TO $role", "ALTER ROLE $role SET default_transaction_read_only = on")
	call := ""
	l.Scan(&call, "SELECT id::text FROM calls WHERE purpose = 'data' LIMIT 1")
	for _, args := range []string{
		"status", "runs", "runs list", "runs show 1", "call " + call, "acts", "verify", "consents list", "consents show 1",
		"consents list --expiring 14d", "connections list", "keys list", "streams list", "removals list", "quarantine list",
		"rerun 1 --plan", "db status", "db url",
	} {
		l.Says(0, strings.Fields(args))
	}
	l.Says(0, []string{"check"}, "! database", "only")
	l.Says(1, []string{"consents", "revoke", "1"})
	does(l, "ALTER ROLE "+role+" RESET default_transaction_read_only") // else whoever works waits until writes are taken
	for _, args := range []string{"consents revoke 1", "run money1", "serve", "keys rotate"} {
		out, err := l.Command(nil, strings.Fields(args)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "may only read this database, and the command writes in it") {
			t.Errorf("syncer %s: %v\n%s", args, err, out)
		}
	}

	does(l, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (4711, true)")
	l.Says(0, []string{"status"})
	l.Says(0, []string{"db", "status"}, "its schema is 4711")
	does(l, "UPDATE shared_schema SET oldest = 4711")
	l.Says(1, []string{"status"})
	does(l, "DELETE FROM goose_db_version WHERE version_id >= 29")
	l.Says(1, []string{"status"})
	l.Says(1, []string{"check"}, "older than this binary", "syncer db migrate")
	if n := l.Number("SELECT count(*) FROM goose_db_version WHERE version_id >= 29"); n != 0 {
		t.Errorf("%d migrations were applied by commands that look", n)
	}
}

// A role that may not change tables works a night: the schema is somebody else's job.
func TestARoleWithoutDDLWorksANight(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Bank: sbanken.Options{Customers: 3, Transactions: 10, Days: 30}})
	role := asRole(l, mayWork()...)
	configure(l, `"file:database-url"`, `"file:database-url", migrate: "off"`)
	l.ImportBank("bank1", 0, 3)
	for _, args := range []string{"check", "run money1", "run money1 --new", "consents revoke 1", "verify", "status"} {
		l.Says(0, strings.Fields(args))
	}
	does(l, "REVOKE DELETE ON consents, items, syncer_functions, river_job FROM "+role)
	said := l.Says(1, []string{"check", "--json"})
	if want := "may not read and write the tables consents, items, river_job and 1 more: GRANT SELECT, INSERT, UPDATE, DELETE"; !strings.Contains(said, want) {
		t.Errorf("check does not say %q:\n%s", want, said)
	}
	does(l, "DELETE FROM syncer_functions WHERE name = 'keep_gate'")
	for _, args := range []string{"run money1", "work", "consents revoke 2"} {
		l.Says(1, strings.Fields(args)) // and does not try to migrate, which it may not
	}
}

// Twenty `syncer run` of one job at once make one run. What becomes of it, on a machine that has room for fewer, is not looked
// at here.
func TestTwentyRunsAtOnce(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	l := bankOf(t, 4)
	for try := 1; try <= 3; try++ {
		var all []*lab.Process
		for range 20 {
			all = append(all, l.Start(nil, "run", "money1"))
		}
		codes := map[int]int{}
		for _, p := range all {
			<-p.Ended
			codes[p.ProcessState.ExitCode()]++
		}
		t.Logf("try %d: exit codes %v", try, codes)
		if n := l.Number("SELECT count(*) FROM runs"); n != try {
			t.Fatalf("%d runs after %d tries", n, try)
		}
	}
}

// Imports of one list side by side take turns.
func TestImportsAtOnce(t *testing.T) {
	t.Parallel()
	l := bankOf(t, 1)
	list := "external_id\n"
	for i := range 300 {
		list += fmt.Sprintf("new-%03d\n", i)
	}
	said := make(chan string, 8)
	for range cap(said) {
		cmd := l.Command(nil, "consents", "import", "-", "--connection", "bank1")
		cmd.Stdin = strings.NewReader(list)
		go func() {
			out, err := cmd.CombinedOutput()
			said <- fmt.Sprint(err, " ", string(out))
		}()
	}
	made := 0
	for range cap(said) {
		switch out := <-said; {
		case strings.HasPrefix(out, "<nil> 300 new"):
			made++
		case !strings.HasPrefix(out, "<nil> 0 new"):
			t.Error(out)
		}
	}
	if made != 1 {
		t.Errorf("%d imports have made the consents", made)
	}
}

// Wake-ups for batches that there are not cost next to nothing, whenever they came.
func TestWakeUpsForNothing(t *testing.T) {
	t.Parallel()
	l := bankOf(t, 2)
	const insert = `INSERT INTO river_job (args, kind, max_attempts, queue, state)
		SELECT jsonb_build_object('batch', n, 'fence', 0, 'ring', n), 'batch', 1, 'money1', 'available'
		FROM generate_series(1000001, 1005000) n`
	does(l, insert)
	does(l, "INSERT INTO river_job (args, kind, max_attempts, queue) VALUES ('{\"batch\":\"x\"}', 'batch', 1, 'money1')")
	l.Says(0, []string{"run", "money1"})
	if n := l.Number("SELECT count(*) FROM river_job WHERE args ->> 'batch' ~ '^x|^100....$'"); n != 0 {
		t.Errorf("%d wake-ups for nothing were answered one by one, or are left", n)
	}
	worker := l.Start(nil, "work")
	l.Wait("a worker works", func() bool { return l.Number("SELECT count(*) FROM workers") == 1 })
	does(l, insert)
	l.Wait("they are gone", func() bool {
		return l.Number("SELECT count(*) FROM river_job WHERE kind = 'batch' AND state = 'available'") == 0
	})
	if n := l.Number("SELECT count(*) FROM river_job WHERE args ->> 'batch' ~ '^100....$'"); n > 100 {
		t.Errorf("%d of 5,000 wake-ups for nothing were answered one by one", n)
	}
	worker.Kill()
}

// says waits until a process says something.
func says(l *lab.Lab, p *lab.Process, text string) {
	l.Helper()
	for line := range p.Lines {
		if strings.Contains(line, text) {
			return
		}
	}
	l.Fatalf("the process ended before it said %q: exit code %d", text, p.ProcessState.ExitCode())
}

// A database that takes no writes, or has no connection left, or is lost between the plan of a run and the first look at it:
// `syncer run` stays, and goes on when it is back.
func TestARunStaysWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	l := bankOf(t, 2)
	at, err := url.Parse(l.DB.URL)
	if err != nil {
		t.Fatal(err)
	}
	database := pgx.Identifier{strings.TrimPrefix(at.Path, "/")}.Sanitize()
	at.Path = "/postgres"
	admin, err := pgx.Connect(t.Context(), at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	server := func(sql string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	ends := func(p *lab.Process) {
		t.Helper()
		if <-p.Ended; p.ProcessState.ExitCode() != 0 {
			t.Errorf("exit code %d", p.ProcessState.ExitCode())
		}
	}
	server("ALTER DATABASE " + database + " SET default_transaction_read_only = on")
	run := l.Start(nil, "run", "money1")
	says(l, run, "the database is not to be had just now")
	server("ALTER DATABASE " + database + " RESET default_transaction_read_only")
	ends(run)

	server("ALTER DATABASE " + database + " CONNECTION LIMIT 0")
	asRole(l, mayWork()...) // a superuser's connections are not limited
	run = l.Start([]string{"SYNCER_DATABASE_MIGRATE=off"}, "run", "money1")
	says(l, run, "the database is not to be had just now")
	server("ALTER DATABASE " + database + " CONNECTION LIMIT -1")
	ends(run)

	run = l.Start([]string{"SYNCER_DATABASE_MIGRATE=off", lab.StepEnv + "=stop run.planned 1"}, "run", "money1")
	lab.WaitForState(t, run, 'T')
	server("ALTER DATABASE " + database + " CONNECTION LIMIT 0")
	does(l, `SELECT pg_terminate_backend(pid)
		FROM pg_stat_activity
		WHERE datname = current_database()
		AND application_name LIKE 'syncer/%'`)
	if err := run.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	says(l, run, "the database is not to be had just now")
	server("ALTER DATABASE " + database + " CONNECTION LIMIT -1")
	ends(run)
	if n := l.Number("SELECT count(*) FROM runs WHERE verdict = 'complete'"); n != 3 {
		t.Errorf("%d runs are complete, want 3", n)
	}
	l.Verify()
}

// What plans runs goes on when its session is ended in the middle, as by a failover, or by another process that has taken it for
// dead since it stood still for its lease.
func TestPlanningOutlastsALostSession(t *testing.T) {
	t.Parallel()
	l := bankOf(t, 2)
	mend := l.Rule(sandbox.Rule{Only: "api", Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 400}})
	l.Says(cli.ExitFailed, []string{"run", "money1"})
	mend()
	for _, args := range [][]string{
		{"rerun", "1"},
		{"backfill", "money1", "--from", "2026-01-01", "--to", "2026-01-14", "--days", "7"},
	} {
		tx, err := l.DB.Pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(context.WithoutCancel(t.Context()))
		if _, err := tx.Exec(t.Context(), "LOCK TABLE items IN SHARE MODE"); err != nil { // it can be read, and nothing planned
			t.Fatal(err)
		}
		p := l.Start(nil, args...)
		const ended = `SELECT count(pg_terminate_backend(pid))
			FROM pg_stat_activity
			WHERE datname = current_database()
			AND application_name LIKE 'syncer/%'
			AND wait_event_type = 'Lock'`
		l.Wait(args[0]+" plans", func() bool { return l.Number(ended) > 0 })
		says(l, p, "the database is not to be had just now")
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		if <-p.Ended; p.ProcessState.ExitCode() != 0 {
			t.Errorf("%s: exit code %d\n%s", args[0], p.ProcessState.ExitCode(), p.Said())
		}
	}
	l.Verify()
}

// A release works with its own schema and with the next one, which others have made of the database under it or before it came.
func TestAReleaseWorksWithTheNextSchema(t *testing.T) {
	t.Parallel()
	l := bankOf(t, 3)
	before := l.Start(nil, "work")
	l.Wait("a process works", func() bool { return l.Number("SELECT count(*) FROM workers") == 1 })
	does(l, `ALTER TABLE transactions ADD COLUMN of_a_release_to_come text;
		INSERT INTO goose_db_version (version_id, is_applied) SELECT max(version_id) + 1, true FROM goose_db_version;
		UPDATE syncer_functions SET hash = 'of a release to come'`)
	l.Plan("money1")
	l.Wait("it reads a run", func() bool { return l.Number("SELECT count(*) FROM runs WHERE verdict = 'complete'") == 1 })
	before.Kill()
	l.Says(0, []string{"run", "money1", "--new"})
	l.Says(0, []string{"db", "migrate"})
	l.Verify()
	if n := l.Number("SELECT count(*) FROM syncer_functions WHERE hash <> 'of a release to come'"); n != 0 {
		t.Errorf("%d functions of the next release were replaced by older ones", n)
	}
}
