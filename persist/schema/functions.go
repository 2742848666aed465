package schema

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"syncer/migrations"
)

// functionFiles is the table that says which text of each function's file the database has. It stands beside goose's.
const functionFiles = "syncer_functions"

// functionText is the file of a function.
type functionText struct {
	path, name, text string
	hash             string // of the text
}

// functionTexts are the files of functions that this binary has, in the order in which they are applied.
func (m *migrator) functionTexts() ([]functionText, error) {
	paths, err := fs.Glob(m.files, path.Join(migrations.Functions, "*.sql"))
	if err != nil {
		return nil, err
	}
	texts := make([]functionText, len(paths))
	for i, file := range paths {
		text, err := fs.ReadFile(m.files, file)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		texts[i] = functionText{
			path: file,
			name: strings.TrimSuffix(path.Base(file), ".sql"),
			text: string(text),
			hash: hex.EncodeToString(sum[:]),
		}
	}
	return texts, nil
}

// functionsChanged says that the database has another text of a function than this binary. The table of the
// texts is there.
func (m *migrator) functionsChanged(ctx context.Context) (bool, error) {
	files, err := m.functionTexts()
	if err != nil || len(files) == 0 {
		return false, err
	}
	have, err := functionsApplied(ctx, m.db)
	if err != nil {
		return false, fmt.Errorf("read which functions the database has: %w", err)
	}
	for _, f := range files {
		if have[f.name] != f.hash {
			return true, nil
		}
	}
	return false, nil
}

// functions applies the files of functions whose text differs from the one that the database has, all in one
// transaction, and returns how many there were. The caller holds the lock, and has applied the numbered files.
func (m *migrator) functions(ctx context.Context) (int, error) {
	files, err := m.functionTexts()
	if err != nil || len(files) == 0 {
		return 0, err
	}
	tx, err := m.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	have, err := functionsKnown(ctx, tx)
	if err != nil {
		return 0, err
	}
	changed := 0
	for _, f := range files {
		if have[f.name] == f.hash {
			continue
		}
		if err := applyFunction(ctx, tx, f); err != nil {
			return 0, fmt.Errorf("%s: %w", f.path, err)
		}
		changed++
	}
	if changed == 0 {
		return 0, nil
	}
	return changed, tx.Commit()
}

// functionsKnown is functionsApplied, and makes the table where there is none.
func functionsKnown(ctx context.Context, tx *sql.Tx) (map[string]string, error) {
	var exists bool
	if err := tx.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", functionFiles).Scan(&exists); err != nil {
		return nil, err
	}
	if !exists {
		_, err := tx.ExecContext(ctx, "CREATE TABLE "+functionFiles+` (
			name       text PRIMARY KEY,
			hash       text NOT NULL,
			applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
		)`)
		return nil, err
	}
	return functionsApplied(ctx, tx)
}

// querier is a connection or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// functionsApplied reads the hashes of the files that the database has, by name.
func functionsApplied(ctx context.Context, tx querier) (map[string]string, error) {
	rows, err := tx.QueryContext(ctx, "SELECT name, hash FROM "+functionFiles)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	have := map[string]string{}
	for rows.Next() {
		var name, hash string
		if err := rows.Scan(&name, &hash); err != nil {
			return nil, err
		}
		have[name] = hash
	}
	return have, rows.Err()
}

// applyFunction makes or replaces a function, and notes which text of it the database has now.
func applyFunction(ctx context.Context, tx *sql.Tx, f functionText) error {
	if _, err := tx.ExecContext(ctx, f.text); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO "+functionFiles+` (name, hash)
		VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET
			hash = excluded.hash,
			applied_at = clock_timestamp()`, f.name, f.hash)
	return err
}
