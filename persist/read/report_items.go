package read

import (
	"context"
	"time"

	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/queue"

	"github.com/jackc/pgx/v5"
)

// reportedArgs are the parameters of reported_items. A rerun is reported as it is. So is a run without reruns: to look for what
// stands after them sorts all of its items, each time, and of a million that takes seconds.
func reportedArgs(ctx context.Context, tx pgx.Tx, run queue.Run) (pgx.NamedArgs, error) {
	own := run.Kind == queue.Rerun
	if !own {
		const alone = `SELECT NOT EXISTS (SELECT FROM runs WHERE of_run = $1)`
		if err := tx.QueryRow(ctx, alone, run.ID).Scan(&own); err != nil {
			return nil, err
		}
	}
	return pgx.NamedArgs{"run": run.ID, "own": own}, nil
}

// outcomeCounts are of the items of one dataset. See Counts.outcomes.
const outcomeCounts = `dataset,
	count(*),
	count(*) FILTER (WHERE outcome = 'rows'),
	count(*) FILTER (WHERE outcome = 'empty'),
	count(*) FILTER (WHERE outcome = 'partial'),
	count(*) FILTER (WHERE outcome = 'excused'),
	count(*) FILTER (WHERE outcome = 'failed'),
	count(*) FILTER (WHERE outcome IS NULL),
	coalesce(sum(quarantined), 0)`

func (c *Counts) outcomes() []any {
	return []any{&c.Dataset, &c.Expected, &c.Rows, &c.Empty, &c.Partial, &c.Excused, &c.Failed, &c.Missing, &c.Rejected}
}

const itemCounts = `SELECT ` + outcomeCounts + `
FROM reported_items(@run, @own)
GROUP BY dataset
ORDER BY array_position(ARRAY['accounts', 'transactions', 'debt'], dataset)`

// recordSums are of the items of one dataset. See Counts.sums.
const recordSums = `sum(i.records),
	sum(i.inserted),
	sum(i.updated),
	sum(i.removed),
	sum(i.figures),
	sum(i.figures_inserted),
	sum(i.figures_updated),
	sum(i.figures_removed)`

func (c *Counts) sums() []any {
	n, f := &c.Records, &c.Figures
	return []any{&n.Read, &n.Inserted, &n.Updated, &n.Removed, &f.Read, &f.Inserted, &f.Updated, &f.Removed}
}

// recordCounts are those of all attempts: what a rerun finds in the table, the run before it has put there.
const recordCounts = `SELECT i.dataset,
	` + recordSums + `
FROM runs r
JOIN batches b ON b.run_id = r.id
JOIN items i ON i.batch_id = b.id
WHERE r.id = @run
OR r.of_run = @run AND NOT @own
GROUP BY i.dataset`

// countRecords adds to the counts of the items what was read, and what became of it.
func countRecords(ctx context.Context, tx pgx.Tx, r *Report, reported pgx.NamedArgs) error {
	rows, err := tx.Query(ctx, recordCounts, reported)
	if err != nil {
		return err
	}
	var c Counts
	_, err = pgx.ForEachRow(rows, append([]any{&c.Dataset}, c.sums()...), func() error {
		for i := range r.Counts {
			if r.Counts[i].Dataset == c.Dataset {
				r.Counts[i].Records = c.Records
				r.Counts[i].Figures = c.Figures
			}
		}
		return nil
	})
	return err
}

const slowestItems = `SELECT batch_id, consent_id, ` + externalID + `, dataset, finished_at - started_at, pages
FROM reported_items(@run, @own)
WHERE finished_at IS NOT NULL
AND started_at IS NOT NULL
ORDER BY 5 DESC, 2
LIMIT 10`

func scanCounts(row pgx.CollectableRow) (c Counts, err error) {
	err = row.Scan(c.outcomes()...)
	return c, err
}

func reportCounts(ctx context.Context, tx pgx.Tx, r *Report) error {
	reported, err := reportedArgs(ctx, tx, r.Run)
	if err != nil {
		return err
	}
	rows, err := tx.Query(ctx, itemCounts, reported)
	if err != nil {
		return err
	}
	if r.Counts, err = pgx.CollectRows(rows, scanCounts); err != nil {
		return err
	}
	if err := countRecords(ctx, tx, r, reported); err != nil {
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
	args, err := reportedArgs(ctx, tx, r.Run)
	if err != nil {
		return err
	}
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

// externalID is the provider's id of the consent of an item, for people who don't know ours.
const externalID = `coalesce((SELECT c.external_id FROM consents c WHERE c.id = consent_id), '')`

// openColumns are what scanOpenItem reads.
const openColumns = `run_id,
	batch_id,
	consent_id,
	` + externalID + `,
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
	err = row.Scan(&i.Run, &i.Batch, &i.Consent, &i.External, &i.Dataset, &i.Outcome, &i.Class, &i.Reason, &i.Correlation, &call, &at)
	if call != nil {
		i.Call = finance.CallID(*call)
	}
	i.At = pg.OrZero(at)
	return i, err
}
