package plan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
	"syncer/persist/queue"
)

// overlapping counts the items of a run to come that open runs of the same job have not decided yet. They are left to
// those: each will be decided by calls that are made after this run's time, so nothing is lost, while ticks that pass
// behind a closed gate would otherwise pile up and ask for everybody once a tick when it opens.
const overlapping = `SELECT count(*)
	FROM undecided_items(@job) u
	JOIN consents c ON c.id = u.consent_id
	WHERE u.dataset = ANY (@datasets)
	AND c.connection = @connection
	AND (@consents::int8[] IS NULL OR c.id = ANY (@consents))
	AND consent_usable(c, now(), @purposes)`

// cutRun numbers the consents that the run works, cuts them into batches, and writes an item for each consent and
// dataset that none of the runs @keepers keeps: it has not decided it, or has done so since @since. An item
// finds its batch by its place in an array and not by a join: the planner knows nothing of the size of
// either side, and its nested loop took half a minute for 100,000 consents.
const cutRun = `WITH free AS (
	SELECT c.id, d AS dataset
	FROM consents c
	CROSS JOIN unnest(@datasets::text[]) AS d
	WHERE c.connection = @connection
	AND (@consents::int8[] IS NULL OR c.id = ANY (@consents))
	AND consent_usable(c, now(), @purposes)
	AND NOT EXISTS (
		SELECT FROM kept_items_of(@keepers, @since) u
		WHERE u.consent_id = c.id
		AND u.dataset = d
	)
), chosen AS (
	SELECT id, dataset, (dense_rank() OVER (ORDER BY id) - 1) / @size AS seq
	FROM free
), cut AS (
	INSERT INTO batches (run_id, seq)
	SELECT DISTINCT @run::int8, seq::int4
	FROM chosen
	ORDER BY 2
	RETURNING id, seq
)
INSERT INTO items (batch_id, consent_id, dataset)
SELECT (SELECT array_agg(id ORDER BY seq) FROM cut)[chosen.seq + 1], id, dataset
FROM chosen`

// notePlan writes how many items there are, which the verdict must account for, and how many consents were left out. A
// run without items has nothing to wait for. It is partial: nothing is read by it.
const notePlan = `UPDATE runs SET
		expected = @items::int4,
		overlapped = @overlapped::int4,
		verdict = CASE WHEN @items = 0 THEN 'partial' END,
		settled_at = CASE WHEN @items = 0 THEN clock_timestamp() END,
		skipped = (
			SELECT count(*)
			FROM consents c
			WHERE c.connection = @connection
			AND (@consents::int8[] IS NULL OR c.id = ANY (@consents))
			AND NOT consent_usable(c, now(), @purposes)
		)
	WHERE id = @run`

// Run makes a run with its batches and items, and rings for the batches, in one transaction. A tick
// that has its run already gives that one, and created is false. Any other run is always made: where
// another run of the job has its nominal time, it gets the next free one, see insertAside.
func (s *Store) Run(ctx context.Context, spec RunSpec, enqueue Enqueue) (run queue.Run, created bool, err error) {
	if err := spec.check(); err != nil {
		return run, false, err
	}
	var id int64
	err = s.db.InTx(ctx, "plan a run of "+spec.Job, func(tx pgx.Tx) error {
		if err := pg.LongStatement(ctx, tx); err != nil {
			return err
		}
		if spec.leavesOpen() { // of two ticks at once one must see what the other has planned
			if err := pg.TakeTurn(ctx, tx, planTurn(spec.Job)); err != nil {
				return err
			}
		}
		var err error
		if id, created, err = insertPlanned(ctx, tx, spec); err != nil || !created {
			return err
		}
		return fillRun(ctx, tx, id, spec, enqueue)
	})
	if errors.Is(err, errNothingBeside) {
		return run, false, nil
	}
	if err != nil {
		return run, false, err
	}
	run, err = queue.LoadRun(ctx, s.db, id)
	return run, created, err
}

// errNothingBeside rolls a run back for which the open ones have left nothing.
var errNothingBeside = errors.New("the open runs of the job keep everything")

// leavesOpen says whether open runs of the job keep what they are at.
func (spec *RunSpec) leavesOpen() bool { return spec.Kind == queue.Scheduled || !spec.Beside.IsZero() }

// fillRun gives a run that was just made its batches and items, and rings for them.
func fillRun(ctx context.Context, tx pgx.Tx, id int64, spec RunSpec, enqueue Enqueue) error {
	args := pgx.NamedArgs{
		"run":        id,
		"job":        spec.Job,
		"connection": spec.Connection,
		"datasets":   spec.Datasets,
		"consents":   pg.NullIDs(spec.Consents),
		"purposes":   pg.NotNull(spec.Purposes),
		"size":       spec.BatchSize,
		"keepers":    nil,
		"since":      nil,
		"seen":       pg.NullIDs(spec.seen),
	}
	overlapped := 0
	if spec.leavesOpen() {
		if err := tx.QueryRow(ctx, overlapping, args).Scan(&overlapped); err != nil {
			return err
		}
	}
	if overlapped > 0 || !spec.Beside.IsZero() {
		keepers, err := pg.IDs(ctx, tx, keepingRuns, args)
		if err != nil {
			return err
		}
		args["keepers"] = keepers
	}
	if !spec.Beside.IsZero() {
		args["since"] = spec.Beside
	}
	if _, err := tx.Exec(ctx, pg.JoinByHash); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, cutRun, args)
	if err != nil {
		return err
	}
	if !spec.Beside.IsZero() && tag.RowsAffected() == 0 {
		return errNothingBeside
	}
	args["items"], args["overlapped"] = tag.RowsAffected(), overlapped
	if _, err := tx.Exec(ctx, notePlan, args); err != nil {
		return err
	}
	return ringAll(ctx, tx, id, enqueue)
}

// wakeChunk is how many batches workers are woken for at once, so that planning needs the same memory for any number.
const wakeChunk = 1000

func ringAll(ctx context.Context, tx pgx.Tx, run int64, enqueue Enqueue) error {
	for after := -1; ; {
		rows, err := tx.Query(ctx, `SELECT id, run_id, seq FROM batches WHERE run_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`,
			run, after, wakeChunk)
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

// Args are the parameters of unproven_items, of a root run.
func (sel Selection) Args(root int64) pgx.NamedArgs {
	var classes any
	if len(sel.Classes) > 0 {
		classes = sel.Classes
	}
	return pgx.NamedArgs{
		"root":     root,
		"failed":   sel.Failed,
		"partial":  sel.Partial,
		"classes":  classes,
		"consents": pg.NullIDs(sel.Consents),
	}
}

// cutRerun is cutRun for the unproven items of a run: those of one consent stay together.
const cutRerun = `WITH chosen AS (
	SELECT u.consent_id, u.dataset, (dense_rank() OVER (ORDER BY u.consent_id) - 1) / @size AS seq
	FROM unproven_items(@root, @failed, @partial, @classes, @consents) u
), cut AS (
	INSERT INTO batches (run_id, seq)
	SELECT DISTINCT @run::int8, seq::int4
	FROM chosen
	ORDER BY 2
	RETURNING id, seq
)
INSERT INTO items (batch_id, consent_id, dataset)
SELECT (SELECT array_agg(id ORDER BY seq) FROM cut)[chosen.seq + 1], chosen.consent_id, chosen.dataset
FROM chosen`

// Rerun makes a run of those items of a settled run that are not proven complete. While a rerun of the same run
// is going, it gives that one, and created is false: two operators who press the button make one attempt.
func (s *Store) Rerun(ctx context.Context, spec RerunSpec, enqueue Enqueue) (run queue.Run, created bool, err error) {
	var id int64
	err = s.db.InTx(ctx, fmt.Sprintf("plan a rerun of run %d", spec.OfRun), func(tx pgx.Tx) (err error) {
		id, created, err = planRerun(ctx, tx, spec, enqueue)
		return err
	})
	if err != nil {
		return run, false, err
	}
	run, err = queue.LoadRun(ctx, s.db, id)
	return run, created, err
}

func planRerun(ctx context.Context, tx pgx.Tx, spec RerunSpec, enqueue Enqueue) (id int64, created bool, err error) {
	root, err := lockRoot(ctx, tx, spec.OfRun)
	if err != nil {
		return 0, false, err
	}
	err = tx.QueryRow(ctx, `SELECT id FROM runs WHERE of_run = $1 AND verdict IS NULL`, root.ID).Scan(&id)
	if err == nil || !errors.Is(err, pgx.ErrNoRows) {
		return id, false, err
	}
	if root.Verdict == "" {
		return 0, false, ErrUnsettled
	}
	if err := pg.LongStatement(ctx, tx); err != nil {
		return 0, false, err
	}
	again := RunSpec{Job: root.Job, Connection: root.Connection, Kind: queue.Rerun, ScheduledFor: time.Now(),
		Datasets: root.Datasets, WindowFrom: root.WindowFrom, WindowTo: root.WindowTo, Purposes: spec.Purposes,
		LeavesReads: root.LeavesReads}
	if id, err = insertAside(ctx, tx, again, root.ID); err != nil {
		return 0, false, err
	}
	args := spec.Selection.Args(root.ID)
	args["run"], args["size"] = id, max(spec.BatchSize, 1)
	tag, err := tx.Exec(ctx, cutRerun, args)
	if err != nil {
		return 0, false, err
	}
	if tag.RowsAffected() == 0 {
		return 0, false, ErrNothingToRerun
	}
	if _, err := tx.Exec(ctx, `UPDATE runs SET expected = $2 WHERE id = $1`, id, tag.RowsAffected()); err != nil {
		return 0, false, err
	}
	return id, true, ringAll(ctx, tx, id, enqueue)
}

// lockRoot finds the root of a run's attempts and locks it, so that only one rerun is planned at a time.
func lockRoot(ctx context.Context, tx pgx.Tx, run int64) (queue.Run, error) {
	var root queue.Run
	var datasets []string
	var from, to *time.Time
	err := tx.QueryRow(ctx, `SELECT id, job, connection, datasets, window_from, window_to, leaves_reads,
		coalesce(verdict, '') FROM runs
		WHERE id = (SELECT coalesce(of_run, id) FROM runs WHERE id = $1) FOR NO KEY UPDATE`, run).
		Scan(&root.ID, &root.Job, &root.Connection, &datasets, &from, &to, &root.LeavesReads,
			&root.Verdict)
	if errors.Is(err, pgx.ErrNoRows) {
		return root, fmt.Errorf("run %d: %w", run, pg.ErrNotFound)
	}
	root.Datasets = pg.ToDatasets(datasets)
	root.WindowFrom = pg.ToDate(from)
	root.WindowTo = pg.ToDate(to)
	return root, err
}
