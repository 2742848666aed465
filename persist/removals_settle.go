package persist

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// ErrGuardOpen says that the guard of removals did not close in a run, so nothing of it is withheld or in doubt.
var ErrGuardOpen = errors.New("no removal of the run is withheld or in doubt")

// removalGuards lists guards that have closed. Of a consent that has ended since nothing will be shown any more, and
// its rows stay whatever happens, so it is nothing that waits for a person.
const removalGuards = `SELECT g.run_id, r.job, r.connection, g.dataset, g.closed_at, g.reason, g.consents, g.records,
	n.consents, n.records, n.first
FROM removal_guards g JOIN runs r ON r.id = g.run_id CROSS JOIN LATERAL (
	SELECT count(DISTINCT n.consent_id), count(*), min(n.noted_at)
	FROM absences n JOIN consents c ON c.id = n.consent_id AND c.status = 'active' WHERE n.withheld_by = g.run_id
	AND n.kind = CASE g.dataset WHEN 'debt' THEN 'debts' ELSE g.dataset END) n(consents, records, first)
WHERE g.closed_at IS NOT NULL AND `

func scanRemovalGuard(row pgx.CollectableRow) (g RemovalGuard, err error) {
	var first *time.Time
	err = row.Scan(&g.Run, &g.Job, &g.Connection, &g.Dataset, &g.ClosedAt, &g.Reason, &g.Consents, &g.Records,
		&g.WithheldOf, &g.Withheld, &first)
	g.FirstWithheldAt = orZero(first)
	return g, err
}

// WithheldRemovals lists what guards of removals keep in the tables now, the newest run first.
func (s *Store) WithheldRemovals(ctx context.Context) ([]RemovalGuard, error) {
	rows, err := s.pool.Query(ctx, removalGuards+`n.records > 0
		AND g.run_id IN (SELECT withheld_by FROM absences WHERE withheld_by IS NOT NULL)
		ORDER BY g.run_id DESC, g.dataset`)
	if err != nil {
		return nil, fmt.Errorf("list the removals that are withheld: %w", err)
	}
	guards, err := pgx.CollectRows(rows, scanRemovalGuard)
	if err != nil {
		return nil, fmt.Errorf("list the removals that are withheld: %w", err)
	}
	return guards, nil
}

// reportGuards adds the guards that have closed in the run, or in the run that it is a rerun of.
func reportGuards(ctx context.Context, tx pgx.Tx, r *Report) error {
	root := r.Run.ID
	if r.Run.OfRun != 0 {
		root = r.Run.OfRun
	}
	rows, err := tx.Query(ctx, removalGuards+`g.run_id = $1 ORDER BY g.dataset`, root)
	if err != nil {
		return err
	}
	r.Guards, err = pgx.CollectRows(rows, scanRemovalGuard)
	return err
}

// settledConsents is how many consents are changed in one transaction when removals are accepted or undone.
const settledConsents = 200

// AcceptRemovals removes now what the guard of a run withholds, and nothing later: other runs have guards of their
// own. A row that has been shown again since is not withheld any more. Each row names the call that no longer had it.
// The run's items stay as they are; a rerun proves them.
//
// It works in steps, each in a transaction of its own: begun again, it goes on.
func (s *Store) AcceptRemovals(ctx context.Context, run int64) (RemovalChange, error) {
	var all RemovalChange
	root, _, err := s.closedGuards(ctx, run)
	if err != nil {
		return all, fmt.Errorf("accept the removals of run %d: %w", run, err)
	}
	for {
		var did RemovalChange
		err := s.inTx(ctx, fmt.Sprintf("accept the removals of run %d", run), func(tx pgx.Tx) (err error) {
			did, err = acceptSome(ctx, tx, root)
			return err
		})
		all.Consents += did.Consents
		all.Records += did.Records
		if err != nil || did.Consents == 0 {
			return all, err
		}
	}
}

func acceptSome(ctx context.Context, tx pgx.Tx, root int64) (RemovalChange, error) {
	var did RemovalChange
	ids, err := collectIDs(ctx, tx, `SELECT DISTINCT consent_id FROM absences WHERE withheld_by = $1
		ORDER BY consent_id LIMIT $2`, root, settledConsents)
	if err != nil || len(ids) == 0 {
		return did, err
	}
	if err := lockConsentCursors(ctx, tx, ids); err != nil {
		return did, err
	}
	did.Consents = len(ids)
	for _, k := range recordKinds() {
		tag, err := tx.Exec(ctx, k.accept, root, ids)
		if err != nil {
			return did, err
		}
		if k.counts {
			did.Records += int(tag.RowsAffected())
		}
	}
	return did, nil
}

// UndoRemovals brings back what a run and its reruns removed before its guard closed, as far as it has not come back
// since. It is a change like any other: values and first_seen_at are those from before, changed_at and changed_xid
// are new, call_id and place are again those of the answer that the values are from, and the removed version goes to
// the history, replaced by that call. Remembered pages of those consents are forgotten: the same bytes must be read
// again, or nothing would ever say once more that the rows are gone.
//
// It works in steps, each in a transaction of its own: begun again, it goes on.
func (s *Store) UndoRemovals(ctx context.Context, run int64) (RemovalChange, error) {
	var all RemovalChange
	root, guards, err := s.closedGuards(ctx, run)
	if err != nil {
		return all, fmt.Errorf("undo the removals of run %d: %w", run, err)
	}
	for _, g := range guards {
		ids, err := collectIDs(ctx, s.pool, removedOf, root, string(g.dataset))
		if err != nil {
			return all, fmt.Errorf("undo the removals of run %d: list the consents: %w", run, err)
		}
		for len(ids) > 0 {
			some := ids[:min(len(ids), settledConsents)]
			ids = ids[len(some):]
			err := s.inTx(ctx, fmt.Sprintf("undo the removals of run %d", run), func(tx pgx.Tx) error {
				did, err := undoSome(ctx, tx, root, g, some)
				all.Consents += did.Consents
				all.Records += did.Records
				return err
			})
			if err != nil {
				return all, err
			}
		}
	}
	return all, nil
}

// removedOf lists the consents of which root run $1 or a rerun of it has removed rows of dataset $2. The list of
// accounts may have been read without an item of its own; then removals alone has it.
const removedOf = `SELECT DISTINCT i.consent_id
	FROM runs r JOIN batches b ON b.run_id = r.id JOIN items i ON i.batch_id = b.id
	WHERE (r.id = $1 OR r.of_run = $1) AND i.dataset = $2 AND i.removed > 0
	UNION SELECT consent_id FROM removals WHERE run_id = $1 AND dataset = $2 ORDER BY 1`

func undoSome(ctx context.Context, tx pgx.Tx, root int64, g closedGuard, ids []int64) (RemovalChange, error) {
	var did RemovalChange
	if err := lockConsentCursors(ctx, tx, ids); err != nil {
		return did, err
	}
	touched := map[int64]bool{}
	for _, k := range recordKinds() {
		if k.dataset != g.dataset {
			continue
		}
		back, err := collectIDs(ctx, tx, k.undo, root, ids, g.closedAt)
		if err != nil {
			return did, err
		}
		for _, id := range back {
			touched[id] = true
		}
		if k.counts {
			did.Records += len(back)
		}
	}
	did.Consents = len(touched)
	_, err := tx.Exec(ctx, `DELETE FROM pages WHERE consent_id = ANY ($1) AND dataset = $2`, ids, string(g.dataset))
	return did, err
}

// closedGuard is a dataset whose guard has closed, and when.
type closedGuard struct {
	dataset  finance.Dataset
	closedAt time.Time
}

// closedGuards gives the root of a run and its guards that have closed, or ErrNotFound or ErrGuardOpen.
func (s *Store) closedGuards(ctx context.Context, run int64) (root int64, guards []closedGuard, err error) {
	rows, err := s.pool.Query(ctx, `SELECT coalesce(r.of_run, r.id), coalesce(g.dataset, ''),
		coalesce(g.closed_at, r.created_at) FROM runs r
		LEFT JOIN removal_guards g ON g.run_id = coalesce(r.of_run, r.id) AND g.closed_at IS NOT NULL
		WHERE r.id = $1 ORDER BY 2`, run)
	if err != nil {
		return 0, nil, err
	}
	var g closedGuard
	tag, err := pgx.ForEachRow(rows, []any{&root, &g.dataset, &g.closedAt}, func() error {
		if g.dataset != "" {
			guards = append(guards, g)
		}
		return nil
	})
	switch {
	case err != nil:
		return 0, nil, err
	case tag.RowsAffected() == 0:
		return 0, nil, ErrNotFound
	case len(guards) == 0:
		return root, nil, ErrGuardOpen
	}
	return root, guards, nil
}

// lockConsentCursors makes us the only writer of the consents' records, as a commit is: see attempt. What follows looks
// rows up by their keys, and the planner must not read whole tables of calls for that.
func lockConsentCursors(ctx context.Context, tx pgx.Tx, ids []int64) error {
	_, err := tx.Exec(ctx, `SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off;
		SET LOCAL enable_mergejoin = off; SET LOCAL jit = off`)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `SELECT FROM cursors WHERE consent_id = ANY ($1)
		ORDER BY consent_id, dataset, account_id, span FOR UPDATE`, ids)
	return err
}

// asker is a pool or a transaction.
type asker interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func collectIDs(ctx context.Context, q asker, sql string, args ...any) ([]int64, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// recordKind is what accepting and undoing need of a kind of records.
type recordKind struct {
	dataset      finance.Dataset
	accept, undo string
	counts       bool // else it follows another kind
}

func recordKinds() []recordKind {
	return []recordKind{
		{finance.Accounts, accountKind.acceptSQL(), accountKind.undoSQL(), true},
		{finance.Accounts, balanceKind.acceptSQL(), balanceKind.undoSQL(), false},
		{finance.Transactions, transactionKind.acceptSQL(), transactionKind.undoSQL(), true},
		{finance.Debts, debtKind.acceptSQL(), debtKind.undoSQL(), true},
	}
}

// acceptSQL removes the rows of consents $2 that the guard of run $1 withholds.
func (k *kind[T]) acceptSQL() string {
	same := k.sameAsNote("t", "n")
	return `WITH n AS (DELETE FROM absences WHERE withheld_by = $1 AND consent_id = ANY ($2::int8[])
		AND kind = '` + k.table + `' RETURNING *), kept AS (
		INSERT INTO ` + k.table + `_history (` + k.all() + `, replaced_by)
		SELECT ` + qualify("t", k.all()) + `, n.withheld_call FROM n JOIN ` + k.table + ` t
			ON ` + same + ` AND t.removed_at IS NULL)
		UPDATE ` + k.table + ` t SET removed_at = now(), changed_at = now(), changed_xid = pg_current_xact_id(),
		call_id = n.withheld_call, place = -1 FROM n WHERE ` + same + ` AND t.removed_at IS NULL`
}

// undoSQL brings back the rows of consents $2 that root run $1 or a rerun of it removed before $3, and gives the
// consent of each. The version before the removal is the one that the removing call has replaced.
func (k *kind[T]) undoSQL() string {
	same := func(a, b string) string {
		s := a + ".consent_id = " + b + ".consent_id"
		for _, c := range k.key {
			s += " AND " + a + "." + c + " = " + b + "." + c
		}
		return s
	}
	return `WITH back AS (SELECT t.consent_id, ` + qualify("t", strings.Join(k.key, ", ")) + `, h.call_id, h.place
		FROM ` + k.table + ` t JOIN calls k ON k.id = t.call_id
		JOIN runs r ON r.id = k.run_id AND coalesce(r.of_run, r.id) = $1
		JOIN LATERAL (SELECT h.call_id, h.place FROM ` + k.table + `_history h WHERE ` + same("h", "t") + `
			AND h.replaced_by = t.call_id AND h.removed_at IS NULL ORDER BY h.replaced_at DESC LIMIT 1) h ON true
		WHERE t.consent_id = ANY ($2::int8[]) AND t.removed_at < $3), kept AS (
		INSERT INTO ` + k.table + `_history (` + k.all() + `, replaced_by)
		SELECT ` + qualify("t", k.all()) + `, back.call_id FROM back JOIN ` + k.table + ` t ON ` + same("t", "back") + `)
		UPDATE ` + k.table + ` t SET removed_at = NULL, changed_at = now(), changed_xid = pg_current_xact_id(),
		call_id = back.call_id, place = back.place FROM back WHERE ` + same("t", "back") + ` RETURNING t.consent_id`
}

// sameAsNote is the condition that a row has the key that a note in absences has.
func (k *kind[T]) sameAsNote(row, note string) string {
	s := row + ".consent_id = " + note + ".consent_id"
	for i, value := range k.fromNote(note+".account_id", note+".record_id") {
		s += " AND " + row + "." + k.key[i] + " = " + value
	}
	return s
}
