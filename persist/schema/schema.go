// Package schema brings the database's schema up to date, and River's.
package schema

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/rs/zerolog"

	"syncer/migrations"
	"syncer/persist/pg"
)

// migrationLock is the advisory lock that one migrating process holds. The number means nothing; it must not change.
const migrationLock int64 = 0x73796e636572

// lockOf is that lock for the installation in a schema. Programs from before knew one for all; theirs is that of the schema
// in which nearly all of them are.
func lockOf(schema string) int64 {
	if schema == "public" {
		return migrationLock
	}
	hash := sha256.Sum256([]byte(schema))
	return migrationLock ^ int64(binary.BigEndian.Uint64(hash[:]))
}

// ErrTooNew says that a newer binary has migrated the database, and that this one can't work with it any more.
var ErrTooNew = errors.New("the database schema is newer than this binary")

// ErrForeign says that the schema's versions are another program's.
var ErrForeign = errors.New("the schema belongs to another program")

// refuseForeign refuses a schema in which another program counts its versions with goose: ours would be taken for applied.
func refuseForeign(ctx context.Context, pool *pgxpool.Pool) error {
	var counts bool
	err := pool.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", goose.DefaultTablename).Scan(&counts)
	var have int64
	ours := true
	if err == nil && counts { // in one statement: another process may be at the first migration
		err = pool.QueryRow(ctx, "SELECT coalesce(max(version_id), 0), to_regclass('batches') IS NOT NULL FROM "+
			goose.DefaultTablename+" WHERE is_applied").Scan(&have, &ours)
	}
	if err != nil {
		return fmt.Errorf("look whose the schema is: %w", err)
	}
	if have == 0 || ours {
		return nil
	}
	return fmt.Errorf("%w: %s has a table %s, with version %d, and no table of syncer: name a schema for syncer alone by "+
		"database.schema", ErrForeign, pg.SchemaOf(pool), goose.DefaultTablename, have)
}

// Migrate brings the database to the schema this binary knows, ours and River's. It changes nothing when there is
// nothing to do, and any number of processes may call it at once: one migrates, the others wait for it. A schema that
// is newer than the binary stays as it is, and is [ErrTooNew] if the binary can't work with it; one of another program is
// [ErrForeign].
func Migrate(ctx context.Context, pool *pgxpool.Pool, log zerolog.Logger) error {
	if err := refuseForeign(ctx, pool); err != nil {
		return err
	}
	return migrate(ctx, pool, migrations.FS, log)
}

// Version is the version the database has (0: none yet) and the version this binary wants.
func Version(ctx context.Context, pool *pgxpool.Pool) (have, want int64, err error) {
	m, err := newLooker(pool, migrations.FS)
	if err != nil {
		return 0, 0, err
	}
	defer m.close()
	return m.versions(ctx)
}

func migrate(ctx context.Context, pool *pgxpool.Pool, files fs.FS, log zerolog.Logger) error {
	done, err := nothingToDo(ctx, pool, files)
	if err != nil {
		return cause(ctx, err)
	}
	if done {
		return nil
	}
	m, err := newMigrator(pool, files, log)
	if err != nil {
		return err
	}
	defer m.close()
	return m.locked(ctx, m.up)
}

// migrator works on connections of its own: a pool's statement timeout is for queries, not for building an index.
type migrator struct {
	files fs.FS
	db    *sql.DB
	pool  *pgxpool.Pool
	goose *goose.Provider
	log   zerolog.Logger
}

func newMigrator(pool *pgxpool.Pool, files fs.FS, log zerolog.Logger) (*migrator, error) {
	cfg := pool.Config().ConnConfig.Copy()
	cfg.Tracer = nil // nor is a migration's statement limited on this side
	cfg.RuntimeParams["statement_timeout"] = "0"
	cfg.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	return newMigratorOver(stdlib.OpenDB(*cfg), pool, files, log)
}

// newLooker makes a migrator that only looks. It needs no connection of its own.
func newLooker(pool *pgxpool.Pool, files fs.FS) (*migrator, error) {
	return newMigratorOver(stdlib.OpenDBFromPool(pool), pool, files, zerolog.Nop())
}

func newMigratorOver(db *sql.DB, pool *pgxpool.Pool, files fs.FS, log zerolog.Logger) (*migrator, error) {
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithSlog(pg.Slog(log)))
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return &migrator{files: files, db: db, pool: pool, goose: provider, log: log}, nil
}

// nothingToDo says that the database has all that a migration would give it: nearly every command finds it so,
// and needs neither the lock nor another connection then.
func nothingToDo(ctx context.Context, pool *pgxpool.Pool, files fs.FS) (bool, error) {
	m, err := newLooker(pool, files)
	if err != nil {
		return false, err
	}
	defer m.close()
	state, err := m.state(ctx)
	if err != nil || state.Have != state.Want || len(state.Missing) > 0 {
		return false, err
	}
	breaking, err := m.breaking()
	if err != nil || state.Oldest < breaking { // whoever migrated has died before the end
		return false, err
	}
	changed, err := m.functionsChanged(ctx)
	if err != nil || changed {
		return false, err
	}
	r, err := m.riverMigrator()
	if err != nil {
		return false, err
	}
	river, err := r.Validate(ctx, nil)
	if err != nil {
		return false, fmt.Errorf("look for River's tables: %w", err)
	}
	return river.OK, nil
}

// close gives the connections back. What it could report no longer matters to anybody.
func (m *migrator) close() { _ = m.db.Close() }

// versions reads the schema's version without creating goose's table, as goose's own question would.
func (m *migrator) versions(ctx context.Context) (have, want int64, err error) {
	sources := m.goose.ListSources()
	want = sources[len(sources)-1].Version
	exists, err := m.exists(ctx, goose.DefaultTablename)
	if err == nil && exists {
		err = m.db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM "+goose.DefaultTablename+" WHERE is_applied").Scan(&have)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read the schema's version: %w", err)
	}
	return have, want, nil
}

// locked runs f while no other process migrates. It asks for the lock again and again instead of waiting inside one
// statement, because a waiting statement holds a snapshot, and CREATE INDEX CONCURRENTLY waits for every snapshot.
func (m *migrator) locked(ctx context.Context, f func(context.Context) error) (err error) {
	conn, err := m.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect to migrate: %w", cause(ctx, pg.WithHint(err)))
	}
	defer conn.Close()
	lock := lockOf(pg.SchemaOf(m.pool))
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		var mine bool
		err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", lock).Scan(&mine)
		if err != nil {
			return fmt.Errorf("take the migration lock: %w", cause(ctx, err))
		}
		if mine {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for another process that migrates: %w", context.Cause(ctx))
		case <-ticker.C:
		}
	}
	defer func() {
		// Also after ctx has ended: the lock lives as long as its connection does. close() is the fallback.
		_, unlockErr := conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", lock)
		err = errors.Join(err, unlockErr)
	}()
	return f(ctx)
}

// cause is why ctx ended, where it has: what it has cut off says only that it did.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// up applies what is missing. The caller holds the lock.
func (m *migrator) up(ctx context.Context) error {
	state, err := m.state(ctx)
	if err != nil {
		return err
	}
	if state.Newer() { // its functions are newer too, and stay
		return state.Check()
	}
	have, want := state.Have, state.Want
	if err := m.makeSchema(ctx); err != nil {
		return err
	}
	breaking, err := m.breaking()
	if err != nil {
		return err
	}
	if have < breaking {
		if err := m.waitForOlder(ctx, breaking); err != nil {
			return err
		}
	}
	if err := m.keepOldest(ctx, breaking); err != nil {
		return fmt.Errorf("write down which binaries the schema is for: %w", err)
	}
	if err := m.apply(ctx); err != nil {
		return fmt.Errorf("migrate the schema from version %d to %d: %s%w", have, want, failedFile(err), err)
	}
	if err := m.keepOldest(ctx, breaking); err != nil {
		return fmt.Errorf("write down which binaries the schema is for: %w", err)
	}
	functions, err := m.functions(ctx)
	if err != nil {
		return fmt.Errorf("replace the schema's functions: %w", err)
	}
	steps, err := m.river(ctx)
	if err != nil {
		return fmt.Errorf("migrate River's tables: %w", err)
	}
	if have != want || functions+steps > 0 {
		// A pgx connection remembers column types from before the change; CopyFrom would fail on them.
		m.pool.Reset()
		m.log.Info().Int64("from", have).Int64("to", want).Int("functions", functions).Int("river_steps", steps).
			Msg("migrated the database")
	}
	return nil
}

// Programs at work hold locks while they commit. A migration that has waited for one in vain, or was in each other's way with
// them, is tried again.
const (
	applyTries = 10
	applyPause = time.Second
)

// apply applies the migrations that are missing.
func (m *migrator) apply(ctx context.Context) error {
	for try := 1; ; try++ {
		_, err := m.goose.Up(ctx)
		told, ok := errors.AsType[*pgconn.PgError](err)
		locked := ok && (told.Code == "40P01" || told.Code == "55P03") // deadlock_detected, lock_not_available
		if !locked || try == applyTries {
			return err
		}
		m.log.Info().Err(err).Msg("programs at work hold what the migration needs; it is tried again")
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(applyPause):
		}
	}
}

// failedFile names the file that goose's error gives a number only.
func failedFile(err error) string {
	partial, ok := errors.AsType[*goose.PartialError](err)
	if !ok || partial.Failed == nil || partial.Failed.Source == nil {
		return ""
	}
	return partial.Failed.Source.Path + ": "
}

// river brings River's own tables up to date and returns how many steps that took. They stand beside ours, so that
// installations in one database have a queue each, and a role needs no right to make a schema. (Until version 26 of the
// schema they were in the schema river, whoever used it. What is left there serves programs from before, while both
// are at work: a batch is woken for again by each, in its own queue.)
func (m *migrator) river(ctx context.Context) (int, error) {
	r, err := m.riverMigrator()
	if err != nil {
		return 0, err
	}
	result, err := r.Migrate(ctx, rivermigrate.DirectionUp, nil)
	if err != nil {
		return 0, err
	}
	return len(result.Versions), nil
}

func (m *migrator) riverMigrator() (*rivermigrate.Migrator[pgx.Tx], error) {
	return rivermigrate.New(riverpgxv5.New(m.pool), &rivermigrate.Config{Schema: pg.SchemaOf(m.pool), Logger: pg.Slog(m.log)})
}

// makeSchema makes the schema that the configuration names, where it is not there. Looked at first: to make one takes a
// right on the database, even if there is nothing to do.
func (m *migrator) makeSchema(ctx context.Context) error {
	name := pgx.Identifier{pg.SchemaOf(m.pool)}.Sanitize()
	var exists bool
	if err := m.db.QueryRowContext(ctx, "SELECT to_regnamespace($1) IS NOT NULL", name).Scan(&exists); err != nil || exists {
		return err
	}
	if _, err := m.db.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS "+name); err != nil {
		return fmt.Errorf("make the schema %s (a role without the right has its owner do it: CREATE SCHEMA %s AUTHORIZATION "+
			"the_role): %w", name, name, err)
	}
	return nil
}

// RiverVersion is the version of River's tables that this binary wants.
func RiverVersion() (int, error) {
	r, err := rivermigrate.New(riverpgxv5.New(nil), &rivermigrate.Config{})
	if err != nil {
		return 0, fmt.Errorf("read River's migrations: %w", err)
	}
	all := r.AllVersions()
	return all[len(all)-1].Version, nil
}
