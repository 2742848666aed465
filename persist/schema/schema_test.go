package schema_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"syncer/migrations"
	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/persist/schema"
)

// files makes migrations 1..n of the statements.
func files(up ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i, sql := range up {
		fsys[fmt.Sprintf("%05d_step.sql", i+1)] = &fstest.MapFile{Data: []byte(sql)}
	}
	return fsys
}

func query[T any](t *testing.T, pool *pgxpool.Pool, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := pool.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func TestMigrateFromFourProcessesAtOnce(t *testing.T) {
	t.Parallel()
	db := persisttest.Empty(t)
	var group errgroup.Group
	for range 4 {
		pool, err := pg.Open(t.Context(), db.URL, pg.Options{MaxConns: 4})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		group.Go(func() error { return schema.Migrate(t.Context(), pool, zerolog.Nop()) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	have, want, err := schema.Version(t.Context(), db.Pool)
	if err != nil || have != want || want == 0 {
		t.Errorf("schema has %d, wants %d, %v", have, want, err)
	}
	if n := query[int](t, db.Pool, "SELECT count(*) - count(DISTINCT version_id) FROM goose_db_version"); n != 0 {
		t.Errorf("%d migrations were applied twice", n)
	}
	river, err := schema.RiverVersion()
	if err != nil {
		t.Fatal(err)
	}
	if n := query[int](t, db.Pool, "SELECT max(version) FROM river_migration"); n != river {
		t.Errorf("River's tables have version %d, want %d", n, river)
	}
}

func TestMigrateAgainChangesNothing(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	var log bytes.Buffer
	if err := schema.Migrate(t.Context(), pool, zerolog.New(&log)); err != nil {
		t.Fatal(err)
	}
	if log.Len() != 0 {
		t.Errorf("the second migration did something: %s", log.String())
	}
}

func TestSchemaVersionOfAnEmptyDatabaseCreatesNothing(t *testing.T) {
	t.Parallel()
	db := persisttest.Empty(t)
	have, want, err := schema.Version(t.Context(), db.Pool)
	if err != nil || have != 0 || want == 0 {
		t.Errorf("SchemaVersion = %d, %d, %v", have, want, err)
	}
	if n := query[int](t, db.Pool, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); n != 0 {
		t.Errorf("asking for the version made %d tables", n)
	}
}

func TestMigrateRefusesANewerSchema(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	newer := "INSERT INTO goose_db_version (version_id, is_applied) VALUES (4711, true)"
	if _, err := pool.Exec(t.Context(), newer+"; UPDATE shared_schema SET oldest = 4711"); err != nil {
		t.Fatal(err)
	}
	have, want, err := schema.Version(t.Context(), pool)
	if err != nil || have != 4711 {
		t.Fatalf("SchemaVersion = %d, %d, %v", have, want, err)
	}
	err = schema.Migrate(t.Context(), pool, zerolog.Nop())
	if !errors.Is(err, schema.ErrTooNew) || !strings.Contains(err.Error(), fmt.Sprintf("version 4711, this binary knows %d", want)) {
		t.Errorf("Migrate = %v", err)
	}
}

func TestAFailedMigrationCanBeRepeated(t *testing.T) {
	t.Parallel()
	db := persisttest.Empty(t)
	good := "-- +goose Up\nCREATE TABLE a (i int);"
	err := schema.MigrateFiles(t.Context(), db.Pool, files(good, "-- +goose Up\nCREATE TABLE b (i int); SELECT 1/0;"), zerolog.Nop())
	if err == nil || !strings.Contains(err.Error(), "00002_step.sql") {
		t.Fatalf("the error must name the file: %v", err)
	}
	if got := query[string](t, db.Pool, "SELECT concat_ws(' ', to_regclass('a'), to_regclass('b'))"); got != "a" {
		t.Errorf("after the failure the tables are %q, want a: the failed file must leave nothing", got)
	}
	if err := schema.MigrateFiles(t.Context(), db.Pool, files(good, "-- +goose Up\nCREATE TABLE b (i int);"), zerolog.Nop()); err != nil {
		t.Errorf("the repaired migration: %v", err)
	}
}

// A migration that programs at work were in the way of is tried again: one that found a lock taken, and one that was the victim
// of a deadlock.
func TestAMigrationThatFoundALockTakenIsTriedAgain(t *testing.T) {
	t.Parallel()
	db := persisttest.Empty(t)
	fsys := files(`-- +goose Up
		CREATE TABLE a (i int);
		CREATE TABLE tries (n int);`,
		`-- +goose NO TRANSACTION
-- +goose Up
		INSERT INTO tries VALUES (1);
		SET lock_timeout = '50ms';
		ALTER TABLE a ADD COLUMN IF NOT EXISTS v int;
		RESET lock_timeout;`)
	if err := schema.MigrateFiles(t.Context(), db.Pool, fstest.MapFS{"00001_step.sql": fsys["00001_step.sql"]}, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	if _, err := tx.Exec(t.Context(), "LOCK TABLE a IN ROW EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	migrated := make(chan error, 1)
	go func() { migrated <- schema.MigrateFiles(t.Context(), db.Pool, fsys, zerolog.Nop()) }()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for query[int64](t, db.Pool, "SELECT count(*) FROM tries") < 2 {
		select {
		case err := <-migrated:
			t.Fatalf("it has ended while the lock was held: %v", err)
		case <-look.C:
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Error(err)
	}
}

// A starter that waited inside one pg_advisory_lock statement would hold a snapshot that CREATE INDEX CONCURRENTLY waits
// for, while it waits for the index: Postgres calls that a deadlock.
func TestWaitersDoNotBlockAConcurrentIndex(t *testing.T) {
	t.Parallel()
	db := persisttest.Empty(t)
	fsys := files("-- +goose Up\nCREATE TABLE a AS SELECT generate_series(1, 10000) AS i;",
		"-- +goose NO TRANSACTION\n-- +goose Up\nSELECT pg_sleep(0.2);\nCREATE INDEX CONCURRENTLY a_i ON a (i);")
	var group errgroup.Group
	for range 3 {
		group.Go(func() error { return schema.MigrateFiles(t.Context(), db.Pool, fsys, zerolog.Nop()) })
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

func TestMigrateRefreshesThePool(t *testing.T) {
	t.Parallel()
	db := persisttest.Empty(t)
	first := "-- +goose Up\nCREATE TABLE a (v int);"
	if err := schema.MigrateFiles(t.Context(), db.Pool, files(first), zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	copyRow := func(v any) error {
		_, err := db.Pool.CopyFrom(t.Context(), pgx.Identifier{"a"}, []string{"v"}, pgx.CopyFromRows([][]any{{v}}))
		return err
	}
	if err := copyRow(1); err != nil {
		t.Fatal(err)
	}
	if err := schema.MigrateFiles(t.Context(), db.Pool, files(first, "-- +goose Up\nALTER TABLE a ALTER v TYPE text;"), zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	if err := copyRow("text"); err != nil {
		t.Errorf("the pool remembers the column's old type: %v", err)
	}
}

func TestMigrateStopsWaitingWhenToldTo(t *testing.T) {
	t.Parallel()
	db := persisttest.Empty(t)
	holder, err := db.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Release()
	if _, err := holder.Exec(t.Context(), "SELECT pg_advisory_lock($1)", schema.MigrationLock); err != nil {
		t.Fatal(err)
	}
	shutdown := errors.New("shutdown")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, shutdown)
	defer cancel()
	fsys := files("-- +goose Up\nCREATE TABLE a (i int);")
	if err := schema.MigrateFiles(ctx, db.Pool, fsys, zerolog.Nop()); !errors.Is(err, shutdown) {
		t.Errorf("Migrate while another process migrates = %v, want the reason of the shutdown", err)
	}
	over, end := context.WithCancelCause(t.Context())
	end(shutdown)
	if err := schema.MigrateFiles(over, db.Pool, fsys, zerolog.Nop()); !errors.Is(err, shutdown) {
		t.Errorf("Migrate after the shutdown = %v, want its reason", err)
	}
	if _, err := holder.Exec(t.Context(), "SELECT pg_advisory_unlock($1)", schema.MigrationLock); err != nil {
		t.Fatal(err)
	}
	if err := schema.MigrateFiles(t.Context(), db.Pool, fsys, zerolog.Nop()); err != nil {
		t.Errorf("Migrate after the other process is done: %v", err)
	}
}

func TestAFunctionIsAppliedWhenItsTextChanges(t *testing.T) {
	t.Parallel()
	db := persisttest.Empty(t)
	fsys := files("-- +goose Up\nCREATE TABLE a (i int);")
	migrate := func(body string) (string, error) {
		fsys["functions/answer.sql"] = &fstest.MapFile{
			Data: []byte("CREATE OR REPLACE FUNCTION answer() RETURNS int LANGUAGE sql AS $$ " + body + " $$;"),
		}
		var log bytes.Buffer
		err := schema.MigrateFiles(t.Context(), db.Pool, fsys, zerolog.New(&log))
		return log.String(), err
	}
	for _, c := range []struct {
		body    string
		want    int
		applied bool
	}{
		{body: "SELECT 1", want: 1, applied: true},
		{body: "SELECT 1", want: 1, applied: false},
		{body: "SELECT 2", want: 2, applied: true},
	} {
		log, err := migrate(c.body)
		if err != nil {
			t.Fatal(err)
		}
		if got := query[int](t, db.Pool, "SELECT answer()"); got != c.want {
			t.Errorf("after %q the function answers %d", c.body, got)
		}
		if applied := log != ""; applied != c.applied {
			t.Errorf("%q was applied: %v, want %v", c.body, applied, c.applied)
		}
	}
	_, err := migrate("SELECT nothing")
	if err == nil || !strings.Contains(err.Error(), "functions/answer.sql") {
		t.Errorf("the error must name the file: %v", err)
	}
	if got := query[int](t, db.Pool, "SELECT answer()"); got != 2 {
		t.Errorf("a text that fails left the function answering %d, want 2", got)
	}
	if _, err := migrate("SELECT 3"); err != nil {
		t.Errorf("the repaired text: %v", err)
	}
}

// An older program must not put its own text of a function into a newer schema.
func TestANewerSchemaKeepsItsFunctions(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	_, err := pool.Exec(t.Context(), `
		INSERT INTO goose_db_version (version_id, is_applied) VALUES (4711, true);
		UPDATE syncer_functions SET hash = 'newer'`)
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Migrate(t.Context(), pool, zerolog.Nop()); err != nil {
		t.Errorf("Migrate = %v", err)
	}
	state, err := schema.Look(t.Context(), pool)
	if err != nil || !state.Newer() || state.Check() != nil {
		t.Errorf("a schema of the next release: %+v, %v", state, err)
	}
	if n := query[int](t, pool, "SELECT count(*) FROM syncer_functions WHERE hash <> 'newer'"); n != 0 {
		t.Errorf("%d functions were replaced", n)
	}
}

// What was there before quarantine knew the records: notes of figures name their currency, and rows of quarantine, which
// were one for each coming, are resolved.
func TestMigrationOfQuarantine(t *testing.T) {
	t.Parallel()
	db := persisttest.Empty(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	before := fstest.MapFS{}
	all, err := fs.Glob(migrations.FS, "*.sql")
	must(err)
	for _, name := range all {
		if name >= "00011" {
			continue
		}
		text, err := migrations.FS.ReadFile(name)
		must(err)
		before[name] = &fstest.MapFile{Data: text}
	}
	must(schema.MigrateFiles(t.Context(), db.Pool, before, zerolog.Nop()))
	_, err = db.Pool.Exec(t.Context(), `
		INSERT INTO balances (consent_id, account_id, kind, amount, currency, content_hash, call_id, place)
			SELECT 1, 'a', 'booked', 1, 'NOK', 'x', gen_random_uuid(), 0;
		INSERT INTO absences (consent_id, kind, account_id, record_id, call_id)
			SELECT 1, 'balances', 'a', 'booked', gen_random_uuid();
		INSERT INTO quarantine (consent_id, dataset, account_id, call_id, place, reason)
			SELECT 1, 'transactions', 'a', gen_random_uuid(), 3, 'no date' FROM generate_series(1, 3)`)
	must(err)
	must(schema.Migrate(t.Context(), db.Pool, zerolog.Nop()))
	for sql, want := range map[string]string{
		`SELECT record_id FROM absences`: "booked NOK",
		`SELECT concat_ws(' ', count(*), count(DISTINCT body_hash), min(resolved_as), max(resolved_as)) FROM quarantine`: "3 3 replaced replaced",
		`SELECT count(*)::text FROM quarantine WHERE resolved_at IS NULL`:                                                "0",
	} {
		if got := query[string](t, db.Pool, sql); got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
}

// A migration that older programs can't work with waits until none of them lives, and names them. Afterwards they are
// refused, and the program that has migrated is not.
func TestAMigrationThatBreaksOlderPrograms(t *testing.T) {
	t.Parallel()
	db := persisttest.Empty(t)
	first := `-- +goose Up
		CREATE TABLE shared_schema (only_row boolean PRIMARY KEY DEFAULT true, oldest bigint NOT NULL DEFAULT 0);
		INSERT INTO shared_schema DEFAULT VALUES;
		CREATE TABLE workers (host text, pid int, version text, expires_at timestamptz, schema_version bigint);`
	second := "-- +goose Up\n-- breaks older programs\nCREATE TABLE a (i int);"
	old, next := files(first), files(first, second)
	migrate := func(fsys fstest.MapFS) error { return schema.MigrateFiles(t.Context(), db.Pool, fsys, zerolog.Nop()) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(migrate(old))
	_, err := db.Pool.Exec(t.Context(), `INSERT INTO workers VALUES
		('here', 11, 'v1', now() + interval '1 hour', 1),
		('there', 12, 'v0', now() + interval '1 hour', NULL),
		('gone', 13, 'v0', now() - interval '1 second', 1),
		('new', 14, 'v2', now() + interval '1 hour', 2)`)
	must(err)
	err = migrate(next)
	if err == nil || !strings.Contains(err.Error(), "here (process 11, v1), there (process 12, v0): stop them") {
		t.Errorf("with older programs at work: %v", err)
	}
	if got := query[bool](t, db.Pool, "SELECT to_regclass('a') IS NULL"); !got {
		t.Error("it was applied all the same")
	}
	must(migrate(old))
	_, err = db.Pool.Exec(t.Context(), "DELETE FROM workers WHERE pid < 13")
	must(err)
	must(migrate(next))
	if err := migrate(old); !errors.Is(err, schema.ErrTooNew) {
		t.Errorf("an older program afterwards: %v", err)
	}
	must(migrate(next))
}

// A commit of a program at work holds one table of records and asks for another, in an order of its own. The migration that makes
// the indexes of these tables holds none of them meanwhile.
func TestIndexesAreMadeBesideCommits(t *testing.T) {
	t.Parallel()
	db := persisttest.Empty(t)
	before := fstest.MapFS{}
	err := fs.WalkDir(migrations.FS, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path >= "00034" && path < "1" {
			return err
		}
		text, err := fs.ReadFile(migrations.FS, path)
		before[path] = &fstest.MapFile{Data: text}
		return err
	})
	if err == nil {
		err = schema.MigrateFiles(t.Context(), db.Pool, before, zerolog.Nop())
	}
	if err != nil {
		t.Fatal(err)
	}
	commit, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = commit.Rollback(t.Context()) }()
	locks := func(tables string) {
		t.Helper()
		if _, err := commit.Exec(t.Context(), "LOCK TABLE "+tables+" IN ROW EXCLUSIVE MODE"); err != nil {
			t.Fatalf("a commit beside the migration: %v", err)
		}
	}
	locks("calls")
	migrated := make(chan error, 1)
	go func() { migrated <- schema.Migrate(t.Context(), db.Pool, zerolog.Nop()) }()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	const waiting = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
	for query[int64](t, db.Pool, waiting) == 0 {
		select {
		case err := <-migrated:
			t.Fatalf("it has ended beside a commit: %v", err)
		case <-look.C:
		}
	}
	locks("accounts, balances, transactions, debts, accounts_history, balances_history, transactions_history, debts_history")
	if err := commit.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Error(err)
	}
}
