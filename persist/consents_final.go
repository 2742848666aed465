package persist

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// FinalSpec says which consents of a job are pulled for the last time.
type FinalSpec struct {
	Job        string
	Connection string
	Datasets   []finance.Dataset
	BatchSize  int
	Purposes   []string      // as of a RunSpec
	Before     time.Time     // a consent that ends after this is pulled once more by the job's own schedule
	Lead       time.Duration // how long before its end a pull is good enough to be the last one
	Again      time.Duration // how long after a final pull that did not prove everything another is made
}

// finalMost bounds one final run, so that planning it takes bounded memory; the others come with the next one.
const finalMost = 50_000

// ending are the consents that are due for their final pull: they end soon, no run that is going is about to read them,
// and since Lead before their end they were not read completely. One that was finally pulled for this end is due again
// only when that has failed, in whole or for some accounts, or was refused because its daily reads were spent, and Again
// has passed.
//
// $1 connection, $2 job, $3 datasets, $4 before, $5 lead and $6 again in microseconds, $7 purposes.
const ending = `SELECT c.id, c.valid_until FROM consents c,
	LATERAL (SELECT c.valid_until - $5 * interval '1 microsecond' AS early) AS t
WHERE c.connection = $1 AND c.status = 'active' AND c.valid_from <= now() AND c.valid_until > now()
	AND t.early <= now() AND c.valid_until <= $4::timestamptz AND serves(c.purpose, $7)
	AND NOT EXISTS (SELECT FROM final_pulls f JOIN runs r ON r.id = f.run_id
		WHERE f.job = $2 AND f.consent_id = c.id AND f.valid_until = c.valid_until
		AND (r.verdict IS NULL OR f.planned_at > now() - $6 * interval '1 microsecond' OR NOT EXISTS (SELECT FROM batches b
			JOIN items i ON i.batch_id = b.id AND i.consent_id = c.id WHERE b.run_id = r.id
				AND (i.outcome = 'failed' OR i.outcome = 'excused' AND i.class IN ('refused', 'spent')
					OR i.outcome = 'partial' AND i.class IN ('rejected', 'throttled', 'transient', 'spent')))))
	AND NOT (cardinality($3::text[]) = (SELECT count(DISTINCT k.dataset) FROM cursors k WHERE k.consent_id = c.id AND k.span = ''
			AND k.dataset = ANY ($3) AND NOT k.mid_pass AND k.moved_at >= t.early)
		AND NOT EXISTS (SELECT FROM cursors k WHERE k.consent_id = c.id AND k.span = '' AND k.dataset = ANY ($3)
			AND (k.mid_pass OR k.moved_at < t.early) AND (k.account_id = '' OR EXISTS (SELECT FROM accounts a
				WHERE a.consent_id = c.id AND a.account_id = k.account_id AND a.removed_at IS NULL))))
	AND NOT EXISTS (SELECT FROM runs r JOIN batches b ON b.run_id = r.id AND b.state <> 'done'
		JOIN items i ON i.batch_id = b.id AND i.outcome IS NULL
		WHERE r.job = $2 AND r.verdict IS NULL AND r.kind <> 'backfill' AND i.consent_id = c.id)`

// claimEnding writes down that run $8 pulls them. Of two planners the second waits here for the first, and finds
// nothing left: the lock is on the key, and planned_at is the first one's.
const claimEnding = `INSERT INTO final_pulls AS f (job, consent_id, valid_until, run_id)
SELECT $2, e.id, e.valid_until, $8 FROM (` + ending + ` ORDER BY c.id LIMIT $9) AS e
ON CONFLICT (job, consent_id, valid_until) DO UPDATE SET run_id = excluded.run_id, planned_at = excluded.planned_at
	WHERE f.planned_at <= now() - $6 * interval '1 microsecond'
RETURNING consent_id`

func (f FinalSpec) args() []any {
	return []any{f.Connection, f.Job, f.Datasets, f.Before, micros(f.Lead), micros(f.Again), notNull(f.Purposes)}
}

// FinalDue says whether a consent is due for its final pull.
func (s *Store) FinalDue(ctx context.Context, f FinalSpec) (due bool, err error) {
	if err := s.pool.QueryRow(ctx, "SELECT EXISTS ("+ending+")", f.args()...).Scan(&due); err != nil {
		return false, fmt.Errorf("look for consents of %s that end: %w", f.Job, err)
	}
	return due, nil
}

// errNoneEnds rolls a final run back that would be empty.
var errNoneEnds = errors.New("no consent is due for its final pull")

// PlanFinal makes a run of the consents that are due for their final pull, with its batches and items, and rings for
// the batches, in one transaction. created is false when none is due: any number of processes may plan at once, and
// each consent is in one run only.
func (s *Store) PlanFinal(ctx context.Context, f FinalSpec, enqueue Enqueue) (run Run, created bool, err error) {
	var id int64
	err = s.inTx(ctx, "plan a final run of "+f.Job, func(tx pgx.Tx) error {
		if err := longStatement(ctx, tx); err != nil {
			return err
		}
		// The nominal time is the moment itself: final_pulls is what forbids doubles.
		if err := tx.QueryRow(ctx, insertRun, f.Job, f.Connection, Final, time.Now(), nil, f.Datasets, nil, nil, notNull(f.Purposes)).Scan(&id); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, claimEnding, append(f.args(), id, finalMost)...)
		if err != nil {
			return err
		}
		consents, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		if len(consents) == 0 {
			return errNoneEnds
		}
		return fillRun(ctx, tx, id, RunSpec{Connection: f.Connection, Datasets: f.Datasets, BatchSize: f.BatchSize, Consents: consents}, enqueue)
	})
	if errors.Is(err, errNoneEnds) || errors.Is(err, pgx.ErrNoRows) { // or somebody has a run of this very microsecond
		return run, false, nil
	}
	if err != nil {
		return run, false, err
	}
	run, err = s.RunByID(ctx, id)
	return run, true, err
}
