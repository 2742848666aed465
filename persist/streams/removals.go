package streams

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/queue"
	"syncer/persist/write"
)

// ErrGuardOpen says that the guard of removals did not close in a run, so nothing of it is withheld or in doubt.
var ErrGuardOpen = errors.New("no removal of the run is withheld or in doubt")

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
		err := s.db.InTx(ctx, fmt.Sprintf("accept the removals of run %d", run), func(tx pgx.Tx) (err error) {
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
	ids, err := pg.IDs(ctx, tx, `SELECT DISTINCT consent_id FROM absences WHERE withheld_by = $1
		ORDER BY consent_id LIMIT $2`, root, settledConsents)
	if err != nil || len(ids) == 0 {
		return did, err
	}
	if err := lockConsentCursors(ctx, tx, ids); err != nil {
		return did, err
	}
	did.Consents = len(ids)
	for _, k := range write.RecordKinds() {
		tag, err := tx.Exec(ctx, k.Accept, pgx.NamedArgs{"root": root, "consents": ids})
		if err != nil {
			return did, err
		}
		if k.Counts {
			did.Records += int(tag.RowsAffected())
		}
	}
	return did, nil
}

// UndoRemovals brings back what a run and its reruns removed before its guard closed, as far as it has not come back
// since. It is a change like any other: values and first_seen_at are those from before, changed_at and changed_xid
// are new, call_id and place are again those of the answer that the values are from, and the removed version goes to
// the history, replaced by that call. Remembered pages of those consents are forgotten: the same bytes must be read
// again, or nothing would ever say once more that the rows are gone. The items that had proven the rows gone become
// partial, and the verdicts of their runs with them, so that a rerun asks for them again.
//
// It works in steps, each in a transaction of its own: begun again, it goes on.
func (s *Store) UndoRemovals(ctx context.Context, run int64) (RemovalChange, error) {
	var all RemovalChange
	root, guards, err := s.closedGuards(ctx, run)
	if err != nil {
		return all, fmt.Errorf("undo the removals of run %d: %w", run, err)
	}
	for _, g := range guards {
		ids, err := pg.IDs(ctx, s.db, removedOf, root, string(g.dataset))
		if err != nil {
			return all, fmt.Errorf("undo the removals of run %d: list the consents: %w", run, err)
		}
		for len(ids) > 0 {
			some := ids[:min(len(ids), settledConsents)]
			ids = ids[len(some):]
			err := s.db.InTx(ctx, fmt.Sprintf("undo the removals of run %d", run), func(tx pgx.Tx) error {
				did, err := undoSome(ctx, tx, root, g, some)
				all.Consents += did.Consents
				all.Records += did.Records
				all.Rekeyed += did.Rekeyed
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
	FROM runs r
	JOIN batches b ON b.run_id = r.id
	JOIN items i ON i.batch_id = b.id
	WHERE (r.id = $1 OR r.of_run = $1)
	AND i.dataset = $2
	AND i.removed > 0
	UNION
	SELECT consent_id
	FROM removals
	WHERE run_id = $1
	AND dataset = $2
	ORDER BY 1`

func undoSome(ctx context.Context, tx pgx.Tx, root int64, g closedGuard, ids []int64) (RemovalChange, error) {
	var did RemovalChange
	if err := lockConsentCursors(ctx, tx, ids); err != nil {
		return did, err
	}
	args := pgx.NamedArgs{
		"root":     root,
		"consents": ids,
		"closed":   g.closedAt,
	}
	touched := map[int64]bool{}
	for _, k := range write.RecordKinds() {
		if k.Dataset != g.dataset {
			continue
		}
		back, err := pg.IDs(ctx, tx, k.Undo, args)
		if err != nil {
			return did, err
		}
		for _, id := range back {
			touched[id] = true
		}
		if !k.Counts {
			continue
		}
		did.Records += len(back)
		var rekeyed int
		if err := tx.QueryRow(ctx, k.Rekeyed, args).Scan(&rekeyed); err != nil {
			return did, err
		}
		did.Rekeyed += rekeyed
	}
	did.Consents = len(touched)
	_, err := tx.Exec(ctx, `DELETE FROM pages WHERE consent_id = ANY ($1) AND dataset = $2`, ids, string(g.dataset))
	if err != nil || len(touched) == 0 {
		return did, err
	}
	return did, doubtItems(ctx, tx, root, g.dataset, slices.Collect(maps.Keys(touched)))
}

// BroughtBack is why an item is partial whose rows have been brought back.
const BroughtBack = "an operator has brought back what was removed here, since the provider was wrong; a rerun asks again"

// makePartial takes the latest outcome of each consent's item, in the root run or a rerun of it.
const makePartial = `WITH latest AS MATERIALIZED (
	SELECT e.run_id, e.batch_id, e.consent_id, e.dataset
	FROM effective_items e
	WHERE e.root_run = @root
	AND e.dataset = @dataset
	AND e.consent_id = ANY (@consents::int8[])
	AND e.outcome IN ('rows', 'empty')
), doubted AS (
	UPDATE items i SET
		outcome = 'partial',
		reason = concat_ws('; ', nullif(i.reason, ''), @reason::text)
	FROM latest l
	WHERE i.batch_id = l.batch_id
	AND i.consent_id = l.consent_id
	AND i.dataset = l.dataset
	RETURNING i.batch_id
)
SELECT DISTINCT r.id
FROM doubted d
JOIN batches b ON b.id = d.batch_id
JOIN runs r ON r.id = b.run_id
WHERE r.verdict IS NOT NULL`

// doubtItems makes the items of consents partial whose rows are back: what they have proven is not what the tables show.
func doubtItems(ctx context.Context, tx pgx.Tx, root int64, dataset finance.Dataset, consents []int64) error {
	runs, err := pg.IDs(ctx, tx, makePartial, pgx.NamedArgs{
		"root":     root,
		"dataset":  string(dataset),
		"consents": consents,
		"reason":   BroughtBack,
	})
	if err != nil {
		return fmt.Errorf("make the items partial whose rows are back: %w", err)
	}
	for _, run := range runs {
		if err := queue.SettleAnew(ctx, tx, run); err != nil {
			return fmt.Errorf("settle run %d anew: %w", run, err)
		}
	}
	if err := queue.SettleRootAnew(ctx, tx, root); err != nil {
		return fmt.Errorf("settle run %d anew: %w", root, err)
	}
	return nil
}

// closedGuard is a dataset whose guard has closed, and when.
type closedGuard struct {
	dataset  finance.Dataset
	closedAt time.Time
}

// closedGuards gives the root of a run and its guards that have closed, or ErrNotFound or ErrGuardOpen.
func (s *Store) closedGuards(ctx context.Context, run int64) (root int64, guards []closedGuard, err error) {
	rows, err := s.db.Query(ctx, `SELECT coalesce(r.of_run, r.id), coalesce(g.dataset, ''),
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
		return 0, nil, pg.ErrNotFound
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

// RemovalChange is what accepting or undoing removals has done. Balances follow their accounts and are not counted.
type RemovalChange struct {
	Consents int
	Records  int
	// Rekeyed are records that undoing left removed: the keys of their stream have been replaced since, so what they were
	// stands there under another key, or the provider does not show it.
	Rekeyed int
}
