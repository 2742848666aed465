package read

import (
	"context"
	"time"

	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/queue"

	"github.com/jackc/pgx/v5"
)

// reportedArgs are the parameters of reported_items: a rerun is reported as it is.
func reportedArgs(run queue.Run) pgx.NamedArgs {
	return pgx.NamedArgs{"run": run.ID, "own": run.Kind == queue.Rerun}
}

const itemCounts = `SELECT dataset,
	count(*),
	count(*) FILTER (WHERE outcome = 'rows'),
	count(*) FILTER (WHERE outcome = 'empty'),
	count(*) FILTER (WHERE outcome = 'partial'),
	count(*) FILTER (WHERE outcome = 'excused'),
	count(*) FILTER (WHERE outcome = 'failed'),
	count(*) FILTER (WHERE outcome IS NULL),
	coalesce(sum(records), 0),
	coalesce(sum(inserted), 0),
	coalesce(sum(updated), 0),
	coalesce(sum(removed), 0),
	coalesce(sum(quarantined), 0)
FROM reported_items(@run, @own)
GROUP BY dataset
ORDER BY array_position(ARRAY['accounts', 'transactions', 'debt'], dataset)`

const slowestItems = `SELECT batch_id, consent_id, dataset, finished_at - started_at, pages
FROM reported_items(@run, @own)
WHERE finished_at IS NOT NULL
AND started_at IS NOT NULL
ORDER BY 4 DESC, 2
LIMIT 10`

func reportCounts(ctx context.Context, tx pgx.Tx, r *Report) error {
	rows, err := tx.Query(ctx, itemCounts, reportedArgs(r.Run))
	if err != nil {
		return err
	}
	if r.Counts, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Counts]); err != nil {
		return err
	}
	rows, err = tx.Query(ctx, `SELECT id FROM runs WHERE of_run = $1 ORDER BY id`, r.Run.ID)
	if err != nil {
		return err
	}
	r.Reruns, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	return err
}

func reportItems(ctx context.Context, tx pgx.Tx, r *Report) error {
	args := reportedArgs(r.Run)
	args["most"] = reportedItems
	rows, err := tx.Query(ctx, slowestItems, args)
	if err != nil {
		return err
	}
	if r.Slowest, err = pgx.CollectRows(rows, pgx.RowToStructByPos[SlowItem]); err != nil {
		return err
	}
	rows, err = tx.Query(ctx, notComplete+` LIMIT @most`, args)
	if err != nil {
		return err
	}
	if r.NotComplete, err = pgx.CollectRows(rows, scanOpenItem); err != nil {
		return err
	}
	rows, err = tx.Query(ctx, withheldItems+` LIMIT @most`, args)
	if err != nil {
		return err
	}
	if r.Withheld, err = pgx.CollectRows(rows, scanOpenItem); err != nil {
		return err
	}
	if r.Causes, err = groupItems(ctx, tx, openItem+` WHERE `+isNotComplete, args); err != nil {
		return err
	}
	r.WithheldCauses, err = groupItems(ctx, tx, openItem+` WHERE `+isWithheld, args)
	return err
}

// reportedItems bounds Report.NotComplete and Report.Withheld: people read them.
const reportedItems = 1000

// openColumns are what scanOpenItem reads.
const openColumns = `run_id,
	batch_id,
	consent_id,
	dataset,
	coalesce(outcome, ''),
	coalesce(class, ''),
	coalesce(reason, ''),
	coalesce(correlation_id, ''),
	call_id,
	finished_at`

const openItem = `SELECT ` + openColumns + ` FROM reported_items(@run, @own)`

const isNotComplete = `coalesce(outcome, '') NOT IN ('rows', 'empty')`

const isWithheld = `outcome IN ('rows', 'empty') AND class = 'withheld'`

const (
	notComplete = openItem + ` WHERE ` + isNotComplete + `
		ORDER BY array_position(ARRAY['failed', 'partial', 'excused'], outcome), consent_id, dataset`
	withheldItems = openItem + ` WHERE ` + isWithheld + ` ORDER BY consent_id, dataset`
)

func scanOpenItem(row pgx.CollectableRow) (i OpenItem, err error) {
	var call *[16]byte
	var at *time.Time
	err = row.Scan(&i.Run, &i.Batch, &i.Consent, &i.Dataset, &i.Outcome, &i.Class, &i.Reason, &i.Correlation, &call, &at)
	if call != nil {
		i.Call = finance.CallID(*call)
	}
	i.At = pg.OrZero(at)
	return i, err
}
