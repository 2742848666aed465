// Package persisttest gives a test a migrated database of its own.
//
// The server is SYNCER_TEST_DATABASE_URL if that is set (its user must be allowed to create databases). Otherwise it is
// one embedded Postgres per machine user, without fsync, shared by all test binaries: the first one starts it (about a
// second), the others find it. It keeps running, idle, so that the next `go test` is quick; nothing needs it, and
// `syncer db stop --dir` with its folder (see [Dir]) or a reboot ends it. SYNCER_PG_BIN names the Postgres to test with.
//
// Nothing is remembered inside the process. Every call looks at the server: is the template for these migrations
// there, which databases did killed tests leave behind.
package persisttest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"syncer/migrations"
	"syncer/persist/embedded"
	"syncer/persist/pg"
	"syncer/persist/schema"
)

const (
	testPrefix     = "syncer_test_"     // + stamp + _ + random: one test's database
	templatePrefix = "syncer_template_" // + hash of the migrations + _ + stamp
	stampLayout    = "20060102150405"   // in a name, so that a leftover's age shows
	templateLock   = 0x7379_6e63_7470   // shared to copy a template, exclusive to make or drop one
)

// Database is a migrated database that belongs to one test and is dropped at its end.
type Database struct {
	// URL is its libpq URL, for processes that the test starts.
	URL string
	// Pool is connected to it.
	Pool *pgxpool.Pool
}

// New is a pool on a fresh migrated database.
func New(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return NewDatabase(t).Pool
}

// URL is the libpq URL of a fresh migrated database.
func URL(t testing.TB) string {
	t.Helper()
	return create(t, true)
}

// NewDatabase is a fresh migrated database with its URL.
func NewDatabase(t testing.TB) Database {
	t.Helper()
	return open(t, create(t, true))
}

// Empty is a fresh database without any table, for tests of the migrations.
func Empty(t testing.TB) Database {
	t.Helper()
	return open(t, create(t, false))
}

// Dir is the folder of the shared embedded server: below SYNCER_STATE_DIR if that is set, else in memory if the machine has
// enough of it, else beside the program's own. Binaries that SYNCER_PG_BIN names get a server of their own: else a test of
// one Postgres would find that of another running, and pass on it.
func Dir() (string, error) {
	dir, err := embedded.DefaultDir()
	if memory := inMemory(); memory != "" && os.Getenv("SYNCER_STATE_DIR") == "" {
		dir = memory
		err = nil
	}
	dir += "-test"
	if named := os.Getenv("SYNCER_PG_BIN"); named != "" {
		dir += strings.ReplaceAll(filepath.Clean("/"+named), "/", "-")
	}
	return dir, err
}

func open(t testing.TB, url string) Database {
	t.Helper()
	pool, err := pg.Open(t.Context(), url, pg.Options{MaxConns: 8, ApplicationName: "syncer test"})
	if err != nil {
		t.Fatalf("persisttest: %v", err)
	}
	t.Cleanup(pool.Close)
	return Database{URL: url, Pool: pool}
}

// create makes a database, migrated or empty, arranges its end and returns its URL.
func create(t testing.TB, migrated bool) string {
	t.Helper()
	ctx := t.Context()
	server, err := serverURL(ctx, t.Logf)
	if err != nil {
		t.Fatalf("persisttest: %v", err)
	}
	admin, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatalf("persisttest: connect to the test server: %v", err)
	}
	name := testPrefix + stamp(time.Now()) + "_" + strings.ToLower(rand.Text()[:12])
	s := session{admin: admin, server: server}
	// The session stays for the end of the test: each one costs Postgres a process, which is most of what a
	// small test costs it.
	t.Cleanup(func() {
		ctx := context.WithoutCancel(ctx) // t.Context has ended by now, and the database must go all the same
		defer admin.Close(ctx)
		if err := s.drop(ctx, name); err != nil {
			t.Errorf("persisttest: %v", err)
		}
	})
	if err := s.create(ctx, name, migrated); err != nil {
		t.Fatalf("persisttest: %v", err)
	}
	return within(server, name)
}

// serverURL is the maintenance database of the test server.
func serverURL(ctx context.Context, logf func(string, ...any)) (string, error) {
	if url := os.Getenv("SYNCER_TEST_DATABASE_URL"); url != "" {
		return url, nil
	}
	dir, err := Dir()
	if err != nil {
		return "", err
	}
	opt := embedded.Options{Dir: dir, FastAndLoose: true, Log: func(s string) { logf("%s", s) }}
	server, err := embedded.Start(ctx, opt)
	if err != nil && ctx.Err() == nil {
		// Without fsync a power cut may have ruined the cluster, and an upgrade may have taken its binaries away. There
		// is nothing in it worth keeping.
		logf("the test server does not start, so it is made anew: %v", err)
		if removeErr := embedded.Remove(ctx, dir); removeErr != nil {
			return "", fmt.Errorf("%w; and it can't be removed: %w", err, removeErr)
		}
		server, err = embedded.Start(ctx, opt)
	}
	if err != nil {
		return "", err
	}
	return server.URL(), nil
}

// session is one connection to the test server's maintenance database.
type session struct {
	admin  *pgx.Conn
	server string
}

func (s session) create(ctx context.Context, name string, migrated bool) error {
	if err := s.sweep(ctx, testPrefix, 24*time.Hour); err != nil {
		return err
	}
	if !migrated {
		return s.exec(ctx, "CREATE DATABASE "+quote(name))
	}
	for {
		if err := s.exec(ctx, "SELECT pg_advisory_lock_shared($1)", templateLock); err != nil {
			return err
		}
		template, err := s.template(ctx)
		if err == nil && template != "" {
			err = s.copy(ctx, name, template)
		}
		if unlockErr := s.exec(ctx, "SELECT pg_advisory_unlock_shared($1)", templateLock); err == nil {
			err = unlockErr
		}
		if err != nil || template != "" {
			return err
		}
		if err := s.makeTemplate(ctx); err != nil {
			return err
		}
	}
}

// copy clones the template as files where Postgres can choose (15 and later): it is faster than through the WAL.
func (s session) copy(ctx context.Context, name, template string) error {
	query := "CREATE DATABASE " + quote(name) + " TEMPLATE " + quote(template)
	if s.admin.PgConn().ParameterStatus("server_version") >= "15" {
		query += " STRATEGY FILE_COPY"
	}
	return s.exec(ctx, query)
}

// template is the name of the template for the migrations of this binary, or empty.
func (s session) template(ctx context.Context) (string, error) {
	prefix, err := templateName()
	if err != nil {
		return "", err
	}
	names, err := s.databases(ctx, prefix)
	if err != nil || len(names) == 0 {
		return "", err
	}
	return names[len(names)-1], nil
}

// makeTemplate migrates a database and gives it the template's name when it is whole.
func (s session) makeTemplate(ctx context.Context) error {
	if err := s.exec(ctx, "SELECT pg_advisory_lock($1)", templateLock); err != nil {
		return err
	}
	defer s.admin.Exec(ctx, "SELECT pg_advisory_unlock($1)", templateLock) // it ends with the connection anyway
	if done, err := s.template(ctx); err != nil || done != "" {
		return err
	}
	if err := s.sweep(ctx, templatePrefix, 7*24*time.Hour); err != nil {
		return err
	}
	prefix, err := templateName()
	if err != nil {
		return err
	}
	draft := testPrefix + stamp(time.Now()) + "_draft" // swept like a test's if we die here
	if err := s.exec(ctx, "CREATE DATABASE "+quote(draft)); err != nil {
		return err
	}
	if err := migrate(ctx, within(s.server, draft)); err != nil {
		return fmt.Errorf("%w; %w", err, s.exec(ctx, "DROP DATABASE "+quote(draft)+" WITH (FORCE)"))
	}
	// A connection to a template, autovacuum's too, would make every copy of it fail.
	if err := s.exec(ctx, "ALTER DATABASE "+quote(draft)+" WITH ALLOW_CONNECTIONS false"); err != nil {
		return err
	}
	return s.exec(ctx, "ALTER DATABASE "+quote(draft)+" RENAME TO "+quote(prefix+stamp(time.Now())))
}

func migrate(ctx context.Context, url string) error {
	pool, err := pg.Open(ctx, url, pg.Options{MaxConns: 4})
	if err != nil {
		return err
	}
	defer pool.Close()
	return schema.Migrate(ctx, pool, zerolog.Nop())
}

// sweep drops the databases with this prefix whose stamp is older than age.
func (s session) sweep(ctx context.Context, prefix string, age time.Duration) error {
	names, err := s.databases(ctx, prefix)
	if err != nil {
		return err
	}
	limit := time.Now().Add(-age)
	for _, name := range names {
		if made, ok := stampIn(name); !ok || made.After(limit) {
			continue
		}
		if err := s.drop(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (s session) databases(ctx context.Context, prefix string) ([]string, error) {
	rows, err := s.admin.Query(ctx, "SELECT datname::text FROM pg_database WHERE starts_with(datname::text, $1) ORDER BY 1", prefix)
	if err != nil {
		return nil, fmt.Errorf("list the test databases: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func (s session) exec(ctx context.Context, query string, args ...any) error {
	if _, err := s.admin.Exec(ctx, query, args...); err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	return nil
}

// drop ends a database, whoever is connected to it. If the session was cut off, as by a test that does this to
// every one, another does it.
func (s session) drop(ctx context.Context, name string) error {
	query := "DROP DATABASE IF EXISTS " + quote(name) + " WITH (FORCE)"
	if !s.admin.IsClosed() {
		err := s.exec(ctx, query)
		if err == nil || !s.admin.IsClosed() {
			return err
		}
	}
	again, err := pgx.Connect(ctx, s.server)
	if err != nil {
		return fmt.Errorf("connect to drop a test database: %w", err)
	}
	defer again.Close(ctx)
	return session{admin: again, server: s.server}.exec(ctx, query)
}

// templateName names the template by what is in it: River's migrations are counted by the version of this binary's
// build, so a change of ours or of River's makes a new one.
func templateName() (string, error) {
	hash := sha256.New()
	for _, pattern := range []string{"*.sql", migrations.Functions + "/*.sql"} {
		files, err := fs.Glob(migrations.FS, pattern)
		if err != nil {
			return "", err
		}
		for _, file := range files {
			data, err := migrations.FS.ReadFile(file)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(hash, "%s %d\n%s", file, len(data), data)
		}
	}
	steps, err := schema.RiverVersion()
	if err != nil {
		return "", err
	}
	fmt.Fprintf(hash, "river %d", steps)
	return templatePrefix + hex.EncodeToString(hash.Sum(nil))[:12] + "_", nil
}

func stamp(at time.Time) string { return at.UTC().Format(stampLayout) }

// stampIn finds the stamp in a name made by this package.
func stampIn(name string) (time.Time, bool) {
	for part := range strings.SplitSeq(name, "_") {
		if at, err := time.Parse(stampLayout, part); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// within is the URL of another database of the same server.
func within(server, database string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server // it has connected before, so it parses; a key=value string is refused by the caller's Open
	}
	u.Path = "/" + database
	return u.String()
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
