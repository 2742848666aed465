package persist_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/persist/schema"
)

// with is a URL with further parameters.
func with(t *testing.T, base string, params ...string) string {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for i := 0; i < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
	return u.String()
}

// setForDatabase is ALTER DATABASE ... SET.
func setForDatabase(t *testing.T, pool *pgxpool.Pool, setting string) {
	t.Helper()
	name := pgx.Identifier{queryAll(t, pool, "SELECT current_database()::text")[0]}.Sanitize()
	if _, err := pool.Exec(t.Context(), "ALTER DATABASE "+name+" SET "+setting); err != nil {
		t.Fatal(err)
	}
}

func opened(t *testing.T, url string, opt pg.Options) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), url, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// What a database, a role or a URL says of these is not what a session does.
func TestOpenKeepsWhatMustHold(t *testing.T) {
	t.Parallel()
	db := persisttest.Empty(t)
	setForDatabase(t, db.Pool, "client_encoding = 'LATIN1'")
	setForDatabase(t, db.Pool, "default_transaction_isolation = 'serializable'")
	const show = `SELECT concat_ws(', ', current_setting('synchronous_commit'), current_setting('client_encoding'),
		current_setting('default_transaction_isolation'), current_setting('search_path'))`
	const rest = `, UTF8, read committed, "public", pg_temp`
	for set, want := range map[string]string{
		"off": "on", "local": "on", "on": "on", "remote_write": "remote_write", "remote_apply": "remote_apply",
	} {
		setForDatabase(t, db.Pool, "synchronous_commit = "+set)
		if got := queryAll(t, opened(t, db.URL, pg.Options{}), show)[0]; got != want+rest {
			t.Errorf("the database says %s, and the session %q", set, got)
		}
	}
	byURL := opened(t, with(t, db.URL, "synchronous_commit", "off", "options", "-c search_path=pg_catalog"), pg.Options{})
	if got := queryAll(t, byURL, show)[0]; got != `on, UTF8, read committed, "pg_catalog", pg_temp` {
		t.Errorf("the URL says off, and the session %q", got)
	}
}

func TestOpenRefusesAnEncodingThatCantHoldEveryName(t *testing.T) {
	t.Parallel()
	db := persisttest.Empty(t)
	name := queryAll(t, db.Pool, "SELECT current_database()::text")[0] + "_latin"
	_, err := db.Pool.Exec(t.Context(), "CREATE DATABASE "+name+" ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	pool, err := pg.Open(t.Context(), u.String(), pg.Options{})
	if err == nil {
		pool.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "has the encoding LATIN1") || !strings.Contains(err.Error(), "ENCODING 'UTF8'") {
		t.Errorf("Open = %v", err)
	}
	if _, err := db.Pool.Exec(t.Context(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
		t.Error(err)
	}
}

// The schema is where the tables are, whatever the search path becomes.
func TestTheSchemaIsWhereTheTablesAre(t *testing.T) {
	t.Parallel()
	db := persisttest.NewDatabase(t)
	if _, err := db.Pool.Exec(t.Context(), "CREATE SCHEMA app"); err != nil {
		t.Fatal(err)
	}
	is := func(want string, opt pg.Options) {
		t.Helper()
		if got := pg.SchemaOf(opened(t, db.URL, opt)); got != want {
			t.Errorf("the schema is %s, want %s", got, want)
		}
	}
	for _, path := range []string{"app, public", "app", `"$user", app`} {
		setForDatabase(t, db.Pool, "search_path = "+path)
		is("public", pg.Options{})
	}
	other := opened(t, db.URL, pg.Options{Schema: "other"})
	if err := schema.Migrate(t.Context(), other, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	is("other", pg.Options{Schema: "other"})
	for _, path := range []string{"public, other", "app"} {
		setForDatabase(t, db.Pool, "search_path = "+path)
		_, err := pg.Open(t.Context(), db.URL, pg.Options{})
		if !errors.Is(err, pg.ErrTwoInstallations) || !strings.Contains(err.Error(), "other") ||
			!strings.Contains(err.Error(), "public") || !strings.Contains(err.Error(), "database.schema") {
			t.Errorf("with the path %s: %v", path, err)
		}
	}
	setForDatabase(t, db.Pool, "search_path = other")
	is("other", pg.Options{})

	// Each has a queue and locks of its own.
	const lock = "SELECT lock_key('run nightly')::text"
	if queryAll(t, other, lock)[0] == queryAll(t, db.Pool, lock)[0] {
		t.Error("two installations in one database take one lock for their jobs of one name")
	}
	if got := queryAll(t, db.Pool, `SELECT schemaname::text FROM pg_tables WHERE tablename = 'river_job' ORDER BY 1`); strings.Join(got, " ") !=
		"other public" {
		t.Errorf("the queues are in %v", got)
	}
}

// A trigger means our tables, whoever changes them.
func TestTriggersMeanOurTables(t *testing.T) {
	t.Parallel()
	db := persisttest.NewDatabase(t)
	stranger, err := pgx.Connect(t.Context(), with(t, db.URL, "search_path", "pg_temp"))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close(t.Context())
	for _, statement := range []string{
		`INSERT INTO public.connections (name, provider) VALUES ('c', 'p')`,
		`INSERT INTO public.runs (job, connection, kind, scheduled_for, datasets) VALUES ('j', 'c', 'manual', now(), '{debt}')`,
		`INSERT INTO public.batches (run_id, seq, state, holder)
			SELECT id, 1, 'working', gen_random_uuid() FROM public.runs`,
		`UPDATE public.batches SET fence = fence + 1`, // tell_change looks for its run
	} {
		if _, err := stranger.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}
