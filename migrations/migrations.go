// Package migrations holds the database's schema as numbered SQL files, NNNNN_name.sql, embedded into the program.
//
// A file that a release has shipped never changes: databases that have it would differ from those that get it now.
package migrations

import "embed"

// FS holds the SQL files in its root.
//
//go:embed *.sql
var FS embed.FS
