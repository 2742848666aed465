package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/persist/consents"
	"syncer/persist/pg"
)

// verdictOf computes the verdict of a run from the effective outcomes of a root run's items, or from a run's own.
//
// partial, whatever else: fewer items are there than planning wrote, or there are none at all. Nothing was read then, and
// "complete" would let somebody think that it was.
// failed: there were items and every one that is not excused failed.
// partial: nobody was read, and consents ended by what they were answered. A run of refusals alone is never complete.
// complete: each is rows, empty or excused with a reason that holds, and planning left none to an earlier run. That the reads
// of the day were spent, or that an item's turn never came, is no such reason: the data is there and was not read.
// partial: everything between.
const verdictOf = `SELECT CASE
	WHEN count(*) < (SELECT expected FROM runs WHERE id = @run) THEN 'partial'
	WHEN count(*) = 0 THEN 'partial'
	WHEN count(*) FILTER (WHERE outcome = 'failed') > 0
		AND count(*) FILTER (WHERE outcome = 'failed') = count(*) FILTER (WHERE outcome IS DISTINCT FROM 'excused') THEN 'failed'
	WHEN count(*) FILTER (WHERE outcome = 'excused' AND class = 'consent') > 0
		AND count(*) FILTER (WHERE outcome IN ('rows', 'empty', 'partial')) = 0 THEN 'partial'
	WHEN count(*) FILTER (WHERE outcome IS NULL OR outcome IN ('failed', 'partial')) = 0
		AND count(*) FILTER (WHERE outcome = 'excused' AND class IN ('spent', 'unasked')) = 0
		AND (SELECT overlapped FROM runs WHERE id = @run) = 0 THEN 'complete'
	ELSE 'partial'
	END
	FROM `

const ownItems = `(
		SELECT i.outcome, i.class
		FROM batches b
		JOIN items i ON i.batch_id = b.id
		WHERE b.run_id = @run
	) x`

// setVerdict settles a run (@run) by its own items, setRootVerdict a settled root run by the latest outcome of
// each item.
const (
	setVerdict = `UPDATE runs
	SET verdict = (` + verdictOf + ownItems + `),
		settled_at = coalesce(settled_at, clock_timestamp())
	WHERE id = @run
	RETURNING verdict`
	setRootVerdict = `UPDATE runs
	SET verdict = (` + verdictOf + `effective_items WHERE root_run = @run)
	WHERE id = @run
	AND verdict IS NOT NULL`
)

// ExcuseRefused excuses the items of a run (@run) whose consents are suspected, where another consent was
// answered in it.
const ExcuseRefused = `UPDATE items i
	SET outcome = 'excused'
	FROM batches b
	WHERE b.run_id = @run
	AND i.batch_id = b.id
	AND i.outcome = 'failed'
	AND i.class = 'consent'
	AND EXISTS (
		SELECT FROM batches o
		JOIN items j ON j.batch_id = o.id
		WHERE o.run_id = @run
		AND j.consent_id <> i.consent_id
		AND (j.outcome IN ('rows', 'empty') OR j.outcome = 'partial' AND j.pages > 0)
	)`

// HeldReason is what is said of an end that is held, and of the items that met it. It gives no number: more
// ends may come, and are held too.
const HeldReason = "more than 20 % of the consents were ended by answers and statuses within a day: " + // tooManyPercent
	"that is held until an operator decides"

// failHeld has items of a run failed whose consents' ends are held by now, until it is known whether others
// were answered. They were decided by what was known before: an item that needs the list of accounts ends as
// the list did.
const failHeld = `UPDATE items i
	SET outcome = 'failed',
		cause = NULL,
		reason = i.reason || '; ' || @held
	FROM batches b, consents c
	WHERE b.run_id = @run
	AND i.batch_id = b.id
	AND i.class = 'consent'
	AND i.outcome IN ('excused', 'failed')
	AND strpos(i.reason, @held) = 0
	AND c.id = i.consent_id
	AND c.status = 'suspected'
	AND c.held_at IS NOT NULL`

// Settle computes the verdict of a run whose batches are all done, and writes it last. A rerun settles its root run
// anew, over the latest outcome of each item. settled is false while a batch is open; a settled run keeps its verdict.
func (s *Store) Settle(ctx context.Context, run int64) (verdict Verdict, settled bool, err error) {
	err = s.db.InTx(ctx, fmt.Sprintf("settle run %d", run), func(tx pgx.Tx) error {
		var root *int64
		err := tx.QueryRow(ctx, `SELECT coalesce(verdict, ''), of_run
			FROM runs
			WHERE id = $1
			FOR NO KEY UPDATE`, run).Scan(&verdict, &root)
		if errors.Is(err, pgx.ErrNoRows) {
			return pg.ErrNotFound
		}
		if err != nil || verdict != "" {
			return err
		}
		var open bool
		const anyOpen = `SELECT EXISTS (SELECT FROM batches WHERE run_id = $1 AND state <> 'done')`
		if err := tx.QueryRow(ctx, anyOpen, run).Scan(&open); err != nil || open {
			return err
		}
		if _, err := tx.Exec(ctx, failHeld, pgx.NamedArgs{"run": run, "held": HeldReason}); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, ExcuseRefused, pgx.NamedArgs{"run": run}); err != nil {
			return err
		}
		if root != nil {
			if _, err := tx.Exec(ctx, setRootVerdict, pgx.NamedArgs{"run": *root}); err != nil {
				return err
			}
		}
		if err := consents.ConsumeRead(ctx, tx, run); err != nil {
			return err
		}
		if err := noteDrift(ctx, tx, run); err != nil {
			return err
		}
		if err := nameCausesOf(ctx, tx, "b.run_id = $1", run); err != nil {
			return err
		}
		settled = true
		return tx.QueryRow(ctx, setVerdict, pgx.NamedArgs{"run": run}).Scan(&verdict)
	})
	return verdict, settled, err
}

// SettleAnew gives a run that is settled its verdict by its own items, some of which have been decided
// otherwise since.
func SettleAnew(ctx context.Context, tx pgx.Tx, run int64) error {
	if err := nameCausesOf(ctx, tx, "b.run_id = $1", run); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, setVerdict, pgx.NamedArgs{"run": run})
	return err
}

// SettleRootAnew gives a root run that is settled its verdict by the latest outcome of each item, in it and
// its reruns.
func SettleRootAnew(ctx context.Context, tx pgx.Tx, root int64) error {
	const family = "b.run_id IN (SELECT id FROM runs WHERE id = $1 OR of_run = $1)"
	if err := nameCausesOf(ctx, tx, family, root); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, setRootVerdict, pgx.NamedArgs{"run": root})
	return err
}

// Unsettled are the runs that wait for nothing but their verdict: every batch is done.
func (s *Store) Unsettled(ctx context.Context) ([]int64, error) {
	rows, err := s.db.Query(ctx, `SELECT id FROM runs r WHERE verdict IS NULL
		AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.run_id = r.id AND b.state <> 'done') ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("look for unsettled runs: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("look for unsettled runs: %w", err)
	}
	return ids, nil
}
