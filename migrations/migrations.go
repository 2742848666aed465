// Package migrations holds the database's schema, embedded into the program: numbered SQL files (NNNNN_name.sql) and, in
// functions, one file for each SQL function whose text may still change.
//
// A numbered file that a release has shipped never changes: databases that have it would differ from those that get it
// now. A file in functions does change, and is applied again then, after the numbered ones. It keeps what the function is
// asked and what it answers, since older programs may be at work meanwhile: a function whose parameters, result or meaning
// change gets a new name, and the old file stays for one release. Files are applied by their names in order, so that of a
// LANGUAGE sql function comes after those of the functions that it uses.
package migrations

import "embed"

// FS holds the numbered files in its root and the functions in [Functions].
//
//go:embed *.sql functions/*.sql
var FS embed.FS

// Functions is the folder of the functions. A file is named like what it makes, with CREATE OR REPLACE.
const Functions = "functions"
