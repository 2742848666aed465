package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// A stream has one reader at a time. Two runs that read it side by side would start from the same
// cursor, and whoever is slower would move it back and write records as they were over records as they
// are. So a batch is not claimed while a batch of another run that is being worked has one of its open
// items. The list of accounts is a stream that items of transactions read, too.
//
// Whoever is not claimed for that stands in line (asked_at). A line has an order: what is no backfill
// comes first, then windows, oldest first. Whoever leaves a batch rings for the first in line behind
// it.

const (
	sameStreams = `b.state = 'working'
	AND b.run_id <> mine.run_id
	AND (SELECT r.connection FROM runs r WHERE r.id = b.run_id) = mine.connection
	AND EXISTS (
		SELECT FROM items i
		JOIN items j ON j.batch_id = @batch
			AND j.consent_id = i.consent_id
			AND j.outcome IS NULL
			AND (j.dataset = i.dataset OR 'debt' NOT IN (i.dataset, j.dataset))
		WHERE i.batch_id = b.id
		AND i.outcome IS NULL
	)`

	// mineAs is the batch that is asked for.
	mineAs = `(SELECT o.run_id, r.connection, r.job, r.window_from
		FROM batches o
		JOIN runs r ON r.id = o.run_id
		WHERE o.id = @batch) mine`

	// rank orders a line.
	rank = `(r.window_from IS NOT NULL, coalesce(r.window_from, '-infinity'), r.id)`

	// before are the batches that a window lets pass: they come before it, are about to be claimed, and
	// lie in the same range of consents. To compare each consent would take long where there are many
	// batches, and nothing but order hangs on it. Of the same job those count that are due or in line,
	// since whoever works the window works them too. Of another job only those count that somebody has
	// just asked for: a job that nobody works must not hold up this one. So it is with other runs of the job where whoever
	// asks works the runs @only alone.
	before = `mine.window_from IS NOT NULL
	AND r.connection = mine.connection
	AND r.verdict IS NULL
	AND ` + rank + ` < (true, mine.window_from, mine.run_id)
	AND (
		b.asked_at > clock_timestamp() - interval '10 seconds'
		OR r.job = mine.job
			AND (@only::int8[] IS NULL OR r.id = ANY (@only))
			AND (b.asked_at IS NOT NULL OR b.state = 'pending' AND b.wake_at <= clock_timestamp())
	)
	AND EXISTS (
		SELECT FROM items i, (SELECT min(j.consent_id) AS least, max(j.consent_id) AS most
			FROM items j
			WHERE j.batch_id = @batch
			AND j.outcome IS NULL) reach
		WHERE i.batch_id = b.id
		AND i.consent_id BETWEEN reach.least AND reach.most
		AND i.dataset <> 'debt'
		AND i.outcome IS NULL
	)`
)

// claimInTurn makes claims over a connection wait for each other, so that of two that share a stream
// one sees the other.
const claimInTurn = `SELECT pg_advisory_xact_lock(lock_key('claim ' || r.connection))
	FROM batches b
	JOIN runs r ON r.id = b.run_id
	WHERE b.id = @batch`

// fenceDead takes such a batch from a holder whose lease has ended, who could wake up and write: its
// fence is what keeps it out. Whoever claims it next goes on with it. standInLine lets ours rest while
// the other holder lives, or while another is to be claimed first.
const (
	fenceDead = `UPDATE batches b
	SET fence = b.fence + 1,
		state = 'pending',
		holder = NULL,
		wake_at = clock_timestamp(),
		lost = CASE WHEN ` + Progress + ` THEN 0 ELSE b.lost + 1 END
	FROM ` + mineAs + `
	WHERE ` + sameStreams + `
	AND ` + Free
	standInLine = `WITH working AS (
		SELECT b.run_id, ' is at the same consents' AS says
		FROM batches b, ` + mineAs + `
		WHERE ` + sameStreams + `
		LIMIT 1
	), passing AS (
		SELECT b.run_id, ' reads the same consents first' AS says
		FROM batches b
		JOIN runs r ON r.id = b.run_id, ` + mineAs + `
		WHERE ` + before + `
		AND NOT EXISTS (SELECT FROM working)
		ORDER BY ` + rank + `
		LIMIT 1
	), other AS (
		SELECT * FROM working UNION ALL SELECT * FROM passing
	)
	UPDATE batches b
	SET fence = b.fence + 1,
		state = 'parked',
		holder = NULL,
		wake_at = clock_timestamp() + @rest * interval '1 microsecond',
		asked_at = clock_timestamp(),
		behind_run = other.run_id,
		park_reason = 'run ' || other.run_id || other.says
	FROM other
	WHERE b.id = @batch
	AND ` + Free
)

// InTurn is how long a batch that stands in line rests before somebody asks for it again.
const InTurn = 2 * time.Second

// takeTurn sees to it that nobody else reads the streams of a batch that is about to be claimed. It
// says whether it may.
func takeTurn(ctx context.Context, tx pgx.Tx, batch int64, only []int64) (bool, error) {
	args := pgx.NamedArgs{
		"batch": batch,
		"only":  pg.NullIDs(only),
		"rest":  pg.Micros(InTurn),
	}
	if _, err := tx.Exec(ctx, claimInTurn, args); err != nil {
		return false, err
	}
	if _, err := tx.Exec(ctx, fenceDead, args); err != nil {
		return false, err
	}
	tag, err := tx.Exec(ctx, standInLine, args)
	return tag.RowsAffected() == 0, err
}

const dueColumns = `b.id, b.run_id, r.job, b.fence, r.window_from IS NOT NULL`

// firstInLine wakes the batches in line that come first of those in the range of consents of a batch,
// which somebody has just left: those of one run.
const firstInLine = `WITH line AS (
	SELECT b.id, r.id AS run_id, ` + rank + ` AS rank
	FROM batches b
	JOIN runs r ON r.id = b.run_id, ` + mineAs + `
	WHERE b.asked_at IS NOT NULL
	AND b.id <> @batch
	AND r.connection = mine.connection
	AND EXISTS (
		SELECT FROM items i, (SELECT min(j.consent_id) AS least, max(j.consent_id) AS most
			FROM items j
			WHERE j.batch_id = @batch) reach
		WHERE i.batch_id = b.id
		AND i.consent_id BETWEEN reach.least AND reach.most
		AND i.outcome IS NULL
	)
)
UPDATE batches b
SET wake_at = clock_timestamp()
FROM runs r
WHERE r.id = b.run_id
AND b.asked_at IS NOT NULL
AND b.id IN (SELECT id FROM line WHERE run_id = (SELECT run_id FROM line ORDER BY rank LIMIT 1))
RETURNING ` + dueColumns

// NextInLine wakes those that come first in line behind a batch which was just given back, and gives
// workers to be woken for them. It waits for those who are asking just now: they have seen the batch at work,
// and would be overlooked.
func (s *Store) NextInLine(ctx context.Context, batch int64) (next []DueBatch, err error) {
	err = s.db.InTx(ctx, fmt.Sprintf("look who is in line behind batch %d", batch), func(tx pgx.Tx) error {
		args := pgx.NamedArgs{"batch": batch}
		if _, err := tx.Exec(ctx, claimInTurn, args); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, firstInLine, args)
		if err != nil {
			return err
		}
		next, err = pgx.CollectRows(rows, pgx.RowToStructByPos[DueBatch])
		return err
	})
	return next, err
}

// dueInLine are those of the jobs that come first, and those that have waited longest: one whose
// forerunner died without ringing for it is found among these.
const dueInLine = `WITH line AS (
	SELECT ` + dueColumns + ` AS backfill, ` + rank + ` AS rank, b.asked_at,
		b.wake_at <= clock_timestamp() AS rested
	FROM batches b
	JOIN runs r ON r.id = b.run_id
	WHERE b.asked_at IS NOT NULL
	AND r.job = ANY (@jobs)
	AND r.connection = ANY (@connections)
), chosen AS (
	(SELECT * FROM line ORDER BY rank LIMIT @some)
	UNION
	(SELECT * FROM line ORDER BY asked_at LIMIT @some)
)
SELECT id, run_id, job, fence, backfill, rested
FROM chosen
ORDER BY rank`

// DueInLine are batches of the jobs, over these connections, that stand in line and are to be asked for
// again, at most some of each line. anybody says whether there is a line at all.
func (s *Store) DueInLine(ctx context.Context, jobs, connections []string) (due []DueBatch, anybody bool, err error) {
	const some = 10
	rows, err := s.db.Query(ctx, dueInLine, pgx.NamedArgs{
		"jobs":        jobs,
		"connections": connections,
		"some":        some,
	})
	if err != nil {
		return nil, false, fmt.Errorf("look who is in line: %w", err)
	}
	var d DueBatch
	var rested bool
	_, err = pgx.ForEachRow(rows, []any{&d.ID, &d.Run, &d.Job, &d.Fence, &d.Backfill, &rested}, func() error {
		if anybody = true; rested {
			due = append(due, d)
		}
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("look who is in line: %w", err)
	}
	return due, anybody, nil
}
