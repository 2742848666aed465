package schema

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/persist/pg"
)

// Danger is something about a database, a role or a schema that whoever owns them should change.
type Danger struct {
	What  string
	Grave bool // nothing that stores works as it is
}

// off are the settings without which a crash of the server's machine loses what was committed, or leaves torn pages. They
// can't be set by a session.
const off = `SELECT name
	FROM pg_settings
	WHERE name IN ('fsync', 'full_page_writes')
	AND setting = 'off'
	ORDER BY name`

// makers are those who may make functions in our schema besides its owner, ourselves, and roles that may do anything. An
// empty name: everybody.
const makers = `SELECT quote_ident(n.nspname), coalesce(quote_ident(r.rolname), '')
	FROM pg_namespace n
	CROSS JOIN aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
	LEFT JOIN pg_roles r ON r.oid = a.grantee
	WHERE n.nspname = current_schema()
	AND a.privilege_type = 'CREATE'
	AND a.grantee <> n.nspowner
	AND r.rolname IS DISTINCT FROM current_user
	AND NOT coalesce(r.rolsuper, false)
	ORDER BY 2`

// rights are what our role may do here.
const rights = `SELECT quote_ident(current_database()),
	quote_ident(current_user),
	has_database_privilege(current_database(), 'TEMPORARY')`

// lacking are our tables, River's among them, that our role can't work with: those of the one who made batches, since others may
// have tables in the schema too. The versions of the schema are only read.
const lacking = `SELECT quote_ident(c.relname)
	FROM pg_class c
	WHERE c.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = current_schema())
	AND c.relkind = 'r'
	AND c.relowner = (SELECT b.relowner FROM pg_class b WHERE b.oid = to_regclass('batches'))
	AND NOT (
		has_table_privilege(c.oid, 'SELECT')
		AND (c.relname = 'goose_db_version' OR has_table_privilege(c.oid, 'INSERT')
			AND has_table_privilege(c.oid, 'UPDATE')
			AND has_table_privilege(c.oid, 'DELETE'))
	)
	ORDER BY 1`

// lackingGrants is the danger of tables that our role can't work with.
func lackingGrants(ctx context.Context, pool *pgxpool.Pool, role string) ([]Danger, error) {
	rows, err := pool.Query(ctx, lacking)
	tables, err := pg.AllRows(rows, err, pgx.RowTo[string], "look at the role's rights to the tables")
	if err != nil || len(tables) == 0 {
		return nil, err
	}
	named := strings.Join(tables[:min(3, len(tables))], ", ")
	if len(tables) > 3 {
		named += fmt.Sprintf(" and %d more", len(tables)-3)
	}
	var schema string
	if err := pool.QueryRow(ctx, "SELECT quote_ident(current_schema())").Scan(&schema); err != nil {
		return nil, fmt.Errorf("ask for the schema's name: %w", err)
	}
	return []Danger{{Grave: true, What: fmt.Sprintf("the role %s may not read and write the tables %s: "+
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %s TO %[1]s, again after each `syncer db migrate`",
		role, named, schema)}}, nil
}

// Dangers are what whoever owns the database should change: settings of the server that are off, others who may make
// functions in our schema, rights that are missing.
func Dangers(ctx context.Context, pool *pgxpool.Pool) ([]Danger, error) {
	var list []Danger
	rows, err := pool.Query(ctx, off)
	settings, err := pg.AllRows(rows, err, pgx.RowTo[string], "look at the server's settings")
	if err != nil {
		return nil, err
	}
	for _, name := range settings {
		list = append(list, Danger{What: name + " is off: after a crash of the server's machine, calls of single-use consents " +
			"may be made a second time, and tables be broken. Set it to on in postgresql.conf" + unless(name)})
	}
	others, err := Makers(ctx, pool)
	if err != nil {
		return nil, err
	}
	list = append(list, others...)
	var database, role string
	var temporary bool
	if err := pool.QueryRow(ctx, rights).Scan(&database, &role, &temporary); err != nil {
		return nil, fmt.Errorf("look at the role's rights: %w", err)
	}
	if !temporary {
		list = append(list, Danger{Grave: true, What: fmt.Sprintf("the role %[2]s may make no temporary tables, which imports "+
			"and planning need: GRANT TEMPORARY ON DATABASE %[1]s TO %[2]s", database, role)})
	}
	grants, err := lackingGrants(ctx, pool, role)
	return append(list, grants...), err
}

// unless is where a setting may be off.
func unless(setting string) string {
	if setting == "full_page_writes" {
		return ", unless the file system never writes half a page"
	}
	return ""
}

// Makers are the dangers of a schema in which others may make functions: one of the name and nearly the arguments of one of
// Postgres' own would be called in its place, as our role.
func Makers(ctx context.Context, pool *pgxpool.Pool) ([]Danger, error) {
	rows, err := pool.Query(ctx, makers)
	return pg.AllRows(rows, err, func(row pgx.CollectableRow) (d Danger, err error) {
		var schema, role string
		err = row.Scan(&schema, &role)
		who, grantee := "every role", "PUBLIC"
		if role != "" {
			who, grantee = "the role "+role, role
		}
		d.What = fmt.Sprintf("%[1]s may make functions in the schema %[2]s, and they would run as ours: "+
			"REVOKE CREATE ON SCHEMA %[2]s FROM %[3]s", who, schema, grantee)
		return d, err
	}, "look who may make functions in our schema")
}
