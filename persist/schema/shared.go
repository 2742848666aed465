package schema

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"syncer/migrations"
)

// A release works with its own schema and with that of the next release, so that one can be replaced by the other while the
// night goes on. A migration that takes away what the release before it needs says so in a line of its file. It then waits
// until no process of an older release lives, and older ones that are started later stop.

// sharedTable says which programs the schema is for; see its migration.
const sharedTable = "shared_schema"

// breaks is the line of a migration that older programs can't work with.
const breaks = "-- breaks older programs"

// Wanted is the version of the schema that this binary is made for.
func Wanted() int64 {
	files, _ := fs.Glob(migrations.FS, "*.sql") // the pattern is good
	version := int64(0)
	for _, file := range files {
		number, _, _ := strings.Cut(file, "_")
		n, _ := strconv.ParseInt(number, 10, 64)
		version = max(version, n)
	}
	return version
}

// breaking is the version of the newest migration that older programs can't work with; 0: there is none.
func (m *migrator) breaking() (version int64, err error) {
	for _, source := range m.goose.ListSources() {
		text, err := fs.ReadFile(m.files, source.Path)
		if err != nil {
			return 0, fmt.Errorf("read the migrations: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.TrimSpace(line) == breaks {
				version = source.Version
			}
		}
	}
	return version, nil
}

// oldest is the version that a program must know at least, as far as the database says.
func (m *migrator) oldest(ctx context.Context) (version int64, err error) {
	exists, err := m.exists(ctx, sharedTable)
	if err != nil || !exists {
		return 0, err
	}
	err = m.db.QueryRowContext(ctx, "SELECT coalesce(max(oldest), 0) FROM "+sharedTable).Scan(&version)
	return version, err
}

// keepOldest writes down from which version on a program can work with the schema. A database from before that table gets it
// by the migration.
func (m *migrator) keepOldest(ctx context.Context, version int64) error {
	exists, err := m.exists(ctx, sharedTable)
	if err != nil || !exists {
		return err
	}
	_, err = m.db.ExecContext(ctx, "UPDATE "+sharedTable+" SET oldest = $1 WHERE oldest < $1", version)
	return err
}

// olderWorkers are the living processes that are made for an older version. Before the column was there, all of them are.
const olderWorkers = `SELECT format('%s (process %s, %s)', w.host, w.pid, w.version)
	FROM workers w
	WHERE w.expires_at > clock_timestamp()
	AND coalesce((to_jsonb(w) ->> 'schema_version')::bigint, 0) < $1
	ORDER BY w.host, w.pid`

// waitForOlder refuses to go on while processes live that can't work with the schema that is to come.
func (m *migrator) waitForOlder(ctx context.Context, breaking int64) error {
	exists, err := m.exists(ctx, "workers")
	if err != nil || !exists {
		return err
	}
	rows, err := m.db.QueryContext(ctx, olderWorkers, breaking)
	if err != nil {
		return fmt.Errorf("look for processes of older releases: %w", err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			return fmt.Errorf("look for processes of older releases: %w", err)
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil || len(all) == 0 {
		return err
	}
	return fmt.Errorf("version %d of the schema is of no use to processes of older releases, and these live: %s: "+
		"stop them, then migrate again", breaking, strings.Join(all, ", "))
}
