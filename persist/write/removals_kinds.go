package write

import (
	"strings"

	"syncer/finance"
)

// RecordKind is what accepting and undoing need of a kind of records: statements about a root run, consents of it, and the
// moment at which its guard closed (@root, @consents, @closed).
type RecordKind struct {
	Dataset      finance.Dataset
	Accept, Undo string
	Rekeyed      string
	Counts       bool // else it follows another kind
}

// RecordKinds are all kinds of records.
func RecordKinds() []RecordKind {
	return []RecordKind{
		{finance.Accounts, accountKind.acceptSQL(), accountKind.undoSQL(), accountKind.rekeyedSQL(), true},
		{finance.Accounts, balanceKind.acceptSQL(), balanceKind.undoSQL(), balanceKind.rekeyedSQL(), false},
		{finance.Transactions, transactionKind.acceptSQL(), transactionKind.undoSQL(), transactionKind.rekeyedSQL(), true},
		{finance.Debts, debtKind.acceptSQL(), debtKind.undoSQL(), debtKind.rekeyedSQL(), true},
	}
}

// acceptSQL removes the rows of consents (@consents) that the guard of a root run (@root) withholds.
func (k *kind[T]) acceptSQL() string {
	same := k.sameAsNote("t", "n")
	return `WITH n AS (
			DELETE FROM absences
			WHERE withheld_by = @root
			AND consent_id = ANY (@consents::int8[])
			AND kind = '` + k.table + `'
			RETURNING *
		), kept AS (
			INSERT INTO ` + k.table + `_history (` + k.all() + `, replaced_by)
			SELECT ` + qualify("t", k.all()) + `, n.withheld_call
			FROM n
			JOIN ` + k.table + ` t ON ` + same + ` AND t.removed_at IS NULL
		)
		UPDATE ` + k.table + ` t
		SET removed_at = now(),
			changed_at = now(),
			changed_xid = pg_current_xact_id(),
			call_id = n.withheld_call,
			place = -1
		FROM n
		WHERE ` + same + `
		AND t.removed_at IS NULL`
}

// undoSQL brings back the rows of consents (@consents) that a root run (@root) or a rerun of it removed before its guard
// closed (@closed), and gives the consent of each. The version before the removal is the one that the removing call has
// replaced. Rows that stand there under other keys since stay removed.
func (k *kind[T]) undoSQL() string {
	same := k.alike
	return `WITH back AS (
			SELECT t.consent_id, ` + qualify("t", strings.Join(k.key, ", ")) + `, h.call_id, h.place
			FROM ` + k.table + ` t
			JOIN calls k ON k.id = t.call_id
			JOIN runs r ON r.id = k.run_id AND coalesce(r.of_run, r.id) = @root
			JOIN LATERAL (
				SELECT h.call_id, h.place
				FROM ` + k.table + `_history h
				WHERE ` + same("h", "t") + `
				AND h.replaced_by = t.call_id
				AND h.removed_at IS NULL
				ORDER BY h.replaced_at DESC
				LIMIT 1
			) h ON true
			WHERE t.consent_id = ANY (@consents::int8[])
			AND t.removed_at < @closed
			AND t.place NOT IN (` + replacedPlace + `, ` + rekeyedPlace + `)
		), kept AS (
			INSERT INTO ` + k.table + `_history (` + k.all() + `, replaced_by)
			SELECT ` + qualify("t", k.all()) + `, back.call_id
			FROM back
			JOIN ` + k.table + ` t ON ` + same("t", "back") + `
		)
		UPDATE ` + k.table + ` t
		SET removed_at = NULL,
			changed_at = now(),
			changed_xid = pg_current_xact_id(),
			call_id = back.call_id,
			place = back.place
		FROM back
		WHERE ` + same("t", "back") + `
		RETURNING t.consent_id`
}

// rekeyedSQL counts the rows of consents (@consents) that a root run (@root) or a rerun of it removed before its guard closed
// (@closed), and that stay removed since the keys of their streams have been replaced.
func (k *kind[T]) rekeyedSQL() string {
	return `SELECT count(*)
		FROM ` + k.table + ` t
		JOIN calls k ON k.id = t.call_id
		JOIN runs r ON r.id = k.run_id AND coalesce(r.of_run, r.id) = @root
		WHERE t.consent_id = ANY (@consents::int8[])
		AND t.removed_at < @closed
		AND t.place = ` + rekeyedPlace
}

// sameAsNote is the condition that a row has the key that a note in absences has.
func (k *kind[T]) sameAsNote(row, note string) string {
	s := row + ".consent_id = " + note + ".consent_id"
	for i, value := range k.fromNote(note+".account_id", note+".record_id") {
		s += " AND " + row + "." + k.key[i] + " = " + value
	}
	return s
}
