package pg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// What a role, a database or a URL may set for a session, and what must hold all the same, is asked once and then set by
// every session itself: the schema, how durable a commit is, how a transaction is isolated, and the encoding.

// server is what Open has found at the server.
type server struct {
	database  string
	encoding  string        // of the database
	commit    string        // synchronous_commit, as role and database have it
	statement time.Duration // statement_timeout of our sessions; 0: none
	path      []string      // the schemas of the search path that are there
	homes     []string      // the schemas with an installation that this role may read
}

// lookAround trusts no name: it is asked with the search path of the role.
const lookAround = `SELECT pg_catalog.current_database(),
		pg_catalog.current_setting('server_encoding'),
		pg_catalog.current_setting('synchronous_commit'),
		(SELECT s.setting::pg_catalog.int8 FROM pg_catalog.pg_settings s WHERE s.name = 'statement_timeout'),
		pg_catalog.current_schemas(false)::pg_catalog.text[],
		ARRAY(` + homes + `)`

// homes are the schemas with an installation that this role may read.
const homes = `SELECT n.nspname::pg_catalog.text
	FROM pg_catalog.pg_namespace n
	JOIN pg_catalog.pg_class b ON b.relnamespace = n.oid AND b.relname = 'batches' AND b.relkind = 'r'
	JOIN pg_catalog.pg_class v ON v.relnamespace = n.oid AND v.relname = 'goose_db_version' AND v.relkind = 'r'
	WHERE pg_catalog.has_schema_privilege(n.oid, 'USAGE')
	AND pg_catalog.has_table_privilege(b.oid, 'SELECT')
	ORDER BY 1`

// Installations are the schemas of a database with an installation that this role may read.
func Installations(ctx context.Context, q Querier) ([]string, error) {
	rows, err := q.Query(ctx, homes)
	return AllRows(rows, err, pgx.RowTo[string], "look for installations in the database")
}

// strangers are functions and operators in a schema that another role has made and that have the name of one of Postgres'
// own: where their arguments fit better, they are what a statement of ours calls.
const strangers = `SELECT p.oid::pg_catalog.regprocedure::pg_catalog.text || ' of ' || r.rolname
		FROM pg_catalog.pg_namespace n
		JOIN pg_catalog.pg_proc p ON p.pronamespace = n.oid
		JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
		WHERE n.nspname = $1
		AND p.proname IN (SELECT o.proname FROM pg_catalog.pg_proc o WHERE o.pronamespace = 'pg_catalog'::pg_catalog.regnamespace)
		AND ` + stranger + `
	UNION ALL
	SELECT p.oid::pg_catalog.regoperator::pg_catalog.text || ' of ' || r.rolname
		FROM pg_catalog.pg_namespace n
		JOIN pg_catalog.pg_operator p ON p.oprnamespace = n.oid
		JOIN pg_catalog.pg_roles r ON r.oid = p.oprowner
		WHERE n.nspname = $1
		AND p.oprname IN (SELECT o.oprname FROM pg_catalog.pg_operator o WHERE o.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace)
		AND ` + stranger + `
	ORDER BY 1
	LIMIT 3`

// stranger is a role that is not ours, has made neither the schema nor our tables there, and may not do all anyway.
const stranger = `NOT r.rolsuper
		AND NOT pg_catalog.pg_has_role(r.oid, 'MEMBER')
		AND r.oid <> n.nspowner
		AND NOT EXISTS (
			SELECT FROM pg_catalog.pg_class b
			WHERE b.relnamespace = n.oid AND b.relname = 'batches' AND b.relowner = r.oid
		)`

// look asks the server over a connection of its own, with the settings that the URL has, and gives the schema that our
// tables are in; see server.schema.
func look(ctx context.Context, cfg *pgx.ConnConfig, configured string) (server, string, error) {
	failed := func(err error) error {
		return fmt.Errorf("connect to the database %s at %s: %w", cfg.Database,
			net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port))), WithHint(err))
	}
	plain := cfg.Copy()
	plain.Tracer = nil // nothing is known yet that it could limit
	conn, err := pgx.ConnectConfig(ctx, plain)
	if err != nil {
		return server{}, "", failed(err)
	}
	defer func() { _ = conn.Close(ctx) }() // nobody is left whom its error would help
	bounded, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
	defer cancel()
	var s server
	var statement int64
	err = conn.QueryRow(bounded, lookAround).Scan(&s.database, &s.encoding, &s.commit, &statement, &s.path, &s.homes)
	if err != nil {
		return s, "", failed(err)
	}
	s.statement = time.Duration(statement) * time.Millisecond
	schema, err := s.schema(configured)
	if err := errors.Join(s.errEncoding(), err); err != nil {
		return s, "", err
	}
	rows, err := conn.Query(bounded, strangers, schema)
	found, err := AllRows(rows, err, pgx.RowTo[string], "look for functions of others in the schema "+schema)
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("the schema %[1]s has functions of another role that would be called in the place of Postgres' own, and run "+
			"as this one: %[2]s. Drop them, and see who may make some: `syncer check` names the REVOKE when they are gone. "+
			"Or have the installation in a schema of its own: `database.schema`",
			schema, strings.Join(found, ", "))
	}
	return s, schema, err
}

// ErrTwoInstallations says that it can't be told which of several installations in a database is meant.
var ErrTwoInstallations = errors.New("the database has more than one installation of syncer")

// schema is where our tables are or are to be: where the configuration says, or else where they stand, or else the first
// schema of the search path. So one that gets into the path later, or a path that is changed, is no new installation.
func (s server) schema(configured string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	inPath := slices.DeleteFunc(slices.Clone(s.path), func(name string) bool { return !slices.Contains(s.homes, name) })
	found := inPath
	if len(found) == 0 {
		found = s.homes
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", fmt.Errorf("%w, in the schemas %s: say which one is yours by database.schema", ErrTwoInstallations,
			strings.Join(found, " and "))
	case len(s.path) == 0:
		return "", fmt.Errorf("the search path of this role has no schema that is there in the database %s: "+
			"make one (CREATE SCHEMA syncer AUTHORIZATION the_role), or name one by database.schema; if the installation is in a schema "+
			"that the role may not use, GRANT USAGE ON SCHEMA that_schema TO the_role", s.database)
	}
	return s.path[0], nil
}

// fix sets for every session of a configuration what must hold whatever role, database and URL say.
func (s server) fix(params map[string]string, schema string) {
	// Another schema in the path would be one in which others may make functions that run as ours. Unnamed, pg_temp
	// would come first.
	params["search_path"] = pgx.Identifier{schema}.Sanitize() + pathEnd
	params["client_encoding"] = "UTF8"
	params["default_transaction_isolation"] = "read committed"
	// What stands in the database before a send must be there after a crash. Two values promise more than that, or
	// as much with the standby's memory for its disk: who has chosen them keeps them.
	params["synchronous_commit"] = "on"
	if s.commit == "remote_apply" || s.commit == "remote_write" {
		params["synchronous_commit"] = s.commit
	}
}

// ByIndex has the statements behind it in their transaction look every row up by its key, also where they are planned while the tables
// are empty, and be planned once for any arrays: to plan each crowd anew takes longer than what is planned.
const ByIndex = `SELECT set_config('enable_seqscan', 'off', true),
	set_config('enable_hashjoin', 'off', true),
	set_config('enable_mergejoin', 'off', true),
	set_config('plan_cache_mode', 'force_generic_plan', true),
	set_config('jit', 'off', true)`

// pathEnd ends the search path of our sessions.
const pathEnd = ", pg_temp"

// SchemaOf is the schema that the tables of a pool of [Open] are in.
func SchemaOf(pool *pgxpool.Pool) string {
	name := strings.TrimSuffix(pool.Config().ConnConfig.RuntimeParams["search_path"], pathEnd)
	return strings.ReplaceAll(strings.Trim(name, `"`), `""`, `"`)
}

// errEncoding refuses a database that can't hold what providers say.
func (s server) errEncoding() error {
	if s.encoding == "UTF8" {
		return nil
	}
	return fmt.Errorf("the database %s has the encoding %s, in which not every name and text of a provider can be stored: "+
		"make one with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0, and name that in database.url", s.database, s.encoding)
}
