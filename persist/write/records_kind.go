package write

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"syncer/finance"
)

// kind is how one kind of record stands in its table. Every key begins with consent_id.
type kind[T any] struct {
	table   string
	key     []string           // the key's columns after consent_id: one to three
	content []string           // the columns an answer fills, in the order in which encode writes them
	id      func(*T) [3]string // what stands in them
	place   func(*T) int32
	hash    func(*finance.Hasher, *T) finance.Hash
	encode  func(*encoder, *T)
	// Of a row t that a whole set lacks: that it was a reservation, and that the pass has brought the booking it waited
	// for. Empty: the kind has no reservations.
	pending, replaced string
}

// recordTable says whether a table is one of the records'.
func recordTable(name string) bool {
	switch name {
	case accountKind.table, balanceKind.table, transactionKind.table, debtKind.table:
		return true
	}
	return false
}

// copied are the columns of COPY. The others have defaults; a row that had versions before brings its first_seen_at.
func (k *kind[T]) copied(again bool) []string {
	c := append([]string{"consent_id"}, k.key...)
	c = append(c, k.content...)
	c = append(c, "content_hash", "call_id", "place")
	if again {
		c = append(c, "first_seen_at")
	}
	return c
}

// all are all columns that a table and its history share.
func (k *kind[T]) all() string {
	return strings.Join(append(k.copied(true), "changed_at", "changed_xid", "removed_at"), ", ")
}

func copySQL(table string, columns []string) string {
	return "COPY " + table + " (" + strings.Join(columns, ", ") + ") FROM STDIN BINARY"
}

// match is the condition that row t has the key of row u.
func (k *kind[T]) match() string {
	s := "t.consent_id = u.consent_id"
	for _, c := range k.key {
		s += " AND t." + c + " = u." + c
	}
	return s
}

// keys is a FROM item u of keys with further columns, each a name and a type, numbered by n: parameters $1 and up.
func (k *kind[T]) keys(columns ...string) string {
	arrays := "$1::int8[]"
	names := "consent_id"
	for i, c := range k.key {
		arrays += fmt.Sprintf(", $%d::text[]", i+2)
		names += ", " + c
	}
	for i := 0; i < len(columns); i += 2 {
		arrays += fmt.Sprintf(", $%d::%s[]", len(k.key)+2+i/2, columns[i+1])
		names += ", " + columns[i]
	}
	return fmt.Sprintf("unnest(%s) WITH ORDINALITY AS u(%s, n)", arrays, names)
}

// probeSQL finds which of the given (key, hash) differ from the table, and whether the key is there at all. The
// LATERAL with its LIMIT keeps the planner from joining the whole table. What it finds equal costs no lock and no
// WAL.
func (k *kind[T]) probeSQL() string {
	return "SELECT u.n, t.content_hash IS NOT NULL FROM " + k.keys("hash", "bytea") +
		" LEFT JOIN LATERAL (SELECT t.content_hash, t.removed_at FROM " + k.table + " t WHERE " + k.match() +
		" LIMIT 1) t ON true WHERE t.content_hash IS DISTINCT FROM u.hash OR t.removed_at IS NOT NULL"
}

// retireSQL moves the versions with the given keys to the history, each replaced by a call, and gives back when they
// were first seen. Their successors come by COPY, as new rows do: so there is one way into a table.
//
// It says too whether the version is contested: it was written in the same run, over one with the content that is to be
// written now, and that is not the first time. $n are the keys, and behind them the calls and the new contents.
func (k *kind[T]) retireSQL() string {
	return "WITH old AS (DELETE FROM " + k.table + " t USING " + k.keys("by_call", "uuid", "hash", "bytea") + " WHERE " + k.match() +
		" RETURNING t.*, u.by_call, u.hash, u.n), kept AS (INSERT INTO " + k.table + "_history (" + k.all() +
		", replaced_by) SELECT " + k.all() + ", by_call FROM old) SELECT n, first_seen_at, " +
		// Where the version is of another run, which is nearly always so, nothing more is looked up.
		"CASE WHEN u.removed_at IS NULL AND EXISTS (SELECT FROM calls before JOIN calls now ON now.run_id = before.run_id" +
		" WHERE before.id = u.call_id AND now.id = u.by_call) THEN EXISTS (SELECT FROM " + k.table + "_history t WHERE " +
		k.match() + " AND t.replaced_by = u.call_id AND t.content_hash = u.hash AND t.removed_at IS NULL)" +
		" AND EXISTS (SELECT FROM " + k.table + "_history t WHERE " + k.match() + " AND t.content_hash = u.content_hash)" +
		" ELSE false END" +
		" FROM old u"
}

// findGoneSQL lists the rows of a set that are not among the kept ones, with what is noted of each. $1 is the
// consent, $2 whether the set took several answers; scope narrows the set; kept selects the keys that are still
// there. It is all that is asked when nothing is missing.
func (k *kind[T]) findGoneSQL(where, kept string) string {
	a, b := k.noteKey("gone")
	replaced := cmp.Or(k.replaced, "$2::bool AND false")
	return "WITH gone AS (SELECT " + strings.Join(k.key, ", ") + " FROM " + k.table +
		" WHERE consent_id = $1 AND removed_at IS NULL AND " + where + " EXCEPT " + kept + ")" +
		" SELECT " + a + ", " + b + ", " + cmp.Or(k.pending, "false") + ", " + replaced + ", n.call_id" +
		" FROM gone CROSS JOIN LATERAL (SELECT * FROM " + k.table + " t WHERE " + k.same("gone") + " LIMIT 1) t" +
		" LEFT JOIN LATERAL (SELECT * FROM absences n WHERE n.consent_id = $1 AND n.kind = '" + k.table + "'" +
		" AND n.account_id = " + a + " AND n.record_id = " + b + " LIMIT 1) n ON true"
}

// removeSQL gives removed_at to rows and takes their notes away. $1 is the consent, $2 the call that no longer had
// them, $3 and $4 their keys as notes have them.
//
// The tombstone names that call, with place -1: it is not in its answer.
func (k *kind[T]) removeSQL() string {
	return "WITH gone AS (" + k.unnote("$3::text[], $4::text[]") + "), " +
		"kept AS (INSERT INTO " + k.table + "_history (" + k.all() + ", replaced_by) SELECT " + qualify("t", k.all()) +
		", $2::uuid FROM gone JOIN " + k.table + " t ON " + k.same("gone") + " AND t.removed_at IS NULL), " +
		"settled AS (DELETE FROM absences n USING gone WHERE n.consent_id = $1 AND n.kind = '" + k.table + "'" +
		" AND n.account_id = gone.note_a AND n.record_id = gone.note_b) " +
		"UPDATE " + k.table + " t SET removed_at = now(), changed_at = now(), changed_xid = pg_current_xact_id()," +
		" call_id = $2::uuid, place = -1 FROM gone WHERE " + k.same("gone") + " AND t.removed_at IS NULL"
}

// same is the condition that row t of consent $1 has the key that another table, or list, has.
func (k *kind[T]) same(other string) string {
	s := "t.consent_id = $1"
	for _, c := range k.key {
		s += " AND t." + c + " = " + other + "." + c
	}
	return s
}

// noteKey is a row's key as its note in absences has it: account_id and record_id.
func (k *kind[T]) noteKey(table string) (account, record string) {
	switch len(k.key) {
	case 1:
		return "''", table + "." + k.key[0]
	case 2:
		return table + "." + k.key[0], table + "." + k.key[1]
	}
	return table + "." + k.key[0], table + "." + k.key[1] + " || ' ' || " + table + "." + k.key[2]
}

// fromNote are the key's columns as expressions over what a note in absences has. The second of three is a word without a
// blank.
func (k *kind[T]) fromNote(account, record string) []string {
	switch len(k.key) {
	case 1:
		return []string{record}
	case 2:
		return []string{account, record}
	}
	return []string{account, "split_part(" + record + ", ' ', 1)", "split_part(" + record + ", ' ', 2)"}
}

// unnote selects keys of rows, and beside them note_a and note_b, from two arrays of what notes have.
func (k *kind[T]) unnote(arrays string) string {
	var columns []string
	for i, value := range k.fromNote("u.note_a", "u.note_b") {
		columns = append(columns, value+" AS "+k.key[i])
	}
	return "SELECT " + strings.Join(columns, ", ") + ", u.note_a, u.note_b FROM unnest(" + arrays + ") AS u(note_a, note_b)"
}

func qualify(table, columns string) string {
	return table + "." + strings.ReplaceAll(columns, ", ", ", "+table+".")
}

// rowError is a data error with the place of the record in its answer.
func (e *entry[T]) rowError(k *kind[T], err error) error {
	told := fmt.Errorf("commit %s of %s: the record at place %d of call %s can't be stored: %w", k.table,
		streamName(e.page.Stream), k.place(e.rec), e.page.Call.ID, err)
	return &dataError{err: told, record: e.rec, why: err.Error()}
}

// copyLine is the number of the row at which a COPY into table failed, from the context that Postgres gives.
func copyLine(where, table string) (int, bool) {
	_, rest, ok := strings.Cut(where, "COPY "+table+", line ")
	if !ok {
		return 0, false
	}
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(rest[:end])
	return n, err == nil
}
