package persisttest

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"syncer/persist/pg"
	"syncer/persist/schema"
)

// admin is a session on the test server.
func admin(t *testing.T) session {
	t.Helper()
	server, err := serverURL(t.Context(), t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	return session{admin: conn, server: server}
}

func TestDatabasesAreMigratedAndApart(t *testing.T) {
	one, two := NewDatabase(t), NewDatabase(t)
	have, want, err := schema.Version(t.Context(), one.Pool)
	if err != nil || have != want {
		t.Errorf("schema %d, want %d, %v", have, want, err)
	}
	if _, err := one.Pool.Exec(t.Context(), "CREATE TABLE mine AS SELECT 1 AS i"); err != nil {
		t.Fatal(err)
	}
	var there bool
	if err := two.Pool.QueryRow(t.Context(), "SELECT to_regclass('mine') IS NOT NULL").Scan(&there); err != nil || there {
		t.Errorf("a table of one test shows in another: %v", err)
	}
	other, err := pg.Open(t.Context(), one.URL, pg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.QueryRow(t.Context(), "SELECT to_regclass('mine') IS NOT NULL").Scan(&there); err != nil || !there {
		t.Errorf("the URL leads elsewhere than the pool: %v", err)
	}
}

func TestEmptyIsEmpty(t *testing.T) {
	have, _, err := schema.Version(t.Context(), Empty(t).Pool)
	if err != nil || have != 0 {
		t.Errorf("schema %d, %v", have, err)
	}
}

func TestDatabaseGoesWithItsTest(t *testing.T) {
	s := admin(t)
	var name string
	t.Run("test", func(t *testing.T) {
		_, name, _ = strings.Cut(URL(t), "/"+testPrefix)
		name, _, _ = strings.Cut(name, "?")
		if found, err := s.databases(t.Context(), testPrefix+name); err != nil || len(found) != 1 {
			t.Errorf("during its test: %v, %v", found, err)
		}
	})
	if found, err := s.databases(t.Context(), testPrefix+name); err != nil || len(found) != 0 {
		t.Errorf("after its test: %v, %v", found, err)
	}
}

func TestLeftoversOfKilledTestsAreDropped(t *testing.T) {
	s := admin(t)
	old := testPrefix + stamp(time.Now().Add(-25*time.Hour)) + "_leftover" + strings.ToLower(rand.Text()[:6])
	fresh := testPrefix + stamp(time.Now().Add(-23*time.Hour)) + "_leftover" + strings.ToLower(rand.Text()[:6])
	for _, name := range []string{old, fresh} {
		if err := s.exec(t.Context(), "CREATE DATABASE "+quote(name)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.drop(context.WithoutCancel(t.Context()), name); err != nil {
				t.Error(err)
			}
		})
	}
	New(t)
	for name, want := range map[string]int{old: 0, fresh: 1} {
		if found, err := s.databases(t.Context(), name); err != nil || len(found) != want {
			t.Errorf("%s: found %d, want %d, %v", name, len(found), want, err)
		}
	}
}

func TestTemplateIsMadeOnceAndCannotBeChanged(t *testing.T) {
	New(t)
	s := admin(t)
	name, err := s.template(t.Context())
	if err != nil || name == "" {
		t.Fatalf("template %q, %v", name, err)
	}
	if err := s.makeTemplate(t.Context()); err != nil { // as a test binary that started at the same time
		t.Fatal(err)
	}
	if again, err := s.template(t.Context()); err != nil || again != name {
		t.Errorf("made twice: %q and %q, %v", name, again, err)
	}
	if conn, err := pgx.Connect(t.Context(), within(s.server, name)); err == nil {
		conn.Close(t.Context())
		t.Error("the template takes connections: copies of it would fail")
	}
	pool := New(t)
	if err := schema.Migrate(t.Context(), pool, zerolog.Nop()); err != nil {
		t.Error(err)
	}
}

func TestStampsAreRead(t *testing.T) {
	at := time.Date(2026, 11, 21, 4, 5, 6, 0, time.UTC)
	if got, ok := stampIn(templatePrefix + "0123456789ab_" + stamp(at)); !ok || !got.Equal(at) {
		t.Errorf("stampIn = %v, %v", got, ok)
	}
	if _, ok := stampIn("syncer_test_by_hand"); ok {
		t.Error("a database that somebody made by hand would be dropped")
	}
}

func TestEveryNamedPostgresHasItsServer(t *testing.T) {
	t.Setenv("SYNCER_STATE_DIR", "/srv/state")
	for bin, want := range map[string]string{
		"":                            "/srv/state/postgres-test",
		"/usr/lib/postgresql/14/bin":  "/srv/state/postgres-test-usr-lib-postgresql-14-bin",
		"/usr/lib/postgresql/14/bin/": "/srv/state/postgres-test-usr-lib-postgresql-14-bin",
		"../18/bin":                   "/srv/state/postgres-test-18-bin",
	} {
		t.Setenv("SYNCER_PG_BIN", bin)
		if dir, err := Dir(); err != nil || dir != want {
			t.Errorf("with %q: %s, %v; want %s", bin, dir, err, want)
		}
	}
}
