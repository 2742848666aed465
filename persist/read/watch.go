package read

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// Watch looks at an open run again and again, for those who show how far it is. The items of a batch that is done are counted
// once, and the calls at intervals, so a look costs as much as the batches that are at work, however large the run is. What is
// changed afterwards in a batch that is done, such as an item whose removals were withheld, is told by Report.
//
// It belongs to one goroutine.
type Watch struct {
	store *Store
	run   int64

	expected map[finance.Dataset]int // of all batches; nil: nothing is counted yet
	done     map[int64]bool          // batches that are done and counted
	counted  map[finance.Dataset]Counts
	until    time.Time // by the database's clock: what was done then is counted

	calls    []ClassCount
	callsDue time.Time
}

// Watch makes a Watch of a run. It has not looked yet.
func (s *Store) Watch(run int64) *Watch {
	return &Watch{store: s, run: run, done: map[int64]bool{}, counted: map[finance.Dataset]Counts{}}
}

// Look is what is known of the run now, without the lists of items.
func (w *Watch) Look(ctx context.Context) (Report, error) {
	// The items come last: they are read by index, which holds for the rest of the transaction.
	return w.store.report(ctx, w.run, reportConnection, w.countCalls, reportPauses, reportBatches, reportUnworked, reportGuards,
		reportDrifts, w.countItems)
}

// callsRest is how many times as long as the last count of the calls has taken the next one is put off. A run's calls are found
// among those of its hours.
const callsRest = 50

func (w *Watch) countCalls(ctx context.Context, tx pgx.Tx, r *Report) error {
	began := time.Now()
	if r.Run.Verdict == "" && began.Before(w.callsDue) {
		r.ByClass = w.calls
		r.sumCalls()
		return nil
	}
	if err := reportCalls(ctx, tx, r); err != nil {
		return err
	}
	w.calls = r.ByClass
	w.callsDue = time.Now().Add(callsRest * time.Since(began))
	return nil
}

// commitsWithin is the longest time between the moment that a batch bears as its end and the commit of it.
const commitsWithin = time.Minute

// uncountedBatches are those that may have changed since the last look: a batch that nobody has claimed has no decided item.
const uncountedBatches = `SELECT id, state = 'done', clock_timestamp()
FROM batches
WHERE run_id = @run
AND (@first OR claims > 0 OR state = 'done')
AND (finished_at IS NULL OR finished_at > @until)`

const batchCounts = `SELECT i.batch_id, ` + outcomeCounts + `,
	` + recordSums + `
FROM unnest(@batches::bigint[]) AS b (id)
JOIN items i ON i.batch_id = b.id
GROUP BY i.batch_id, i.dataset`

// countItems counts those of the batches at work, and of those that were done since the last look.
func (w *Watch) countItems(ctx context.Context, tx pgx.Tx, r *Report) error {
	if r.Run.Verdict != "" {
		return reportCounts(ctx, tx, r)
	}
	first := w.expected == nil
	ended, now, err := w.uncounted(ctx, tx, first)
	if err != nil {
		return err
	}
	counts, err := countBatches(ctx, tx, slices.Collect(maps.Keys(ended)))
	if err != nil {
		return err
	}
	w.keep(counts, ended, first)
	w.until = now
	r.Counts = w.sum(counts, ended)
	return nil
}

// uncounted are the batches to count, each with whether it is done, and the moment of the look.
func (w *Watch) uncounted(ctx context.Context, tx pgx.Tx, first bool) (ended map[int64]bool, now time.Time, err error) {
	ended = map[int64]bool{}
	now = w.until
	rows, err := tx.Query(ctx, uncountedBatches, pgx.NamedArgs{
		"run": w.run, "first": first, "until": w.until.Add(-commitsWithin),
	})
	if err != nil {
		return nil, now, err
	}
	var batch int64
	var done bool
	_, err = pgx.ForEachRow(rows, []any{&batch, &done, &now}, func() error {
		if !w.done[batch] {
			ended[batch] = done
		}
		return nil
	})
	return ended, now, err
}

// batchCount is what one batch has of one dataset.
type batchCount struct {
	batch int64
	Counts
}

func countBatches(ctx context.Context, tx pgx.Tx, batches []int64) ([]batchCount, error) {
	if _, err := tx.Exec(ctx, pg.ByIndex); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, batchCounts, pgx.NamedArgs{"batches": batches})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c batchCount, err error) {
		err = row.Scan(append([]any{&c.batch}, append(c.outcomes(), c.sums()...)...)...)
		return c, err
	})
}

// keep remembers what has come to its end.
func (w *Watch) keep(counts []batchCount, ended map[int64]bool, first bool) {
	if first {
		w.expected = map[finance.Dataset]int{}
	}
	for _, c := range counts {
		if first {
			w.expected[c.Dataset] += c.Expected
		}
		if ended[c.batch] {
			w.counted[c.Dataset] = w.counted[c.Dataset].plus(c.Counts)
		}
	}
	for batch, done := range ended {
		if done {
			w.done[batch] = true
		}
	}
}

// sum is what has come to its end and what is at work, beside all that is expected.
func (w *Watch) sum(counts []batchCount, ended map[int64]bool) []Counts {
	now := map[finance.Dataset]Counts{}
	for d := range w.expected {
		now[d] = w.counted[d]
	}
	for _, c := range counts {
		if !ended[c.batch] {
			now[c.Dataset] = now[c.Dataset].plus(c.Counts)
		}
	}
	var list []Counts
	for _, d := range []finance.Dataset{finance.Accounts, finance.Transactions, finance.Debts} {
		c, has := now[d]
		if !has {
			continue
		}
		decided := c.Expected - c.Missing
		c.Dataset = d
		c.Expected = w.expected[d]
		c.Missing = c.Expected - decided
		list = append(list, c)
	}
	return list
}

// plus adds what another batch has of the same dataset.
func (c Counts) plus(o Counts) Counts {
	c.Expected += o.Expected
	c.Rows += o.Rows
	c.Empty += o.Empty
	c.Partial += o.Partial
	c.Excused += o.Excused
	c.Failed += o.Failed
	c.Missing += o.Missing
	c.Rejected += o.Rejected
	c.Records = c.Records.plus(o.Records)
	c.Figures = c.Figures.plus(o.Figures)
	return c
}

func (r Records) plus(o Records) Records {
	r.Read += o.Read
	r.Inserted += o.Inserted
	r.Updated += o.Updated
	r.Removed += o.Removed
	return r
}
