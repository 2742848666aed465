// Package jsonread reads a provider's JSON answer once, from front to back, so that what it gives may go into a database and
// into sums of money.
//
// It is stricter than encoding/json: invalid UTF-8, NUL, half a surrogate pair, equal keys, numbers that are not exact and
// bytes after the end are errors, and none of them quotes the answer. It uses no float and no reflection. One record that
// can't be read is put aside (Array.Broken, Array.Reject) and does not cost its neighbours.
//
// A connector walks the answer with a Scanner, and keeps what has no column in an Extra. Beside that the package tells what a
// body is that is no JSON (Misshapen), and reads amounts and instants as people and programs write them into texts.
//
// Why it is not encoding/json/v2 stands in docs/decisions/013-json-reader.md.
package jsonread
