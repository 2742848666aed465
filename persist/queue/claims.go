package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// Free is the condition under which a batch may be claimed: it is due, and nobody alive holds it.
const Free = `b.state <> 'done'
	AND b.wake_at <= clock_timestamp()
	AND (
		b.holder IS NULL
		OR NOT EXISTS (SELECT FROM workers w WHERE w.id = b.holder AND w.expires_at > clock_timestamp())
	)`

// Due are batches of the jobs that are free and call over these connections, oldest first. Those that
// stand in line are left to DueInLine.
func (s *Store) Due(ctx context.Context, jobs, connections []string, limit int) ([]DueBatch, error) {
	rows, err := s.db.Query(ctx, `SELECT `+dueColumns+`
		FROM batches b
		JOIN runs r ON r.id = b.run_id
		WHERE r.job = ANY (@jobs)
		AND r.connection = ANY (@connections)
		AND b.asked_at IS NULL
		AND `+Free+`
		ORDER BY b.wake_at, b.id
		LIMIT @limit`, pgx.NamedArgs{
		"jobs":        jobs,
		"connections": connections,
		"limit":       limit,
	})
	if err != nil {
		return nil, fmt.Errorf("look for due batches: %w", err)
	}
	due, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DueBatch])
	if err != nil {
		return nil, fmt.Errorf("look for due batches: %w", err)
	}
	return due, nil
}

// DueOf are free batches of some runs, those in line included, in the order in which they are to be worked.
func (s *Store) DueOf(ctx context.Context, runs []int64, connections []string, limit int) ([]DueBatch, error) {
	rows, err := s.db.Query(ctx, `SELECT `+dueColumns+`
		FROM batches b
		JOIN runs r ON r.id = b.run_id
		WHERE r.id = ANY (@runs)
		AND r.connection = ANY (@connections)
		AND `+Free+`
		ORDER BY r.window_from, r.id, b.wake_at, b.id
		LIMIT @limit`, pgx.NamedArgs{
		"runs":        runs,
		"connections": connections,
		"limit":       limit,
	})
	return pg.AllRows(rows, err, pgx.RowToStructByPos[DueBatch], "look for due batches of some runs")
}

// maxLost is how many holders in a row may die on a batch without progress before its items are given up: a
// batch that kills its workers would otherwise do so for ever. A holder that was only silent, because it was
// slow or without its database, takes itself out of the count when it is heard again ([Store.Outlived]).
const maxLost = 3

// Progress says that the holder of batch b has decided an item or committed a page since its claim. A worker that is
// killed in the middle of a long stream has not died of it.
const Progress = `(
		EXISTS (SELECT FROM items i WHERE i.batch_id = b.id AND i.finished_at >= b.claimed_at)
		OR EXISTS (
			SELECT FROM items i
			JOIN cursors c ON c.consent_id = i.consent_id AND c.dataset = i.dataset
			WHERE i.batch_id = b.id
			AND c.run_id = b.run_id
			AND c.moved_at >= b.claimed_at
		)
	)`

const claimBatch = `UPDATE batches b
SET fence = b.fence + 1,
	state = 'working',
	holder = @worker,
	claims = b.claims + 1,
	claimed_at = clock_timestamp(),
	park_reason = '',
	park_bucket = '',
	asked_at = NULL,
	behind_run = NULL,
	lost = CASE WHEN b.holder IS NULL OR ` + Progress + ` THEN 0 ELSE b.lost + 1 END
FROM runs r
WHERE b.id = @batch
AND r.id = b.run_id
AND ` + Free + `
RETURNING b.run_id, b.seq, r.job, r.connection, r.kind, r.scheduled_for, coalesce(r.of_run, 0), b.fence, r.datasets,
	r.window_from, r.window_to, b.claims, b.lost`

// A process that is frozen in the middle of a COPY keeps its locks for as long as it sleeps: no timeout of Postgres
// ends a statement that waits for its client's data. So whoever claims from a holder whose lease has ended cuts the
// holder's connections first. What it had not committed is rolled back, and when it wakes up the fence keeps it out.
const cutSilentHolder = `SELECT count(pg_terminate_backend(a.pid))
	FROM batches b
	JOIN workers w ON w.id = b.holder AND w.expires_at <= clock_timestamp()
	JOIN pg_stat_activity a ON a.application_name = 'syncer/' || w.id AND a.datname = current_database()
	WHERE b.id = $1
	AND b.state = 'working'`

// Claim takes a batch that is due and has no living holder. ok is false when it is not, when somebody
// else was quicker, or when it stands in line. A batch that has killed its holders in a row is given
// up: its open items fail and it is done.
func (s *Store) Claim(ctx context.Context, batch int64) (c Claimed, ok bool, err error) {
	return s.ClaimOf(ctx, batch, nil)
}

// ClaimOf is Claim for a process that works these runs alone; none: it works all of its jobs. Other windows of the job are
// not let pass then, as far as nobody asks for them: this process would wait for what it does not work.
func (s *Store) ClaimOf(ctx context.Context, batch int64, only []int64) (c Claimed, ok bool, err error) {
	if _, err := s.db.Exec(ctx, cutSilentHolder, batch); err != nil {
		return c, false, fmt.Errorf("claim batch %d: cut its silent holder's connections: %w", batch, err)
	}
	err = s.db.InTx(ctx, fmt.Sprintf("claim batch %d", batch), func(tx pgx.Tx) error {
		var datasets []string
		var from, to *time.Time
		c = Claimed{ID: batch}
		mayClaim, err := takeTurn(ctx, tx, batch, only)
		if c.InLine = !mayClaim; err != nil || !mayClaim {
			return err
		}
		row := tx.QueryRow(ctx, claimBatch, pgx.NamedArgs{"batch": batch, "worker": s.db.Worker.ID})
		err = row.Scan(&c.Run, &c.Seq, &c.Job, &c.Connection, &c.Kind, &c.ScheduledFor, &c.OfRun, &c.Fence, &datasets,
			&from, &to, &c.Claims, &c.Lost)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		ok = true
		c.Datasets = pg.ToDatasets(datasets)
		c.WindowFrom = pg.ToDate(from)
		c.WindowTo = pg.ToDate(to)
		if c.Lost < maxLost {
			return nil
		}
		c.Poisoned = true
		return giveUp(ctx, tx, c)
	})
	return c, ok, err
}

func giveUp(ctx context.Context, tx pgx.Tx, c Claimed) error {
	reason := fmt.Sprintf("the batch was given up: %d workers in a row died on it without progress", c.Lost)
	_, err := tx.Exec(ctx, `UPDATE items
		SET outcome = 'failed',
			class = 'poisoned',
			reason = $2,
			finished_at = clock_timestamp()
		WHERE batch_id = $1
		AND outcome IS NULL`, c.ID, reason)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE batches
		SET state = 'done',
			holder = NULL,
			finished_at = clock_timestamp()
		WHERE id = $1`, c.ID)
	return err
}

// mine is the condition under which a holder may still write its batch.
const mine = `id = @batch AND fence = @fence AND state = 'working'`

// Release gives a batch back so that anybody can take it at once. It fails with ErrFenced when it is another's.
func (s *Store) Release(ctx context.Context, batch, fence int64) error {
	return s.giveBack(ctx, "release", `UPDATE batches
		SET state = 'pending',
			holder = NULL,
			wake_at = clock_timestamp()
		WHERE `+mine, pgx.NamedArgs{"batch": batch, "fence": fence})
}

// Disown frees a batch that this process holds without knowing of it, because the answer to its claim was
// lost. It may be asked only while nobody in the process works the batch or claims it. Of a batch that is
// another's, or nobody's, nothing changes.
func (s *Store) Disown(ctx context.Context, batch int64) error {
	_, err := s.db.Exec(ctx, `UPDATE batches
		SET state = 'pending',
			holder = NULL,
			wake_at = clock_timestamp()
		WHERE id = $1
		AND holder = $2
		AND state = 'working'`, batch, s.db.Worker.ID)
	if err != nil {
		return fmt.Errorf("free batch %d, which may have been claimed: %w", batch, err)
	}
	return nil
}

// Outlived says that the worker which had claimed a batch with this fence, and has lost it to another since,
// is alive: it has not died of the batch. Without this a slow night, in which leases end again and again,
// would give a harmless batch up. It is said once for a claim.
func (s *Store) Outlived(ctx context.Context, batch, fence int64) error {
	_, err := s.db.Exec(ctx, `UPDATE batches
		SET lost = lost - 1
		WHERE id = $1
		AND fence > $2
		AND lost > 0
		AND state <> 'done'`, batch, fence)
	if err != nil {
		return fmt.Errorf("say that a worker has outlived batch %d: %w", batch, err)
	}
	return nil
}

// Parking is how a batch is parked.
type Parking struct {
	For    time.Duration
	Reason string
	Bucket string // whose closed gate it waits for, so that it wakes when the bucket answers again; empty: nobody's
}

// Park gives a batch back to be taken again later. It fails with ErrFenced when it is another's.
func (s *Store) Park(ctx context.Context, batch, fence int64, p Parking) error {
	return s.giveBack(ctx, "park", `UPDATE batches
		SET state = 'parked',
			holder = NULL,
			wake_at = clock_timestamp() + @for * interval '1 microsecond',
			park_reason = @reason,
			park_bucket = @bucket
		WHERE `+mine, pgx.NamedArgs{
		"batch":  batch,
		"fence":  fence,
		"for":    pg.Micros(p.For),
		"reason": pg.Clean(p.Reason),
		"bucket": p.Bucket,
	})
}

// ErrUndecided says that a batch can't be done yet, because an item of it is not decided. Who has decided it was answered, but has
// not waited for the disk, and Postgres has crashed since.
var ErrUndecided = errors.New("an item is not decided")

// Finish says that a batch is done. It fails with ErrFenced when it is another's, and with ErrUndecided when an item
// is undecided: "done" is written last.
func (s *Store) Finish(ctx context.Context, batch, fence int64) error {
	return s.db.InTx(ctx, fmt.Sprintf("finish batch %d with fence %d", batch, fence), func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE batches
			SET state = 'done',
				holder = NULL,
				finished_at = clock_timestamp()
			WHERE `+mine, pgx.NamedArgs{"batch": batch, "fence": fence})
		if err == nil && tag.RowsAffected() == 0 {
			err = pg.ErrFenced
		}
		if err != nil {
			return err
		}
		var open bool
		err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM items WHERE batch_id = $1 AND outcome IS NULL)`, batch).Scan(&open)
		if err == nil && open {
			err = ErrUndecided
		}
		return err
	})
}

// giveBack runs a statement about a batch that is [mine].
func (s *Store) giveBack(ctx context.Context, what, sql string, args pgx.NamedArgs) error {
	tag, err := s.db.Exec(ctx, sql, args)
	if err != nil {
		return fmt.Errorf("%s batch %d: %w", what, args["batch"], err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("%s batch %d with fence %d: %w", what, args["batch"], args["fence"], pg.ErrFenced)
	}
	return nil
}
