package plan

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/persist/queue"
)

// excuseEnded excuses what run $1 lacks of consents that have ended since. Nobody may ask for it any
// more, so the run would lack it for ever. What it was answered stays in the reason.
const excuseEnded = `UPDATE items i
	SET outcome = 'excused',
		class = 'refused',
		cause = NULL,
		reason = 'consent ended since: ' || c.status || '; before that: ' || e.outcome || ', ' || coalesce(e.reason, '')
	FROM effective_items e
	JOIN consents c ON c.id = e.consent_id
	WHERE e.root_run = $1
	AND i.batch_id = e.batch_id
	AND i.consent_id = e.consent_id
	AND i.dataset = e.dataset
	AND c.status IN ('revoked', 'expired')
	AND (e.outcome IN ('failed', 'partial') OR e.outcome = 'excused' AND e.class IN ('spent', 'unasked'))`

// ExcuseEnded settles a run that has its verdict anew, without what it misses of consents that were
// revoked or have expired since. It gives how many items that were.
func (s *Store) ExcuseEnded(ctx context.Context, run int64) (items int, err error) {
	err = s.db.InTx(ctx, fmt.Sprintf("excuse what run %d misses of ended consents", run), func(tx pgx.Tx) error {
		root, err := lockRoot(ctx, tx, run)
		if err != nil || root.Verdict == "" {
			return err
		}
		var going bool
		err = tx.QueryRow(ctx, `SELECT true FROM runs WHERE of_run = $1 AND verdict IS NULL`, root.ID).Scan(&going)
		if err == nil || !errors.Is(err, pgx.ErrNoRows) {
			return err // its rerun decides
		}
		tag, err := tx.Exec(ctx, excuseEnded, root.ID)
		if items = int(tag.RowsAffected()); err != nil || items == 0 {
			return err
		}
		return queue.SettleRootAnew(ctx, tx, root.ID)
	})
	return items, err
}
