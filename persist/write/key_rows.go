package write

import (
	"context"
	"slices"
	"strings"

	"syncer/finance"
)

// live says whether there are rows of the days that are not removed.
func (x *replacing) live(ctx context.Context) (some bool, err error) {
	for _, table := range StagedTables(x.Change.Dataset) {
		err := x.tx.QueryRow(ctx, `SELECT EXISTS (
				SELECT FROM `+strings.TrimPrefix(table, "staged_")+` t
				WHERE t.consent_id = @consent
					AND t.removed_at IS NULL
					AND `+x.ofStreams()+`
			)`, x.args).Scan(&some)
		if err != nil || some {
			return some, err
		}
	}
	return false, nil
}

// undoable says whether rows may still be brought back by removals undo, which another pass would have to replace then. It is
// asked only where such a pass costs no more than any other: transactions would be read from their beginning.
func (x *replacing) undoable(ctx context.Context) (some bool, err error) {
	if x.Change.Dataset == finance.Transactions {
		return false, nil
	}
	table, _, _ := RecordsOf(x.Change.Dataset)
	err = x.tx.QueryRow(ctx, `SELECT EXISTS (
			SELECT FROM `+table+` t
			WHERE t.consent_id = @consent
				AND `+UndoableRow+`
		)`, x.args).Scan(&some)
	return some, err
}

// UndoableRow is the condition that removals undo may bring a row t back.
const UndoableRow = "t.removed_at IS NOT NULL AND t.place NOT IN (" + replacedPlace + ", " + rekeyedPlace + ")"

// closeUndo sees to it that removals undo brings no row back whose key is an old one.
func (x *replacing) closeUndo(ctx context.Context) error {
	for _, staged := range StagedTables(x.Change.Dataset) {
		_, err := x.exec(ctx, `UPDATE `+strings.TrimPrefix(staged, "staged_")+` t SET place = `+rekeyedPlace+`
			WHERE t.consent_id = @consent
				AND `+UndoableRow+`
				AND `+x.ofStreams())
		if err != nil {
			return err
		}
	}
	return nil
}

// replace writes the rows.
func (x *replacing) replace(ctx context.Context) (err error) {
	var all, more changedRows
	switch x.Change.Dataset {
	case finance.Accounts:
		if all, err = replaceRows(ctx, x, &accountKind); err == nil {
			more, err = replaceRows(ctx, x, &balanceKind)
		}
	case finance.Transactions:
		all, err = replaceRows(ctx, x, &transactionKind)
	default:
		all, err = replaceRows(ctx, x, &debtKind)
	}
	if err != nil {
		return err
	}
	// What an earlier run has read is not this item's, so it must not count more than it has read itself.
	x.args["inserted"], x.args["removed"] = all.inserted+more.inserted, all.removed+more.removed
	_, err = x.exec(ctx, `UPDATE items SET
			inserted = least(inserted + @inserted, greatest(records - updated, inserted)),
			removed = removed + @removed
		WHERE batch_id = @batch AND consent_id = @consent AND dataset = @item`)
	return err
}

// changedRows counts what a replacement has done to a table.
type changedRows struct{ inserted, removed int64 }

// replaceRows puts what is staged of a kind in the place of the rows with old keys. A row whose key is the same under both
// is another version of itself.
func replaceRows[T any](ctx context.Context, x *replacing, k *kind[T]) (did changedRows, err error) {
	did.removed, err = x.exec(ctx, `WITH gone AS (
			SELECT t.*
			FROM `+k.table+` t
			WHERE t.consent_id = @consent
				AND t.removed_at IS NULL
				AND `+x.ofStreams()+`
				AND NOT EXISTS (SELECT FROM `+k.staged()+` s WHERE `+staged+` AND `+k.alike("s", "t")+`)
		), kept AS (
			INSERT INTO `+k.table+`_history (`+k.all()+`, replaced_by)
			SELECT `+k.all()+`, @call::uuid
			FROM gone
		), settled AS (
			DELETE FROM absences n
			USING gone
			WHERE n.consent_id = @consent AND n.kind = '`+k.table+`' AND `+k.sameAsNote("gone", "n")+`
		)
		UPDATE `+k.table+` t SET
			removed_at = now(),
			changed_at = now(),
			changed_xid = pg_current_xact_id(),
			call_id = @call::uuid,
			place = `+replacedPlace+`
		FROM gone
		WHERE t.consent_id = @consent AND `+k.alike("t", "gone"))
	if err != nil {
		return did, k.failed("remove the old keys from", err)
	}
	keys := strings.Join(k.key, ", ")
	fresh := `WITH fresh AS (
			SELECT DISTINCT ON (` + keys + `) s.*
			FROM ` + k.staged() + ` s
			WHERE ` + staged + `
			ORDER BY ` + keys + `, n DESC
		)`
	const differs = "(t.content_hash <> fresh.content_hash OR t.removed_at IS NOT NULL)"
	set := ""
	for _, c := range append(slices.Clone(k.content), "content_hash", "call_id", "place") {
		set += c + " = fresh." + c + ", "
	}
	_, err = x.exec(ctx, fresh+`, kept AS (
			INSERT INTO `+k.table+`_history (`+k.all()+`, replaced_by)
			SELECT `+qualify("t", k.all())+`, fresh.call_id
			FROM `+k.table+` t
			JOIN fresh ON `+k.alike("t", "fresh")+`
			WHERE t.consent_id = @consent AND `+differs+`
		), settled AS (
			DELETE FROM absences n
			USING fresh
			WHERE n.consent_id = @consent AND n.kind = '`+k.table+`' AND `+k.sameAsNote("fresh", "n")+`
		)
		UPDATE `+k.table+` t SET
			`+set+`removed_at = NULL,
			changed_at = now(),
			changed_xid = pg_current_xact_id()
		FROM fresh
		WHERE t.consent_id = @consent AND `+k.alike("t", "fresh")+` AND `+differs)
	if err != nil {
		return did, k.failed("change", err)
	}
	columns := strings.Join(k.copied(false), ", ")
	did.inserted, err = x.exec(ctx, fresh+`
		INSERT INTO `+k.table+` (`+columns+`)
		SELECT `+columns+`
		FROM fresh
		WHERE NOT EXISTS (
			SELECT FROM `+k.table+` t
			WHERE t.consent_id = @consent AND `+k.alike("t", "fresh")+`
		)`)
	if err != nil {
		return did, k.failed("write", err)
	}
	return did, nil
}

// alike is the condition that two rows have one key.
func (k *kind[T]) alike(a, b string) string {
	s := a + ".consent_id = " + b + ".consent_id"
	for _, c := range k.key {
		s += " AND " + a + "." + c + " = " + b + "." + c
	}
	return s
}
