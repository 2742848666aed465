package plan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/queue"
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

// claimEnding writes down that a run pulls the consents that are due. Of two planners the second waits here for the
// first, and finds nothing left: the lock is on the key, and planned_at is the first one's.
const claimEnding = `INSERT INTO final_pulls AS f (job, consent_id, valid_until, run_id)
SELECT @job, e.consent_id, e.valid_until, @run
FROM ending_consents(@connection, @job, @datasets, @purposes, @before, @lead, @again) e
ORDER BY e.consent_id
LIMIT @most
ON CONFLICT (job, consent_id, valid_until) DO UPDATE SET
	run_id = excluded.run_id,
	planned_at = excluded.planned_at
	WHERE f.planned_at <= now() - @again::interval
RETURNING consent_id`

// anyEnds says whether there is one at all.
const anyEnds = `SELECT EXISTS (
	SELECT FROM ending_consents(@connection, @job, @datasets, @purposes, @before, @lead, @again)
)`

// args are the parameters of ending_consents.
func (f FinalSpec) args() pgx.NamedArgs {
	return pgx.NamedArgs{
		"connection": f.Connection,
		"job":        f.Job,
		"datasets":   f.Datasets,
		"purposes":   pg.NotNull(f.Purposes),
		"before":     f.Before,
		"lead":       f.Lead,
		"again":      f.Again,
	}
}

// FinalDue says whether a consent is due for its final pull.
func (s *Store) FinalDue(ctx context.Context, f FinalSpec) (due bool, err error) {
	if err := s.db.QueryRow(ctx, anyEnds, f.args()).Scan(&due); err != nil {
		return false, fmt.Errorf("look for consents of %s that end: %w", f.Job, err)
	}
	return due, nil
}

// errNoneEnds rolls a final run back that would be empty.
var errNoneEnds = errors.New("no consent is due for its final pull")

// Final makes a run of the consents that are due for their final pull, with its batches and items, and rings for
// the batches, in one transaction. created is false when none is due: any number of processes may plan at once, and
// each consent is in one run only.
func (s *Store) Final(ctx context.Context, f FinalSpec, enqueue Enqueue) (run queue.Run, created bool, err error) {
	var id int64
	err = s.db.InTx(ctx, "plan a final run of "+f.Job, func(tx pgx.Tx) error {
		if err := pg.LongStatement(ctx, tx); err != nil {
			return err
		}
		// final_pulls is what forbids doubles, not the nominal time.
		var err error
		id, err = insertAside(ctx, tx, RunSpec{Job: f.Job, Connection: f.Connection, Kind: queue.Final, ScheduledFor: time.Now(),
			Datasets: f.Datasets, Purposes: f.Purposes}, 0)
		if err != nil {
			return err
		}
		args := f.args()
		args["run"], args["most"] = id, finalMost
		rows, err := tx.Query(ctx, claimEnding, args)
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
		return fillRun(ctx, tx, id, RunSpec{Connection: f.Connection, Datasets: f.Datasets, BatchSize: f.BatchSize,
			Purposes: f.Purposes, Consents: consents}, enqueue)
	})
	if errors.Is(err, errNoneEnds) {
		return run, false, nil
	}
	if err != nil {
		return run, false, err
	}
	run, err = queue.LoadRun(ctx, s.db, id)
	return run, true, err
}
