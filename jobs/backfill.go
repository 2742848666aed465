package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/plan"
	"syncer/persist/queue"
)

// Window is a range of days, both included.
type Window struct{ From, To finance.Date }

// Windows cuts a range into pieces of at most the given number of days, oldest first.
func Windows(from, to finance.Date, days int) []Window {
	var cut []Window
	for from <= to {
		end := min(from.AddDays(days-1), to)
		cut = append(cut, Window{from, end})
		from = end.AddDays(1)
	}
	return cut
}

// ErrNoDays is for a backfill of a job whose datasets are told as they stand today: no window of days
// would change what is asked for.
var ErrNoDays = errors.New("none of its datasets lies in days: a backfill is for transactions")

// ErrReadsWhole is for a backfill over an API that takes no days: each window would read everything.
var ErrReadsWhole = errors.New("its API takes no range of days, so every window would read everything there is")

// BackfillSpec says what a backfill is to read.
type BackfillSpec struct {
	Windows  []Window // oldest first
	Consents []int64  // only these; empty: all of the job's connection
	Again    bool     // also what is proven already
	// LeavesReads is how many of a consent's reads of a day are left to other runs, see ReadsADay.
	LeavesReads int
}

// BackfillPlan is what became of a backfill's windows.
type BackfillPlan struct {
	Runs    []queue.Run // to follow, oldest first: one of each window, or more where some consents came later
	Ready   int         // windows that are proven for every consent
	Later   []Window    // windows that were not planned: no read of the day is left for what is missing of them
	Reads   plan.ReadsLeft
	Planned int // windows with a run
}

// Backfill plans a run of the job's transactions for each window, of the consents that miss it, or goes
// on with those that have no verdict yet. Their streams have cursors of their own, so a backfill
// neither moves nor waits for the nightly watermark.
//
// Where every consent has a number of reads a day, only so many windows are planned as can be read today.
func (e *Engine) Backfill(ctx context.Context, job Job, b BackfillSpec) (plan BackfillPlan, err error) {
	if err := e.takesDays(job); err != nil {
		return plan, err
	}
	if err := e.refreshConsents(ctx, job.Connection); err != nil {
		return plan, err
	}
	if _, err := e.Store.Consents.Expire(ctx); err != nil {
		return plan, err
	}
	spec := b.run(job)
	if plan.Reads, err = e.Store.Plan.ReadsLeft(ctx, spec); err != nil {
		return plan, err
	}
	zone := cmp.Or(e.connections[job.Connection].Zone, time.UTC)
	for _, w := range b.Windows {
		mayRead := !plan.Reads.Bounded || plan.Planned < plan.Reads.Reads
		spec.ScheduledFor = time.Now()
		spec.WindowFrom = w.From
		spec.WindowTo = w.To
		spec.WindowOver = w.To.AddDays(1).StartIn(zone)
		found, err := e.Store.Plan.Window(ctx, spec, b.Again, mayRead, e.waker.enqueue(job.Name, true))
		if err != nil {
			return plan, err
		}
		if err := e.tellPlanned(ctx, found.Runs); err != nil {
			return plan, err
		}
		plan.Runs = append(plan.Runs, found.Runs...)
		switch {
		case len(found.Runs) > 0:
			plan.Planned++
		case found.Missing > 0:
			plan.Later = append(plan.Later, w)
		default:
			plan.Ready++
		}
	}
	return plan, nil
}

// run is what the runs of a backfill's windows have in common.
func (b BackfillSpec) run(job Job) plan.RunSpec {
	return plan.RunSpec{
		Job: job.Name, Connection: job.Connection, Kind: queue.Backfill,
		Datasets: []finance.Dataset{finance.Transactions}, BatchSize: job.BatchSize, Purposes: job.Purposes, Consents: b.Consents, LeavesReads: b.LeavesReads,
	}
}

// BackfillReads says what a backfill may ask for now, where its consents have a number of reads a day.
func (e *Engine) BackfillReads(ctx context.Context, job Job, b BackfillSpec) (plan.ReadsLeft, error) {
	return e.Store.Plan.ReadsLeft(ctx, b.run(job))
}

// takesDays says why a backfill of the job is no use, or nothing.
func (e *Engine) takesDays(job Job) error {
	if !slices.Contains(job.Datasets, finance.Transactions) {
		return fmt.Errorf("backfill %s: %w", job.Name, ErrNoDays)
	}
	taker, tells := e.connections[job.Connection].Connector.(fetch.DayTaker)
	if tells && !taker.TakesDays(finance.Transactions) {
		return fmt.Errorf("backfill %s: %w. Read it all once instead: `syncer streams reset --connection %s "+
			"--dataset transactions --yes`, then `syncer run %s`", job.Name, ErrReadsWhole, job.Connection, job.Name)
	}
	return nil
}

// tellPlanned tells the log of a window's runs, and settles one without consents: it has nothing to wait for.
func (e *Engine) tellPlanned(ctx context.Context, runs []queue.Run) error {
	for _, run := range runs {
		e.Log.Info().Int64("run", run.ID).Str("job", run.Job).Str("kind", string(run.Kind)).
			Stringer("from", run.WindowFrom).Stringer("to", run.WindowTo).Int("items", run.Expected).Msg("window planned")
		if err := e.settle(ctx, run.ID); err != nil {
			return err
		}
	}
	return nil
}

// ReadsADay is how many reads the jobs of a connection take of each consent in the day that begins now:
// one for each of their datasets, each time that they fire. A job without a schedule counts as fired
// once: something outside fires it.
//
// A backfill leaves these alone. It can wait for another day; what a night does not read may be gone
// the next.
func ReadsADay(jobs []Job, now time.Time) (reads int) {
	const most = 1000 // of one job; no consent has so many reads a day
	for i := range jobs {
		fires := 1
		if jobs[i].Schedule != nil {
			_, fires = jobs[i].Schedule.Between(now, now.Add(24*time.Hour), most)
		}
		reads += fires * len(jobs[i].Datasets)
	}
	return reads
}
