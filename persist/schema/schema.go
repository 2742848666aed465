// Package schema brings the database's schema up to date, and River's.
package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/rs/zerolog"

	"syncer/migrations"
	"syncer/persist/pg"
)

// RiverSchema is the schema that River's tables live in, apart from ours.
const RiverSchema = "river"

// migrationLock is the advisory lock that one migrating process holds. The number means nothing; it must not change.
const migrationLock int64 = 0x73796e636572

// ErrTooNew says that a newer binary has migrated the database: this one does not know what it would break.
var ErrTooNew = errors.New("the database schema is newer than this binary")

// Migrate brings the database to the schema this binary knows, ours and River's. It changes nothing when there is
// nothing to do, and any number of processes may call it at once: one migrates, the others wait for it. A schema that
// is newer than the binary is [ErrSchemaTooNew] and stays as it is.
func Migrate(ctx context.Context, pool *pgxpool.Pool, log zerolog.Logger) error {
	return migrate(ctx, pool, migrations.FS, log)
}

// Version is the version the database has (0: none yet) and the version this binary wants.
func Version(ctx context.Context, pool *pgxpool.Pool) (have, want int64, err error) {
	m, err := newMigrator(pool, migrations.FS, zerolog.Nop())
	if err != nil {
		return 0, 0, err
	}
	defer m.close()
	return m.versions(ctx)
}

func migrate(ctx context.Context, pool *pgxpool.Pool, files fs.FS, log zerolog.Logger) error {
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
	db := stdlib.OpenDB(*cfg)
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithSlog(pg.Slog(log)))
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return &migrator{files: files, db: db, pool: pool, goose: provider, log: log}, nil
}

// close gives the connections back. What it could report no longer matters to anybody.
func (m *migrator) close() { _ = m.db.Close() }

// versions reads the schema's version without creating goose's table, as goose's own question would.
func (m *migrator) versions(ctx context.Context) (have, want int64, err error) {
	sources := m.goose.ListSources()
	want = sources[len(sources)-1].Version
	var exists bool
	err = m.db.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", goose.DefaultTablename).Scan(&exists)
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
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		var mine bool
		err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", migrationLock).Scan(&mine)
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
		_, unlockErr := conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", migrationLock)
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
	have, want, err := m.versions(ctx)
	if err != nil {
		return err
	}
	if have > want {
		return fmt.Errorf("%w: it has version %d, this binary knows %d: run the newer binary", ErrTooNew, have, want)
	}
	applied, err := m.goose.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrate the schema from version %d to %d: %s%w", have, want, failedFile(err), err)
	}
	functions, err := m.functions(ctx)
	if err != nil {
		return fmt.Errorf("replace the schema's functions: %w", err)
	}
	steps, err := m.river(ctx)
	if err != nil {
		return fmt.Errorf("migrate River's tables: %w", err)
	}
	if len(applied)+functions+steps > 0 {
		// A pgx connection remembers column types from before the change; CopyFrom would fail on them.
		m.pool.Reset()
		m.log.Info().Int64("from", have).Int64("to", want).Int("functions", functions).Int("river_steps", steps).
			Msg("migrated the database")
	}
	return nil
}

// failedFile names the file that goose's error gives a number only.
func failedFile(err error) string {
	partial, ok := errors.AsType[*goose.PartialError](err)
	if !ok || partial.Failed == nil || partial.Failed.Source == nil {
		return ""
	}
	return partial.Failed.Source.Path + ": "
}

// river brings River's own tables up to date and returns how many steps that took.
func (m *migrator) river(ctx context.Context) (int, error) {
	if _, err := m.db.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS "+RiverSchema); err != nil {
		return 0, err
	}
	r, err := rivermigrate.New(riverpgxv5.New(m.pool), &rivermigrate.Config{Schema: RiverSchema, Logger: pg.Slog(m.log)})
	if err != nil {
		return 0, err
	}
	result, err := r.Migrate(ctx, rivermigrate.DirectionUp, nil)
	if err != nil {
		return 0, err
	}
	return len(result.Versions), nil
}

// RiverVersion is the version of River's tables that this binary wants.
func RiverVersion() (int, error) {
	r, err := rivermigrate.New(riverpgxv5.New(nil), &rivermigrate.Config{Schema: RiverSchema})
	if err != nil {
		return 0, fmt.Errorf("read River's migrations: %w", err)
	}
	all := r.AllVersions()
	return all[len(all)-1].Version, nil
}
