package jobs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"syncer/finance"
	"syncer/persist"
	"syncer/persist/queue"
	"syncer/persist/read"
)

// A job's history says how far back a first load goes. When it is raised later nothing older is read by itself: a stream
// goes on behind its position. That is said, with what a backfill of those days costs.

// Since is the first day of the job's history on a day.
func (j *Job) Since(today finance.Date) finance.Date { return today.AddDays(-j.History) }

// HistoryGap says what of the job's history, as it is configured today, its streams were never asked for. zone is the
// calendar of the job's connection; nil: UTC.
func (j *Job) HistoryGap(ctx context.Context, store *persist.Store, zone *time.Location) (read.HistoryGap, error) {
	if !slices.Contains(j.Datasets, finance.Transactions) {
		return read.HistoryGap{}, nil
	}
	over := Connection{Zone: zone}
	return store.Read.HistoryGap(ctx, j.Connection, j.Since(over.today(time.Now())), j.Purposes)
}

// HistoryAdvice is one line about a gap in a job's history, for the operator: what was never asked for, what reads it, and
// what that costs.
func HistoryAdvice(job string, g read.HistoryGap) string {
	noun := "streams were"
	if g.Streams == 1 {
		noun = "stream was"
	}
	return fmt.Sprintf("history was raised after the first load: %d %s never asked for days from %s to %s; "+
		"`syncer backfill %s --from %s --to %s` reads them with at least %d calls",
		g.Streams, noun, g.From, g.To, job, g.From, g.To, g.Calls())
}

// tellHistory warns once a run, when it is settled. Backfills and reruns say nothing: the job's own run has.
func (e *Engine) tellHistory(ctx context.Context, id int64) {
	if err := e.compareHistory(ctx, id); err != nil {
		e.Log.Warn().Err(err).Int64("run", id).Msg("whether history was raised since the first load is not known")
	}
}

func (e *Engine) compareHistory(ctx context.Context, id int64) error {
	run, err := e.Store.Queue.RunByID(ctx, id)
	if err != nil {
		return err
	}
	job, known := e.jobs[run.Job]
	if !known || run.Kind == queue.Backfill || run.Kind == queue.Rerun {
		return nil
	}
	gap, err := job.HistoryGap(ctx, e.Store, e.connections[job.Connection].Zone)
	if err != nil {
		return err
	}
	if gap.Streams == 0 {
		return nil
	}
	e.Log.Warn().Int64("run", id).Str("job", job.Name).Int("streams", gap.Streams).Stringer("from", gap.From).
		Stringer("to", gap.To).Int("calls", gap.Calls()).Msg(HistoryAdvice(job.Name, gap))
	return nil
}
