package plan

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
	"syncer/persist/queue"
)

// A job has one run for a nominal time, which is what keeps any number of processes from firing a tick
// twice. Ticks are whole seconds. A run that no tick has asked for must not take such a time: the tick
// would find a run and count as fired. So its nominal time lies beside the second, and two that were
// begun in one moment lie beside each other.

const insertRun = `INSERT INTO runs (job, connection, kind, scheduled_for, of_run, datasets, window_from, window_to,
		purposes, leaves_reads)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
	ON CONFLICT (job, scheduled_for) DO NOTHING
	RETURNING id`

// insertPlanned makes the row of a run. created is false where a tick has its run already, which id names.
func insertPlanned(ctx context.Context, tx pgx.Tx, spec RunSpec) (id int64, created bool, err error) {
	if spec.Kind != queue.Scheduled {
		id, err = insertAside(ctx, tx, spec, 0)
		return id, err == nil, err
	}
	for at := spec.ScheduledFor; ; at = at.Add(time.Microsecond) {
		if id, created, err = tryInsert(ctx, tx, spec, at, 0); created || err != nil {
			return id, created, err
		}
		var kind queue.RunKind
		err = tx.QueryRow(ctx, `SELECT id, kind FROM runs WHERE job = $1 AND scheduled_for = $2`, spec.Job, at).
			Scan(&id, &kind)
		// Older programs gave whole seconds to other runs too. The tick beside such a run is found here again.
		if kind == queue.Scheduled || err != nil {
			return id, false, err
		}
	}
}

// insertAside makes the row of a run that no tick has asked for, at the first free nominal time from
// its own on that is not a tick's. It is always made, or there is an error.
func insertAside(ctx context.Context, tx pgx.Tx, spec RunSpec, ofRun int64) (id int64, err error) {
	for at := spec.ScheduledFor.Truncate(time.Microsecond); ; at = at.Add(time.Microsecond) {
		if at.Nanosecond() == 0 {
			at = at.Add(time.Microsecond)
		}
		id, created, err := tryInsert(ctx, tx, spec, at, ofRun)
		if created || err != nil {
			return id, err
		}
	}
}

func tryInsert(ctx context.Context, tx pgx.Tx, spec RunSpec, at time.Time, ofRun int64) (
	id int64, created bool, err error) {
	var root *int64
	if ofRun != 0 {
		root = &ofRun
	}
	err = tx.QueryRow(ctx, insertRun, spec.Job, spec.Connection, spec.Kind, at, root, spec.Datasets,
		pg.NullDate(spec.WindowFrom), pg.NullDate(spec.WindowTo), pg.NotNull(spec.Purposes), spec.LeavesReads).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, nil
	}
	return id, err == nil, err
}
