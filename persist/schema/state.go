package schema

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/migrations"
)

// ErrTooOld says that the database has not all that this binary's migrations would give it.
var ErrTooOld = errors.New("the database schema is older than this binary")

// State is which schema a database has, and which one a binary works with. A release works with its own and with newer ones,
// until a migration says that it can't.
type State struct {
	Have    int64    // 0: none yet
	Want    int64    // what this binary's migrations lead to
	Oldest  int64    // a binary that wants less can't work with it
	Missing []string // what the database has not, although it has the version
}

// Newer says that a newer binary has migrated the database.
func (s State) Newer() bool { return s.Have > s.Want }

// Check is [ErrTooOld] or [ErrTooNew] where this binary can't work with the database.
func (s State) Check() error {
	switch {
	case s.Have < s.Want:
		return fmt.Errorf("%w: it has version %d, this binary wants %d: run `syncer db migrate`", ErrTooOld, s.Have, s.Want)
	case s.Newer() && s.Want < s.Oldest:
		return fmt.Errorf("%w: it has version %d, this binary knows %d, and since version %d older ones can't work with it: "+
			"run the newer binary", ErrTooNew, s.Have, s.Want, s.Oldest)
	case len(s.Missing) > 0:
		return fmt.Errorf("%w: it has version %d and not yet %s: run `syncer db migrate`", ErrTooOld, s.Have,
			strings.Join(s.Missing, ", "))
	}
	return nil
}

// Look tells which schema the database has, or [ErrForeign]. It changes nothing, and needs no right but to read.
func Look(ctx context.Context, pool *pgxpool.Pool) (State, error) {
	if err := refuseForeign(ctx, pool); err != nil {
		return State{}, err
	}
	return look(ctx, pool, migrations.FS)
}

func look(ctx context.Context, pool *pgxpool.Pool, files fs.FS) (State, error) {
	m, err := newLooker(pool, files)
	if err != nil {
		return State{}, err
	}
	defer m.close()
	return m.state(ctx)
}

// state is what versions tells, and what else must be known.
func (m *migrator) state(ctx context.Context) (s State, err error) {
	if s.Have, s.Want, err = m.versions(ctx); err != nil {
		return s, err
	}
	if s.Oldest, err = m.oldest(ctx); err != nil {
		return s, fmt.Errorf("read which binaries the schema is for: %w", err)
	}
	if s.Have != s.Want {
		return s, nil
	}
	if s.Missing, err = m.missing(ctx); err != nil {
		return s, fmt.Errorf("read which functions the database has: %w", err)
	}
	return s, nil
}

// missing names the functions that the database has not, by their files. Their texts are not compared: while one release is
// replaced by the next, the texts are those of the one that has migrated last.
func (m *migrator) missing(ctx context.Context) (names []string, err error) {
	files, err := m.functionTexts()
	if err != nil || len(files) == 0 {
		return nil, err
	}
	have := map[string]string{}
	exists, err := m.exists(ctx, functionFiles)
	if err == nil && exists {
		have, err = functionsApplied(ctx, m.db)
	}
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if _, has := have[f.name]; !has {
			names = append(names, "the function "+f.name)
		}
	}
	return names, nil
}

func (m *migrator) exists(ctx context.Context, table string) (exists bool, err error) {
	err = m.db.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", table).Scan(&exists)
	return exists, err
}
