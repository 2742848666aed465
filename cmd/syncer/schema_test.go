package main

import (
	"context"
	"crypto/rand"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/proof/lab"
)

// statements are run one by one.
func statements(t *testing.T, db persisttest.Database, sql string) {
	t.Helper()
	for statement := range strings.SplitSeq(sql, ";") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := db.Pool.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// ownedSchema is an empty database in which a role has one schema and no other right: as that role, and as the owner.
func ownedSchema(t *testing.T) (role, owner persisttest.Database, name string) {
	t.Helper()
	name = "syncer_" + strings.ToLower(rand.Text()[:10])
	var server url.URL
	t.Cleanup(func() { // the database goes first
		ctx := context.WithoutCancel(t.Context())
		conn, err := pgx.Connect(ctx, server.String())
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, "DROP ROLE IF EXISTS "+name); err != nil {
			t.Error(err)
		}
	})
	owner = persisttest.Empty(t)
	u, err := url.Parse(owner.URL)
	if err != nil {
		t.Fatal(err)
	}
	server = *u
	server.Path = "/postgres"
	statements(t, owner, `CREATE ROLE `+name+` LOGIN PASSWORD 'pw';
		CREATE SCHEMA `+name+` AUTHORIZATION `+name+`;
		REVOKE CREATE, TEMPORARY ON DATABASE `+strings.TrimPrefix(u.Path, "/")+` FROM PUBLIC;
		REVOKE CREATE ON SCHEMA public FROM PUBLIC`)
	u.User = url.UserPassword(name, "pw")
	pool, err := pg.Open(t.Context(), u.String(), pg.Options{MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return persisttest.Database{URL: u.String(), Pool: pool}, owner, name
}

// A role needs its schema, and the right to make temporary tables. What it lacks, and what others may do there, is told
// with the statement to type.
func TestARoleThatOwnsOnlyItsSchema(t *testing.T) {
	t.Parallel()
	db, owner, role := ownedSchema(t)
	l := lab.New(t, lab.Options{DB: db})
	l.Says(0, []string{"db", "migrate"})
	l.Says(1, []string{"check", "--json"}, "GRANT TEMPORARY ON DATABASE ", " TO "+role, "fsync is off", "full_page_writes is off")
	var database string
	l.Scan(&database, "SELECT current_database()::text")
	statements(t, owner, "GRANT TEMPORARY ON DATABASE "+database+" TO "+role)
	l.ImportBank("bank1", 0, 2)

	statements(t, owner, "GRANT CREATE ON SCHEMA "+role+" TO PUBLIC")
	revoke := "REVOKE CREATE ON SCHEMA " + role + " FROM PUBLIC"
	l.Says(0, []string{"check", "--json"}, revoke)
	tells(t, l, 0, []string{"db", "migrate"}, revoke)
	statements(t, owner, `CREATE FUNCTION `+role+`.hashtextextended(text, integer) RETURNS bigint
			LANGUAGE sql AS 'SELECT 1 / 0::bigint'`) // of the owner, who may do anything; it is not called
	l.Says(0, []string{"run", "money1"}, "complete")
	statements(t, owner, `CREATE ROLE `+role+`_mallory;
		CREATE FUNCTION `+role+`.array_length(text[], integer) RETURNS integer LANGUAGE sql AS 'SELECT 1 / 0';
		ALTER FUNCTION `+role+`.array_length OWNER TO `+role+`_mallory`)
	tells(t, l, 1, []string{"run", "money1"}, "array_length(text[],integer) of "+role+"_mallory")
	statements(t, owner, `DROP FUNCTION `+role+`.array_length; DROP ROLE `+role+`_mallory`)
	if n := l.Number(`SELECT count(*) FROM pg_tables
		WHERE schemaname NOT IN ('pg_catalog', 'information_schema', $1)`, role); n != 0 {
		t.Errorf("%d tables are in another schema", n)
	}
}
