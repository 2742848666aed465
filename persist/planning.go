package persist

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const insertRun = `INSERT INTO runs (job, connection, kind, scheduled_for, of_run, datasets, window_from, window_to, purposes)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (job, scheduled_for) DO NOTHING RETURNING id`

// eligible are the consents that run $1 works: active, now is in their window, and they were given for its purposes.
const eligible = `c.connection = $2 AND c.status = 'active' AND c.valid_from <= now()
	AND (c.valid_until IS NULL OR c.valid_until > now()) AND ($4::int8[] IS NULL OR c.id = ANY($4))
	AND serves(c.purpose, (SELECT r.purposes FROM runs r WHERE r.id = $1))`

// overlapping counts the items of a run to come that open runs of the same job have not decided yet. They are left to
// those: each will be decided by calls that are made after this run's time, so nothing is lost, while ticks that pass
// behind a closed gate would otherwise pile up and ask for everybody once a tick when it opens.
const overlapping = `SELECT count(*) FROM undecided_items($5) u JOIN consents c ON c.id = u.consent_id
	WHERE u.dataset = ANY($3) AND ` + eligible

// cutRun numbers the consents, cuts them into batches of $3, and writes an item for each consent and dataset that no
// open run of job $6 has. An item finds its batch by its place in an array and not by a join: the planner knows nothing
// of the size of either side, and its nested loop took half a minute for 100,000 consents.
const cutRun = `WITH free AS (
	SELECT c.id, d AS dataset FROM consents c CROSS JOIN unnest($5::text[]) AS d WHERE ` + eligible + `
	AND NOT EXISTS (SELECT FROM undecided_items($6) u WHERE u.consent_id = c.id AND u.dataset = d)
), chosen AS (
	SELECT id, dataset, (dense_rank() OVER (ORDER BY id) - 1) / $3 AS seq FROM free
), cut AS (
	INSERT INTO batches (run_id, seq) SELECT DISTINCT $1::int8, seq::int4 FROM chosen ORDER BY 2 RETURNING id, seq
)
INSERT INTO items (batch_id, consent_id, dataset)
SELECT (SELECT array_agg(id ORDER BY seq) FROM cut)[chosen.seq + 1], id, dataset FROM chosen`

// joinByHash keeps the planner from pairing every consent with every batch, which it does right after a large import,
// while it still takes the table of consents for small. Where there is no way round such a join, before Postgres 18, the
// price of the forbidden one makes the server compile the statement, which takes longer than planning a small run.
const joinByHash = `SELECT set_config('enable_nestloop', 'off', true), set_config('jit', 'off', true)`

// notePlan writes how many items there are, which the verdict must account for, and how many consents were left out. A
// run without items has nothing to wait for. It is partial: nothing is read by it.
const notePlan = `UPDATE runs SET expected = $3::int4, overlapped = $5::int4,
	verdict = CASE WHEN $3 = 0 THEN 'partial' END,
	settled_at = CASE WHEN $3 = 0 THEN clock_timestamp() END,
	skipped = (SELECT count(*) FROM consents c WHERE c.connection = $2 AND ($4::int8[] IS NULL OR c.id = ANY($4)))
		- (SELECT count(*) FROM consents c WHERE ` + eligible + `) WHERE id = $1`

// PlanRun makes a run with its batches and items, and rings for the batches, in one transaction. When the job has a
// run for that nominal time already, it gives that one, and created is false.
func (s *Store) PlanRun(ctx context.Context, spec RunSpec, enqueue Enqueue) (run Run, created bool, err error) {
	if spec.BatchSize < 1 {
		return run, false, fmt.Errorf("plan a run of %s: a batch needs at least one consent", spec.Job)
	}
	var id int64
	err = s.inTx(ctx, "plan a run of "+spec.Job, func(tx pgx.Tx) error {
		if err := longStatement(ctx, tx); err != nil {
			return err
		}
		if spec.Kind == Scheduled { // of two ticks at once one must see what the other has planned
			if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('plan ' || $1, 0))`, spec.Job); err != nil {
				return err
			}
		}
		err := tx.QueryRow(ctx, insertRun, spec.Job, spec.Connection, spec.Kind, spec.ScheduledFor, nil, spec.Datasets,
			nullDate(spec.WindowFrom), nullDate(spec.WindowTo), notNull(spec.Purposes)).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		created = true
		return fillRun(ctx, tx, id, spec, enqueue)
	})
	if err != nil {
		return run, false, err
	}
	run, err = s.runBy(ctx, `r.job = $1 AND r.scheduled_for = $2`, spec.Job, spec.ScheduledFor)
	return run, created, err
}

// fillRun gives a run that was just made its batches and items, and rings for them.
func fillRun(ctx context.Context, tx pgx.Tx, id int64, spec RunSpec, enqueue Enqueue) error {
	chosen := consentsOrAll(spec.Consents)
	overlapped, besides := 0, any(nil)
	if spec.Kind == Scheduled {
		if err := tx.QueryRow(ctx, overlapping, id, spec.Connection, spec.Datasets, chosen, spec.Job).Scan(&overlapped); err != nil {
			return err
		}
	}
	if overlapped > 0 {
		besides = spec.Job
	}
	if _, err := tx.Exec(ctx, joinByHash); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, cutRun, id, spec.Connection, spec.BatchSize, chosen, spec.Datasets, besides)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, notePlan, id, spec.Connection, tag.RowsAffected(), chosen, overlapped); err != nil {
		return err
	}
	return ringAll(ctx, tx, id, enqueue)
}

// longStatement lifts the limit on one statement: planning a million consents takes longer than any page.
func longStatement(ctx context.Context, tx pgx.Tx) error {
	limitTrips(tx.Conn(), 15*time.Minute)
	_, err := tx.Exec(ctx, `SET LOCAL statement_timeout = '15min'`)
	return err
}

func consentsOrAll(ids []int64) any {
	if len(ids) == 0 {
		return nil
	}
	return ids
}

// ringChunk is how many batches are rung for at once, so that planning needs the same memory for any number.
const ringChunk = 1000

func ringAll(ctx context.Context, tx pgx.Tx, run int64, enqueue Enqueue) error {
	for after := -1; ; {
		rows, err := tx.Query(ctx, `SELECT id, run_id, seq FROM batches WHERE run_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`,
			run, after, ringChunk)
		if err != nil {
			return err
		}
		refs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[BatchRef])
		if err != nil || len(refs) == 0 {
			return err
		}
		if err := enqueue(ctx, tx, refs); err != nil {
			return err
		}
		after = refs[len(refs)-1].Seq
	}
}

// unproven selects the items of root run $1 that a rerun takes: the latest decision of each is not a proof, and it
// meets the selection.
const unproven = `SELECT e.consent_id, e.dataset FROM effective_items e JOIN consents c ON c.id = e.consent_id
	WHERE e.root_run = $1 AND coalesce(e.outcome, '') NOT IN ('rows', 'empty') AND c.status = 'active'
	AND (NOT $2 AND NOT $3 OR $2 AND e.outcome = 'failed' OR $3 AND e.outcome = 'partial')
	AND ($4::text[] IS NULL OR e.class = ANY($4)) AND ($5::int8[] IS NULL OR e.consent_id = ANY($5))`

func (sel Selection) args(root int64) []any {
	var classes any
	if len(sel.Classes) > 0 {
		classes = sel.Classes
	}
	return []any{root, sel.Failed, sel.Partial, classes, consentsOrAll(sel.Consents)}
}

// cutRerun is cutRun for the unproven items of a run: those of one consent stay together.
const cutRerun = `WITH chosen AS (
	SELECT x.*, ((dense_rank() OVER (ORDER BY consent_id)) - 1) / $7 AS seq FROM (` + unproven + `) AS x
), cut AS (
	INSERT INTO batches (run_id, seq) SELECT DISTINCT $6::int8, seq::int4 FROM chosen ORDER BY 2 RETURNING id, seq
)
INSERT INTO items (batch_id, consent_id, dataset)
SELECT (SELECT array_agg(id ORDER BY seq) FROM cut)[chosen.seq + 1], chosen.consent_id, chosen.dataset FROM chosen`

// PlanRerun makes a run of those items of a settled run that are not proven complete. While a rerun of the same run
// is going, it gives that one, and created is false: two operators who press the button make one attempt.
func (s *Store) PlanRerun(ctx context.Context, spec RerunSpec, enqueue Enqueue) (run Run, created bool, err error) {
	var id int64
	err = s.inTx(ctx, fmt.Sprintf("plan a rerun of run %d", spec.OfRun), func(tx pgx.Tx) error {
		root, err := lockRoot(ctx, tx, spec.OfRun)
		if err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `SELECT id FROM runs WHERE of_run = $1 AND verdict IS NULL`, root.ID).Scan(&id)
		if err == nil || !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if root.Verdict == "" {
			return ErrUnsettled
		}
		if err := longStatement(ctx, tx); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, insertRun, root.Job, root.Connection, Rerun, time.Now(), root.ID, root.Datasets,
			nullDate(root.WindowFrom), nullDate(root.WindowTo), notNull(spec.Purposes)).Scan(&id); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, cutRerun, append(spec.Selection.args(root.ID), id, max(spec.BatchSize, 1))...)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrNothingToRerun
		}
		if _, err := tx.Exec(ctx, `UPDATE runs SET expected = $2 WHERE id = $1`, id, tag.RowsAffected()); err != nil {
			return err
		}
		created = true
		return ringAll(ctx, tx, id, enqueue)
	})
	if err != nil {
		return run, false, err
	}
	run, err = s.RunByID(ctx, id)
	return run, created, err
}

// lockRoot finds the root of a run's attempts and locks it, so that only one rerun is planned at a time.
func lockRoot(ctx context.Context, tx pgx.Tx, run int64) (Run, error) {
	var root Run
	var datasets []string
	var from, to *time.Time
	err := tx.QueryRow(ctx, `SELECT id, job, connection, datasets, window_from, window_to, coalesce(verdict, '') FROM runs
		WHERE id = (SELECT coalesce(of_run, id) FROM runs WHERE id = $1) FOR NO KEY UPDATE`, run).
		Scan(&root.ID, &root.Job, &root.Connection, &datasets, &from, &to, &root.Verdict)
	if errors.Is(err, pgx.ErrNoRows) {
		return root, fmt.Errorf("run %d: %w", run, ErrNotFound)
	}
	root.Datasets, root.WindowFrom, root.WindowTo = toDatasets(datasets), toDate(from), toDate(to)
	return root, err
}

// unreadAccounts counts the account by account streams of an item ch, and the accounts that no attempt at run $1 has read
// to the end: beside the list, a rerun asks for those alone.
const unreadAccounts = `SELECT count(c.consent_id) AS streams,
	count(*) FILTER (WHERE c.consent_id IS NULL OR c.mid_pass OR c.lacks IS NOT NULL OR NOT EXISTS (
		SELECT FROM runs r WHERE r.id = c.run_id AND (r.id = $1 OR r.of_run = $1))) AS unread
	FROM accounts a
	LEFT JOIN cursors c ON c.consent_id = a.consent_id
		AND c.dataset = ch.dataset
		AND c.account_id = a.account_id
		AND c.span = ''
	WHERE a.consent_id = ch.consent_id
	AND a.removed_at IS NULL
	AND ch.dataset = 'transactions'`

// RerunCost says what a rerun of a run would take, as far as the attempts so far tell. It writes nothing.
func (s *Store) RerunCost(ctx context.Context, run int64, sel Selection) (Cost, error) {
	root, err := s.RunByID(ctx, run)
	if err != nil {
		return Cost{}, err
	}
	if root.OfRun != 0 {
		run = root.OfRun
	}
	var c Cost
	err = s.pool.QueryRow(ctx, `WITH chosen AS (`+unproven+`), last AS (
			SELECT ch.consent_id, ch.dataset,
				CASE WHEN s.streams > 0 THEN 1 + s.unread ELSE greatest(1, e.pages) END AS pages
			FROM chosen ch
			JOIN effective_items e ON e.root_run = $1 AND e.consent_id = ch.consent_id AND e.dataset = ch.dataset
			CROSS JOIN LATERAL (`+unreadAccounts+`) s)
		SELECT count(DISTINCT consent_id), count(*), coalesce(sum(pages), 0),
			count(DISTINCT consent_id) FILTER (WHERE c.reads_per_day IS NOT NULL),
			count(DISTINCT consent_id) FILTER (WHERE c.reads_per_day <= (SELECT count(*) FROM consent_reads r
				WHERE r.consent_id = c.id AND r.at > now() - interval '24 hours 10 seconds'))
		FROM last JOIN consents c ON c.id = last.consent_id`, sel.args(run)...).
		Scan(&c.Consents, &c.Items, &c.Calls, &c.Budgeted, &c.Spent)
	if err != nil {
		return c, fmt.Errorf("reckon a rerun of run %d: %w", run, err)
	}
	err = s.pool.QueryRow(ctx, `SELECT count(DISTINCT e.consent_id) FROM effective_items e JOIN consents c ON c.id = e.consent_id
		WHERE e.root_run = $1 AND coalesce(e.outcome, '') NOT IN ('rows', 'empty') AND c.status <> 'active'`, run).Scan(&c.Ended)
	if err != nil {
		return c, fmt.Errorf("reckon a rerun of run %d: %w", run, err)
	}
	return c, nil
}
