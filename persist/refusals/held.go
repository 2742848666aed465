package refusals

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/connections"
	"syncer/persist/consents"
	"syncer/persist/pg"
	"syncer/persist/queue"
)

// Ends that answers and statuses tell are too many when so many come within a day: at least a handful,
// and more than a fifth of the consents of their connection. That is a client that is locked out, ids
// of another environment or a broken provider rather than so many people who change their minds in one
// night.
const (
	tooManyEnds    = 3
	tooManyPercent = 20
)

// countEnds counts the ends that answers or statuses have told since a moment, the suspicions that are held, and those of
// them that are held since then.
const countEnds = `SELECT
	(SELECT count(*) FROM told_ends(@connection, @since)),
	(
		SELECT count(*)
		FROM consents
		WHERE connection = @connection
		AND status = 'suspected'
		AND held_at IS NOT NULL
	),
	(
		SELECT count(*)
		FROM consents
		WHERE connection = @connection
		AND status = 'suspected'
		AND held_at > @since
	)`

// countLiving counts no further than $2: of a million consents more is not worth the time.
const countLiving = `SELECT count(*) FROM (
	SELECT FROM consents
	WHERE connection = $1 AND (status = 'active' OR status = 'suspected' AND held_at IS NULL)
	LIMIT $2) AS living`

// holdIfTooMany makes the ends of the last day suspicions, if they are too many to be believed, and
// says how many are held then; 0: they are not too many. The caller has locked the connection's row.
func holdIfTooMany(ctx context.Context, tx pgx.Tx, connection string) (int, error) {
	var told, held, today, living int
	var dayAgo time.Time
	if err := tx.QueryRow(ctx, "SELECT clock_timestamp() - interval '1 day'").Scan(&dayAgo); err != nil {
		return 0, err
	}
	args := pgx.NamedArgs{
		"connection": connection,
		"since":      dayAgo,
		"reason":     queue.HeldReason,
		"hold":       pg.Micros(consents.SuspectedFor),
	}
	if err := tx.QueryRow(ctx, countEnds, args).Scan(&told, &held, &today); err != nil {
		return 0, err
	}
	ends := told + today
	if told == 0 || ends < tooManyEnds {
		return 0, nil
	}
	enough := ends*100/tooManyPercent - ends // so many that live make the ends no more than the share
	if err := tx.QueryRow(ctx, countLiving, connection, enough).Scan(&living); err != nil || living >= enough {
		return 0, err
	}
	return held + told, undo(ctx, tx, holdEnds, args)
}

// holdEnds makes suspicions of the ends of a connection since a moment. Their excused items have failed
// until it is known whether others were answered in their run, and a grant that was refused may be
// tried again. Items are found by their runs, of which none is older than a day before: of a consent alone no index
// knows them. It gives the runs that had a verdict with items that are undone, and their root runs.
const holdEnds = `WITH told AS MATERIALIZED (
	SELECT t.id, t.at
	FROM told_ends(@connection, @since) t
), suspected AS (
	UPDATE consents c SET
		status = 'suspected',
		suspected_at = coalesce(c.suspected_at, c.ended_at),
		suspected_until = clock_timestamp() + @hold * interval '1 microsecond',
		suspected_as = c.status,
		suspected_reason = c.ended_reason,
		suspected_dataset = NULL,
		suspected_times = greatest(c.suspected_times, 1),
		held_at = clock_timestamp(),
		ended_at = NULL,
		ended_reason = NULL
	FROM told t
	WHERE c.id = t.id
	RETURNING c.id, c.suspected_as AS was
), regranted AS (
	UPDATE grants g SET refused_at = NULL
	FROM told t
	WHERE g.consent_id = t.id
), noted AS (
	INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason)
	SELECT id, clock_timestamp(), 'answer', was, 'suspected', @reason
	FROM suspected
), undone AS (
	UPDATE items i SET
		outcome = 'failed',
		cause = NULL,
		reason = i.reason || '; ' || @reason
	FROM told t, runs r, batches b
	WHERE r.connection = @connection
	AND r.created_at > @since - interval '1 day'
	AND b.run_id = r.id
	AND i.batch_id = b.id
	AND i.consent_id = t.id
	AND i.outcome = 'excused'
	AND i.class = 'consent'
	AND i.finished_at >= t.at
	RETURNING b.run_id
)
SELECT DISTINCT r.id, coalesce(r.of_run, r.id)
FROM undone u
JOIN runs r ON r.id = u.run_id
WHERE r.verdict IS NOT NULL`

// restoreRefused makes the consents of a connection active that answers have ended or made suspected
// since a moment. Their items have failed, so that a rerun takes them. They are found, and the runs are given, as by
// holdEnds.
const restoreRefused = `WITH wrong AS MATERIALIZED (
	SELECT t.id, t.at
	FROM told_ends(@connection, @since) t
	UNION ALL
	SELECT id, suspected_at
	FROM consents
	WHERE connection = @connection
	AND status = 'suspected'
	AND suspected_at >= @since
	AND suspected_times = 1
), was AS MATERIALIZED (
	SELECT c.id, c.status
	FROM consents c
	JOIN wrong w ON w.id = c.id
), restored AS (
	UPDATE consents c SET
		status = 'active',
		ended_at = NULL,
		ended_reason = NULL,
		status_asked_at = NULL,
		` + consents.ForgetSuspicion + `
	FROM wrong w
	WHERE c.id = w.id
), regranted AS (
	UPDATE grants g SET refused_at = NULL
	FROM wrong w
	WHERE g.consent_id = w.id
), noted AS (
	INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason)
	SELECT id, clock_timestamp(), 'answer', status, 'active', @reason
	FROM was
), undone AS (
	UPDATE items i SET
		outcome = 'failed',
		class = 'fatal',
		cause = NULL,
		reason = @reason
	FROM wrong w, runs r, batches b
	WHERE r.connection = @connection
	AND r.created_at > @since - interval '1 day'
	AND b.run_id = r.id
	AND i.batch_id = b.id
	AND i.consent_id = w.id
	AND i.outcome IN ('excused', 'failed')
	AND i.class = 'consent'
	AND i.finished_at >= w.at
	RETURNING b.run_id
)
SELECT DISTINCT r.id, coalesce(r.of_run, r.id)
FROM undone u
JOIN runs r ON r.id = u.run_id
WHERE r.verdict IS NOT NULL`

// undo runs holdEnds or restoreRefused, and settles anew the runs that had settled with what it undoes.
func undo(ctx context.Context, tx pgx.Tx, sql string, args pgx.NamedArgs) error {
	rows, err := tx.Query(ctx, sql, args)
	if err != nil {
		return err
	}
	settled, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Run, Root int64 }])
	for _, run := range settled {
		if err == nil {
			_, err = tx.Exec(ctx, queue.ExcuseRefused, pgx.NamedArgs{"run": run.Run})
		}
		if err == nil {
			err = queue.SettleAnew(ctx, tx, run.Run)
		}
		if err == nil {
			err = queue.SettleRootAnew(ctx, tx, run.Root)
		}
	}
	return err
}

// HeldNews gives how many consents of a connection are held, where that has not been told within a day,
// and notes that it is told now. 0: there is nothing new.
func (s *Store) HeldNews(ctx context.Context, connection string) (held int, err error) {
	err = s.db.QueryRow(ctx, `WITH held AS MATERIALIZED (
			SELECT id, held_at, held_told FROM consents
			WHERE connection = $1 AND status = 'suspected' AND held_at IS NOT NULL
		), told AS (
			UPDATE consents c SET held_told = true FROM held h WHERE c.id = h.id AND NOT c.held_told RETURNING c.id
		)
		SELECT CASE WHEN EXISTS (SELECT FROM told)
			AND NOT EXISTS (SELECT FROM held WHERE held_told AND held_at > clock_timestamp() - interval '1 day')
			THEN (SELECT count(*) FROM held) ELSE 0 END`, connection).Scan(&held)
	if err != nil {
		return 0, fmt.Errorf("look for consents of %s whose ends are held: %w", connection, err)
	}
	return held, nil
}

// AcceptEnds ends the consents of a connection whose ends are held, as their provider has told them,
// and gives their number. ErrNotFound: there is no such connection.
func (s *Store) AcceptEnds(ctx context.Context, connection, reason string) (ended int, err error) {
	if _, err := connections.Load(ctx, s.db, connection); err != nil {
		return 0, err
	}
	tag, err := s.db.Exec(ctx, `WITH ended AS (
			UPDATE consents SET status = suspected_as, ended_at = clock_timestamp(), ended_reason = suspected_reason,
				`+consents.ForgetSuspicion+`
			WHERE connection = $1 AND status = 'suspected' AND held_at IS NOT NULL RETURNING id, status
		)
		INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason)
		SELECT id, clock_timestamp(), 'operator', 'suspected', status, $2 FROM ended`, connection, pg.Clean(reason))
	if err != nil {
		return 0, fmt.Errorf("accept the ends that are held over %s: %w", connection, err)
	}
	return int(tag.RowsAffected()), nil
}

// ParkRefused parks a connection over which nobody was answered since a moment. What answers have said
// against consents since then is taken back: it is the token or the provider, and not so many people.
// What the feed or an operator has ended stays ended. first is false if it was parked already.
func (s *Store) ParkRefused(ctx context.Context, connection string, since time.Time, reason string) (
	first bool, err error) {
	err = s.db.InTx(ctx, "park the connection "+connection, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE connections SET state = 'parked', parked_at = clock_timestamp(),
			parked_class = 'fatal', parked_reason = $2 WHERE name = $1 AND state = 'open'`, connection, pg.Clean(reason))
		if first = tag.RowsAffected() == 1; err != nil || !first {
			return err
		}
		return undo(ctx, tx, restoreRefused, pgx.NamedArgs{
			"connection": connection,
			"since":      since,
			"reason":     pg.Clean(reason),
		})
	})
	return first && err == nil, err
}
