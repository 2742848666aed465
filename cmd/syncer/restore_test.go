package main

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/embedded"
	"syncer/persist/persisttest"
	"syncer/proof/lab"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
)

// backup is a dump of a database.
type backup struct {
	file string // of pg_dump; empty: rows and sequences are in its place
	pg   string // the folder of pg_dump
	rows map[string][]byte
	last map[string]int64 // by sequence
}

// backUp dumps the lab's database with pg_dump, where that lies beside Postgres' other programs. The builds
// that `syncer db fetch` brings have none: then all rows are copied, to be put into the tables of a new
// database. Like those of a dump these have other oids.
func backUp(t *testing.T, l *lab.Lab) backup {
	t.Helper()
	dir, err := embedded.Provide(t.Context(), embedded.Options{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	tool := filepath.Join(dir, "pg_dump")
	if _, err := os.Stat(tool); err == nil {
		b := backup{file: filepath.Join(t.TempDir(), "dump"), pg: dir}
		postgresTool(t, tool, "--format=custom", "--file", b.file, "--dbname", l.DB.URL)
		return b
	}
	b := backup{rows: map[string][]byte{}, last: map[string]int64{}}
	conn, err := l.DB.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, table := range relations(t, l.DB, "r") {
		var rows bytes.Buffer
		if _, err := conn.Conn().PgConn().CopyTo(t.Context(), &rows, "COPY "+table+" TO STDOUT"); err != nil {
			t.Fatalf("copy %s: %v", table, err)
		}
		b.rows[table] = rows.Bytes()
	}
	for _, sequence := range relations(t, l.DB, "S") {
		b.last[sequence] = int64(l.Number("SELECT last_value FROM " + sequence))
	}
	return b
}

// relations are the names of the lab's tables ("r") or sequences ("S"), ready for a statement.
func relations(t *testing.T, db persisttest.Database, kind string) []string {
	t.Helper()
	rows, err := db.Pool.Query(t.Context(), `SELECT quote_ident(relname)
		FROM pg_class
		WHERE relnamespace = 'public'::regnamespace
		AND relkind = $1::"char"
		ORDER BY 1`, kind)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) == 0 {
		t.Fatalf("%d relations of kind %s: %v", len(names), kind, err)
	}
	return names
}

// postgresTool runs a program that lies beside Postgres' own.
func postgresTool(t *testing.T, tool string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", tool, err, out)
	}
}

// restored gives the lab a new database that is made of a dump.
func restored(t *testing.T, l *lab.Lab, b backup) {
	t.Helper()
	var db persisttest.Database
	if b.file != "" {
		db = persisttest.Empty(t)
		postgresTool(t, filepath.Join(b.pg, "pg_restore"), "--exit-on-error", "--no-owner", "--dbname", db.URL, b.file)
	} else {
		db = persisttest.NewDatabase(t)
		b.fill(t, db)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(l.Config), "database-url"), []byte(db.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	l.DB = db
}

// fill puts the rows into a migrated database, in place of those that it has, as pg_restore does: without
// triggers and in one transaction.
func (b backup) fill(t *testing.T, db persisttest.Database) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error {
		tables := slices.Sorted(maps.Keys(b.rows))
		if _, err := tx.Exec(t.Context(), "SET LOCAL session_replication_role = replica"); err != nil {
			return err
		}
		if _, err := tx.Exec(t.Context(), "TRUNCATE "+strings.Join(tables, ", ")); err != nil {
			return err
		}
		for _, table := range tables {
			if _, err := tx.Conn().PgConn().CopyFrom(t.Context(), bytes.NewReader(b.rows[table]), "COPY "+table+" FROM STDIN"); err != nil {
				return fmt.Errorf("fill %s: %w", table, err)
			}
		}
		for sequence, last := range b.last {
			if _, err := tx.Exec(t.Context(), "SELECT setval($1, $2)", sequence, last); err != nil {
				return fmt.Errorf("set %s: %w", sequence, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// debtsTold counts how often the debt of a consent was told to us, by the registry's journal, and finds who was told twice.
func debtsTold(t *testing.T, l *lab.Lab) (consents int) {
	t.Helper()
	told := map[string]int{}
	for _, e := range l.Kit.Journal.Entries() {
		if e.Template == "/v1/debt/{consent}" && e.Status == http.StatusOK {
			told[e.Subject]++
		}
	}
	for id, n := range told {
		if n > 1 {
			t.Errorf("the debt of the single-use consent %s was told %d times", id, n)
		}
	}
	return len(told)
}

// A dump from before a night knows nothing of the night's calls. Restored, it has nobody called for again that has one call,
// or one of the day, until somebody has accepted it; then what is used is told by the registry, or taken for used.
func TestARestoredDumpCallsNobodyTwice(t *testing.T) {
	t.Parallel()
	const people = 6
	l := lab.New(t, lab.Options{NG: norskgjeld.Options{Consents: people, SingleUse: 1, Start: time.Now().Add(-time.Hour)}})
	l.ImportNG("ng1", 0, people)
	l.ImportCSV("bank1", "external_id,national_id,reads_per_day\n"+
		"agreement-000000,"+l.Bank.Customer(0).CustomerID+",2\nagreement-000001,"+l.Bank.Customer(1).CustomerID+",\n")
	dump := backUp(t, l)

	// In the night one consent can't be read, and stays unused.
	mended := l.Rule(sandbox.Rule{Subject: l.NG.Consent(2).ID, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: http.StatusBadRequest}})
	l.Says(lab.ExitPartial, []string{"run", "debt1"})
	l.Says(0, []string{"run", "money1"})
	mended()
	if n := debtsTold(t, l); n != people-1 {
		t.Fatalf("the night has told %d debts, want %d", n, people-1)
	}
	night := len(l.Kit.Journal.Entries())

	restored(t, l, dump)
	l.Says(lab.ExitPartial, []string{"run", "debt1"})
	l.Says(lab.ExitPartial, []string{"run", "money1"})
	came := l.Arrivals(night)
	for i := range people {
		if n := came[l.NG.Consent(i).ID]; n != 0 {
			t.Errorf("the single-use consent %d was called for %d times after the restore", i, n)
		}
	}
	if n := came[l.Bank.Customer(0).CustomerID]; n != 0 {
		t.Errorf("whose read of the day is spent was called for %d times", n)
	}
	if came[l.Bank.Customer(1).CustomerID] == 0 {
		t.Error("who has no number of reads was not called for")
	}
	l.Says(1, []string{"check", "--json"}, "restored copy", "syncer db accept-restore")
	l.Says(0, []string{"status", "--json"}, `"restored"`, "another database")
	l.Says(0, []string{"status"}, "Restored", "accept-restore")

	l.Says(0, []string{"db", "accept-restore", "--json", "--reason", "disk lost"},
		`"asked": 6`, `"unused": 1`, `"ended": 5`, `"consumed_unknown": 0`, `"days_spent": 1`)
	l.Says(0, []string{"db", "accept-restore"}, "nothing to accept")
	l.Says(0, []string{"acts"}, "accept-restore", "disk lost")
	if n := l.Number("SELECT count(*) FROM consents WHERE connection = 'ng1' AND status = 'consumed'"); n != people-1 {
		t.Errorf("%d consents are consumed, want %d", n, people-1)
	}
	// A call that was sent before the restore may still arrive: what is unused now is asked for once more when none can.
	l.Says(lab.ExitFailed, []string{"run", "debt1", "--new"})
	l.Number(`WITH aged AS (
		UPDATE inbox SET intended_at = intended_at - interval '1 hour' WHERE answered_at IS NULL RETURNING 1
	) SELECT count(*) FROM aged`)
	l.Says(0, []string{"run", "debt1", "--new"})
	if n := debtsTold(t, l); n != people {
		t.Errorf("%d debts were told, want %d", n, people)
	}
	l.Says(lab.ExitPartial, []string{"run", "money1", "--new"})
	if n := l.Arrivals(night)[l.Bank.Customer(0).CustomerID]; n != 0 {
		t.Errorf("whose day is taken for spent was called for %d times", n)
	}
	if strings.Contains(l.Says(0, []string{"status", "--json"}), `"restored"`) {
		t.Error("status speaks of a restore that is accepted")
	}
	l.Verify()
}
