package plan

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/queue"
)

// WindowPlan is what PlanWindow has found out about a window, and done.
type WindowPlan struct {
	Runs    []queue.Run // to work, oldest first: those that were open, and the one that was planned
	Missing int         // consents that no open run reads and that are not proven; none once a run was planned for them
	Ready   int         // consents that are proven
}

// windowConsents are the consents that a window is for and how each stands: open, ready or lacking. A
// consent is ready when the latest run that has decided it has proven it, or has excused it with a
// reason that holds; where all are asked for again none is. It is early when the window's last day
// was not over (@over) when it was read.
const windowConsents = `WITH win AS (
	SELECT * FROM window_runs(@job, @connection, @from, @to)
), latest AS (
	SELECT DISTINCT ON (i.consent_id) i.consent_id, i.outcome, i.class, i.finished_at
	FROM win
	JOIN batches b ON b.run_id = win.id
	JOIN items i ON i.batch_id = b.id
	WHERE i.outcome IS NOT NULL
	ORDER BY i.consent_id, win.id DESC
), open AS (
	SELECT i.consent_id
	FROM win
	JOIN batches b ON b.run_id = win.id
	JOIN items i ON i.batch_id = b.id
	WHERE win.verdict IS NULL
)
SELECT c.id,
	CASE
		WHEN c.id IN (SELECT consent_id FROM open) THEN 'open'
		WHEN @again THEN 'lacking'
		WHEN l.outcome IN ('rows', 'empty') AND l.finished_at < @over THEN 'early'
		WHEN l.outcome IN ('rows', 'empty') THEN 'ready'
		WHEN l.outcome = 'excused' AND l.class NOT IN ('spent', 'unasked') THEN 'ready'
		ELSE 'lacking'
	END
FROM consents c
LEFT JOIN latest l ON l.consent_id = c.id
WHERE c.connection = @connection
AND c.status = 'active'
AND consent_usable(c, now(), @purposes)
AND (@consents::int8[] IS NULL OR c.id = ANY (@consents))
ORDER BY c.id`

// wholeRoot is the newest settled backfill of the window that has items of all the chosen consents and is not
// being run again: what they lack is a rerun of it.
const wholeRoot = `WITH win AS (
	SELECT * FROM window_runs(@job, @connection, @from, @to)
)
SELECT win.id
FROM win
WHERE win.of_run IS NULL
AND win.verdict IS NOT NULL
AND NOT EXISTS (SELECT FROM win w WHERE w.of_run = win.id AND w.verdict IS NULL)
AND (
	SELECT count(DISTINCT i.consent_id)
	FROM batches b
	JOIN items i ON i.batch_id = b.id
	WHERE b.run_id = win.id
	AND i.consent_id = ANY (@chosen::int8[])
) = cardinality(@chosen::int8[])
ORDER BY win.id DESC
LIMIT 1`

// openRuns are those without a verdict; of some consents only, unless @consents is null.
const openRuns = `SELECT win.id
FROM window_runs(@job, @connection, @from, @to) win
WHERE win.verdict IS NULL
AND (
	@consents::int8[] IS NULL
	OR EXISTS (
		SELECT FROM batches b
		JOIN items i ON i.batch_id = b.id
		WHERE b.run_id = win.id
		AND i.consent_id = ANY (@consents)
	)
)
ORDER BY win.id`

// A pass that an earlier backfill has broken off is not gone on with by a new one: it begins at the
// window's first day.
const forgetBroken = `DELETE FROM cursors
	WHERE span = $1
	AND mid_pass
	AND consent_id = ANY ($2)`

// Window sees to it that a window of a backfill is read: it finds the runs that are at it and plans
// one for all consents that lack it, in one transaction. What one earlier run lacks becomes a rerun of
// that. With again, consents that have the window are read once more. Where plan is false it only
// looks.
//
// However many processes ask for one window at once, there is one run of it for each consent.
func (s *Store) Window(ctx context.Context, spec RunSpec, again, plan bool, enqueue Enqueue) (WindowPlan, error) {
	p := windowPlanner{spec: spec, again: again, enqueue: enqueue}
	what := fmt.Sprintf("plan the window %s..%s of %s", spec.WindowFrom, spec.WindowTo, spec.Job)
	var ids []int64
	err := s.db.InTx(ctx, what, func(tx pgx.Tx) (err error) {
		if err := pg.LongStatement(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, lockBackfills, spec.Job); err != nil {
			return err
		}
		if err := p.look(ctx, tx); err != nil {
			return err
		}
		ids, err = pg.IDs(ctx, tx, openRuns, p.args())
		if err != nil || !plan {
			return err
		}
		id, err := p.plan(ctx, tx)
		if id != 0 {
			ids = append(ids, id)
		}
		return err
	})
	w := WindowPlan{Missing: len(p.missing), Ready: p.ready}
	for _, id := range ids {
		if err != nil {
			break
		}
		var run queue.Run
		run, err = queue.LoadRun(ctx, s.db, id)
		w.Runs = append(w.Runs, run)
	}
	return w, err
}

const lockBackfills = `SELECT pg_advisory_xact_lock(lock_key('backfill ' || $1))`

// windowPlanner plans one window in its transaction.
type windowPlanner struct {
	spec    RunSpec
	again   bool
	enqueue Enqueue

	missing     []int64
	ready, open int
	early       bool // some of those that lack it have it, read before its last day was over
}

// args are the parameters of the statements about the window.
func (p *windowPlanner) args() pgx.NamedArgs {
	return pgx.NamedArgs{
		"job":        p.spec.Job,
		"connection": p.spec.Connection,
		"from":       p.spec.WindowFrom.Time(),
		"to":         p.spec.WindowTo.Time(),
		"over":       p.spec.WindowOver,
		"purposes":   pg.NotNull(p.spec.Purposes),
		"consents":   pg.NullIDs(p.spec.Consents),
		"again":      p.again,
	}
}

// look finds out how the window's consents stand.
func (p *windowPlanner) look(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, windowConsents, p.args())
	if err != nil {
		return err
	}
	var id int64
	var stands string
	_, err = pgx.ForEachRow(rows, []any{&id, &stands}, func() error {
		switch stands {
		case "open":
			p.open++
		case "ready":
			p.ready++
		case "early":
			p.early = true
			p.missing = append(p.missing, id)
		default:
			p.missing = append(p.missing, id)
		}
		return nil
	})
	return err
}

// plan makes the run that the window lacks, and gives its id; 0: it lacks none. A window for which
// there is no consent at all gets a run too, which says so by its verdict.
func (p *windowPlanner) plan(ctx context.Context, tx pgx.Tx) (id int64, err error) {
	if len(p.missing) == 0 && p.ready+p.open > 0 {
		return 0, nil
	}
	chosen := p.missing
	p.missing = nil
	if !p.again && !p.early && len(chosen) > 0 {
		args := p.args()
		args["chosen"] = chosen
		roots, err := pg.IDs(ctx, tx, wholeRoot, args)
		if err != nil {
			return 0, err
		}
		if len(roots) > 0 {
			id, _, err := planRerun(ctx, tx, RerunSpec{OfRun: roots[0], BatchSize: p.spec.BatchSize,
				Purposes: p.spec.Purposes, Selection: Selection{Consents: chosen}}, p.enqueue)
			return id, err
		}
	}
	if _, err := tx.Exec(ctx, forgetBroken, spanOf(p.spec.WindowFrom, p.spec.WindowTo), chosen); err != nil {
		return 0, err
	}
	spec := p.spec
	if p.ready+p.open > 0 {
		spec.Consents = chosen
	}
	if id, err = insertAside(ctx, tx, spec, 0); err != nil {
		return 0, err
	}
	return id, fillRun(ctx, tx, id, spec, p.enqueue)
}

// spanOf names a window in a stream's key.
func spanOf(from, to finance.Date) string { return from.String() + ".." + to.String() }

// ReadsLeft is what a backfill may ask for today.
type ReadsLeft struct {
	Bounded bool      // every consent has a number of reads a day; else the rest says nothing
	Reads   int       // that the consent with the most of them has left for a backfill
	Daily   int       // reads a day that the consent with the most of them has for backfills at all
	Next    time.Time // when the first of the spent reads comes back; zero: none is spent
}

// readsLeft looks at the consents of a connection that are called for the purposes; at some only, unless @consents
// is null. @leaves is how many reads are left to runs that are no backfills; those that they have had
// today are not left to them again. admit_calls_v4 counts in the same way.
const readsLeft = `WITH each AS (
	SELECT c.reads_per_day,
		count(r.at) AS spent,
		count(r.at) FILTER (WHERE NOT r.backfill) AS others,
		coalesce(min(r.at) FILTER (WHERE r.backfill), min(r.at)) + interval '24 hours 10 seconds' AS next
	FROM consents c
	LEFT JOIN consent_reads r ON r.consent_id = c.id
		AND r.at > clock_timestamp() - interval '24 hours 10 seconds'
	WHERE c.connection = @connection
	AND c.status = 'active'
	AND consent_usable(c, now(), @purposes)
	AND (@consents::int8[] IS NULL OR c.id = ANY (@consents))
	GROUP BY c.id
)
SELECT count(*) > 0 AND count(*) = count(reads_per_day),
	coalesce(max(greatest(0, reads_per_day - spent - greatest(0, @leaves - others))), 0),
	coalesce(max(greatest(0, reads_per_day - @leaves)), 0),
	min(next)
FROM each`

// ReadsLeft says what a backfill of the consents may ask for today. The database bounds each consent by
// itself; this is for whoever plans, so that nothing is planned that can't be read.
func (s *Store) ReadsLeft(ctx context.Context, spec RunSpec) (ReadsLeft, error) {
	var left ReadsLeft
	var next *time.Time
	err := s.db.QueryRow(ctx, readsLeft, pgx.NamedArgs{
		"connection": spec.Connection,
		"purposes":   pg.NotNull(spec.Purposes),
		"consents":   pg.NullIDs(spec.Consents),
		"leaves":     spec.LeavesReads,
	}).Scan(&left.Bounded, &left.Reads, &left.Daily, &next)
	if err != nil {
		return left, fmt.Errorf("count the reads that are left over %s: %w", spec.Connection, err)
	}
	if next != nil {
		left.Next = *next
	}
	return left, nil
}

// BackfillWindow is how many days a window of a backfill has that names none.
const BackfillWindow = 90
