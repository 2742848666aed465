package persist

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// Leave says that this process holds nothing any more, so that what it could not give back is free at once.
func (s *Store) Leave(ctx context.Context) error {
	if _, err := s.pool.Exec(ctx, `DELETE FROM workers WHERE id = $1`, s.worker.ID); err != nil {
		return fmt.Errorf("take leave: %w", err)
	}
	return nil
}

// forgetAfter is how long the row of a silent process is kept for people to see.
const forgetAfter = time.Hour

// ForgetWorkers removes the rows of processes that have been silent for an hour after their lease.
func (s *Store) ForgetWorkers(ctx context.Context) (int, error) {
	tag, err := s.pool.Exec(ctx, `DELETE FROM workers WHERE expires_at < clock_timestamp() - $1 * interval '1 microsecond'`, micros(forgetAfter))
	if err != nil {
		return 0, fmt.Errorf("forget silent workers: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// free is the condition under which a batch may be claimed: it is due, and nobody alive holds it.
const free = `b.state <> 'done' AND b.wake_at <= clock_timestamp() AND (b.holder IS NULL OR NOT EXISTS
	(SELECT 1 FROM workers w WHERE w.id = b.holder AND w.expires_at > clock_timestamp()))`

// Due are batches of the jobs that are free, oldest first.
func (s *Store) Due(ctx context.Context, jobs []string, limit int) ([]DueBatch, error) {
	rows, err := s.pool.Query(ctx, `SELECT b.id, b.run_id, r.job, b.fence FROM batches b JOIN runs r ON r.id = b.run_id
		WHERE r.job = ANY($1) AND `+free+` ORDER BY b.wake_at, b.id LIMIT $2`, jobs, limit)
	if err != nil {
		return nil, fmt.Errorf("look for due batches: %w", err)
	}
	due, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DueBatch])
	if err != nil {
		return nil, fmt.Errorf("look for due batches: %w", err)
	}
	return due, nil
}

// maxLost is how many holders in a row may die on a batch without progress before its items are given up: a batch that
// kills its workers would otherwise do so for ever.
const maxLost = 3

// progress says that the holder of batch b has decided an item or committed a page since its claim. A worker that is
// killed in the middle of a long stream has not died of it.
const progress = `(EXISTS (SELECT FROM items i WHERE i.batch_id = b.id AND i.finished_at >= b.claimed_at)
	OR EXISTS (SELECT FROM items i JOIN cursors c ON c.consent_id = i.consent_id AND c.dataset = i.dataset
		AND c.run_id = b.run_id AND c.moved_at >= b.claimed_at WHERE i.batch_id = b.id))`

const claimBatch = `UPDATE batches b SET fence = b.fence + 1, state = 'working', holder = $2, claims = b.claims + 1,
	claimed_at = clock_timestamp(), park_reason = '', park_bucket = '',
	lost = CASE WHEN b.holder IS NULL OR ` + progress + ` THEN 0 ELSE b.lost + 1 END
FROM runs r WHERE b.id = $1 AND r.id = b.run_id AND ` + free + `
RETURNING b.run_id, b.seq, r.job, r.connection, r.kind, r.scheduled_for, coalesce(r.of_run, 0), b.fence, r.datasets,
	r.window_from, r.window_to, b.claims, b.lost`

// A stream has one reader at a time. Two runs that read it side by side would start from the same cursor, and whoever is
// slower would move it back and write records as they were over records as they are. So a batch is not claimed while a
// batch of another run that is being worked has one of its open items. The list of accounts is a stream that items of
// transactions read, too.
const sameStreams = `b.state = 'working' AND b.run_id <> mine.run_id
	AND (SELECT r.connection FROM runs r WHERE r.id = b.run_id) = mine.connection AND EXISTS (SELECT FROM items i JOIN items j ON j.batch_id = $1 AND j.consent_id = i.consent_id AND j.outcome IS NULL
	AND (j.dataset = i.dataset OR 'debt' NOT IN (i.dataset, j.dataset)) WHERE i.batch_id = b.id AND i.outcome IS NULL)`

// claimInTurn makes claims over a connection wait for each other, so that of two that share a stream one sees the other.
const claimInTurn = `SELECT pg_advisory_xact_lock(hashtextextended('claim ' || r.connection, 0))
	FROM batches b JOIN runs r ON r.id = b.run_id WHERE b.id = $1`

// fenceDead takes such a batch from a holder whose lease has ended, who could wake up and write: its fence is what keeps
// it out. Whoever claims it next goes on with it. postpone lets ours rest while the other holder lives.
const (
	mineAs    = `(SELECT o.run_id, r.connection FROM batches o JOIN runs r ON r.id = o.run_id WHERE o.id = $1) mine`
	fenceDead = `UPDATE batches b SET fence = b.fence + 1, state = 'pending', holder = NULL, wake_at = clock_timestamp(),
		lost = CASE WHEN ` + progress + ` THEN 0 ELSE b.lost + 1 END FROM ` + mineAs + ` WHERE ` + sameStreams + ` AND ` + free
	postpone = `WITH other AS (SELECT b.run_id FROM batches b, ` + mineAs + ` WHERE ` + sameStreams + ` LIMIT 1)
		UPDATE batches b SET fence = b.fence + 1, state = 'parked', holder = NULL, wake_at = clock_timestamp() + $2 * interval '1 microsecond',
		park_reason = 'run ' || other.run_id || ' is at the same consents' FROM other WHERE b.id = $1 AND ` + free
)

// inTurn is how long a batch rests before it looks again whether it may be claimed.
const inTurn = 2 * time.Second

// takeTurn sees to it that nobody else reads the streams of a batch that is about to be claimed. It says whether it may.
func takeTurn(ctx context.Context, tx pgx.Tx, batch int64) (bool, error) {
	if _, err := tx.Exec(ctx, claimInTurn, batch); err != nil {
		return false, err
	}
	if _, err := tx.Exec(ctx, fenceDead, batch); err != nil {
		return false, err
	}
	tag, err := tx.Exec(ctx, postpone, batch, micros(inTurn))
	return tag.RowsAffected() == 0, err
}

// ApplicationName is what the connections of a worker's process must be called in Postgres, so that they can be found
// when the process is silent.
func ApplicationName(worker [16]byte) string { return "syncer/" + finance.CallID(worker).String() }

// A process that is frozen in the middle of a COPY keeps its locks for as long as it sleeps: no timeout of Postgres
// ends a statement that waits for its client's data. So whoever claims from a holder whose lease has ended cuts the
// holder's connections first. What it had not committed is rolled back, and when it wakes up the fence keeps it out.
const cutSilentHolder = `SELECT count(pg_terminate_backend(a.pid)) FROM batches b
	JOIN workers w ON w.id = b.holder AND w.expires_at <= clock_timestamp()
	JOIN pg_stat_activity a ON a.application_name = 'syncer/' || w.id AND a.datname = current_database()
	WHERE b.id = $1 AND b.state = 'working'`

// Claim takes a batch that is due and has no living holder. ok is false when it is not, or when somebody else was
// quicker. A batch that has killed its holders in a row is given up: its open items fail and it is done.
func (s *Store) Claim(ctx context.Context, batch int64) (c Claimed, ok bool, err error) {
	if _, err := s.pool.Exec(ctx, cutSilentHolder, batch); err != nil {
		return c, false, fmt.Errorf("claim batch %d: cut its silent holder's connections: %w", batch, err)
	}
	err = s.inTx(ctx, fmt.Sprintf("claim batch %d", batch), func(tx pgx.Tx) error {
		var datasets []string
		var from, to *time.Time
		c = Claimed{ID: batch}
		if mayClaim, err := takeTurn(ctx, tx, batch); err != nil || !mayClaim {
			return err
		}
		err := tx.QueryRow(ctx, claimBatch, batch, s.worker.ID).Scan(&c.Run, &c.Seq, &c.Job, &c.Connection, &c.Kind,
			&c.ScheduledFor, &c.OfRun, &c.Fence, &datasets, &from, &to, &c.Claims, &c.Lost)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		ok = true
		c.Datasets, c.WindowFrom, c.WindowTo = toDatasets(datasets), toDate(from), toDate(to)
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
	if _, err := tx.Exec(ctx, `UPDATE items SET outcome = 'failed', class = 'poisoned', reason = $2,
		finished_at = clock_timestamp() WHERE batch_id = $1 AND outcome IS NULL`, c.ID, reason); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE batches SET state = 'done', holder = NULL, finished_at = clock_timestamp() WHERE id = $1`, c.ID)
	return err
}

func toDatasets(names []string) []finance.Dataset {
	datasets := make([]finance.Dataset, len(names))
	for i, n := range names {
		datasets[i] = finance.Dataset(n)
	}
	return datasets
}

func toDate(t *time.Time) finance.Date {
	if t == nil {
		return 0
	}
	return finance.DateOf(*t)
}

// mine is the condition under which a holder may still write its batch.
const mine = `id = $1 AND fence = $2 AND state = 'working'`

// Release gives a batch back so that anybody can take it at once. It fails with ErrFenced when it is another's.
func (s *Store) Release(ctx context.Context, batch, fence int64) error {
	return s.giveBack(ctx, "release", batch, fence, `UPDATE batches SET state = 'pending', holder = NULL,
		wake_at = clock_timestamp() WHERE `+mine)
}

// Parking is how a batch is parked.
type Parking struct {
	For    time.Duration
	Reason string
	Bucket string // whose closed gate it waits for, so that it wakes when the bucket answers again; empty: nobody's
}

// Park gives a batch back to be taken again later. It fails with ErrFenced when it is another's.
func (s *Store) Park(ctx context.Context, batch, fence int64, p Parking) error {
	return s.giveBack(ctx, "park", batch, fence, `UPDATE batches
		SET state = 'parked',
			holder = NULL,
			wake_at = clock_timestamp() + $3 * interval '1 microsecond',
			park_reason = $4,
			park_bucket = $5
		WHERE `+mine, micros(p.For), clean(p.Reason), p.Bucket)
}

// ErrUndecided says that a batch can't be done yet, because an item of it is not decided.
var ErrUndecided = errors.New("an item is not decided")

// Finish says that a batch is done. It fails with ErrFenced when it is another's, and with ErrUndecided when an item
// is undecided: "done" is written last.
func (s *Store) Finish(ctx context.Context, batch, fence int64) error {
	return s.inTx(ctx, fmt.Sprintf("finish batch %d with fence %d", batch, fence), func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE batches SET state = 'done', holder = NULL, finished_at = clock_timestamp()
			WHERE `+mine, batch, fence)
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrFenced
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

func (s *Store) giveBack(ctx context.Context, what string, batch, fence int64, sql string, args ...any) error {
	tag, err := s.pool.Exec(ctx, sql, append([]any{batch, fence}, args...)...)
	if err != nil {
		return fmt.Errorf("%s batch %d: %w", what, batch, err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("%s batch %d with fence %d: %w", what, batch, fence, ErrFenced)
	}
	return nil
}
