package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"github.com/rs/zerolog"

	"syncer/persist/pg"
	"syncer/persist/plan"
	"syncer/persist/queue"
)

// wakeEvery is how often a worker may be woken for the same batch under the same fence. A wake-up can be lost: a process that
// dies after River gave it the job and before it claimed the batch leaves a River job that looks busy for an hour.
const wakeEvery = 10 * time.Second

// backfillPriority is the lowest of River's four priorities.
const backfillPriority = 4

// wakeUp tells a worker that a batch may be claimed. The batch's row is the truth: a worker that finds it claimed,
// done or parked goes back to sleep.
type wakeUp struct {
	Batch int64 `json:"batch"`
	Fence int64 `json:"fence"` // as it stood when the worker was woken
	Ring  int64 `json:"ring"`  // time in units of wakeEvery, so that a lost wake-up is sent again
}

// Kind names the wake-up in River's tables.
func (wakeUp) Kind() string { return "batch" }

// newWakeUp makes the River job for one batch. Its queue is its job's name, so that a process can serve some jobs only
// and each job has slots of its own. It is tried once: leases, fences and the sweep are the retry.
//
// Wake-ups for backfills are answered last: a night must not wait until a hundred windows have been looked at.
func newWakeUp(job string, backfill bool, batch, fence int64, at time.Time) river.InsertManyParams {
	priority := river.PriorityDefault
	if backfill {
		priority = backfillPriority
	}
	return river.InsertManyParams{
		Args: wakeUp{Batch: batch, Fence: fence, Ring: at.UnixNano() / int64(wakeEvery)},
		InsertOpts: &river.InsertOpts{
			Queue:       job,
			MaxAttempts: 1,
			Priority:    priority,
			UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
				rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning, rivertype.JobStateScheduled,
			}},
		},
	}
}

// waker is the River client of this process.
type waker struct {
	client *river.Client[pgx.Tx]
	works  bool // it answers wake-ups; a client that only plans never starts
}

// newWaker makes the River client. With no jobs it wakes others and does not answer.
func newWaker(pool *pgxpool.Pool, jobs []string, slots int, log zerolog.Logger, work func(context.Context, int64) error) (*waker, error) {
	config := &river.Config{
		Schema: pg.SchemaOf(pool), // each installation has a queue of its own
		Logger: slog.New(riverLog{zerolog.NewSlogHandler(log.Level(max(log.GetLevel(), zerolog.WarnLevel)))}),
		// The defaults fetch at most MaxWorkers jobs every 100 ms and poll once a second. Wake-ups are few and short
		// of nothing but time, so both are tightened.
		FetchCooldown:     20 * time.Millisecond,
		FetchPollInterval: 500 * time.Millisecond,
		// A batch may take hours, under a lease of its own. River must neither cancel it nor give it to a second
		// worker: what it calls stuck is found by the sweep, by the lease, much earlier.
		JobTimeout:           -1,
		RescueStuckJobsAfter: 7 * 24 * time.Hour,
	}
	if len(jobs) > 0 {
		config.Queues = make(map[string]river.QueueConfig, len(jobs))
		for _, job := range jobs {
			config.Queues[job] = river.QueueConfig{MaxWorkers: slots}
		}
		config.Workers = river.NewWorkers()
		river.AddWorker(config.Workers, river.WorkFunc(func(ctx context.Context, j *river.Job[wakeUp]) error {
			return work(ctx, j.Args.Batch)
		}))
	}
	client, err := river.NewClient(riverpgxv5.New(pool), config)
	if err != nil {
		return nil, fmt.Errorf("make the River client: %w", err)
	}
	return &waker{client: client, works: len(jobs) > 0}, nil
}

// enqueue wakes workers for freshly planned batches of a job, in the planning transaction.
func (b *waker) enqueue(job string, backfill bool) plan.Enqueue {
	return func(ctx context.Context, tx pgx.Tx, batches []plan.BatchRef) error {
		params := make([]river.InsertManyParams, len(batches))
		now := time.Now()
		for i, ref := range batches {
			params[i] = newWakeUp(job, backfill, ref.ID, 0, now)
		}
		if _, err := b.client.InsertManyTx(ctx, tx, params); err != nil {
			return fmt.Errorf("wake workers for %d batches of %s: %w", len(batches), job, err)
		}
		return nil
	}
}

// again wakes workers for batches that are due and have no living holder.
func (b *waker) again(ctx context.Context, due []queue.DueBatch) error {
	if len(due) == 0 {
		return nil
	}
	params := make([]river.InsertManyParams, len(due))
	now := time.Now()
	for i, d := range due {
		params[i] = newWakeUp(d.Job, d.Backfill, d.ID, d.Fence, now)
	}
	if _, err := b.client.InsertMany(ctx, params); err != nil {
		return fmt.Errorf("wake workers for %d due batches: %w", len(due), err)
	}
	return nil
}

// dropVain drops the wake-ups of this process' jobs that can't lead to work, and says so.
func (e *Engine) dropVain(ctx context.Context) error {
	dropped, err := e.Store.Queue.DropVain(ctx, pg.SchemaOf(e.Pool), e.Serve)
	if dropped > 0 {
		e.Log.Warn().Int("dropped", dropped).Msg("the queue had entries for batches that are done, or that there are not")
	}
	return err
}

// answer works the batch that it was woken for. Nothing of what becomes of it is for River to know. A process that leaves hands
// the wake-up on: River would take it for answered, and who stays would wait for the sweep.
func (e *Engine) answer(ctx context.Context, batch int64) error {
	if e.leaving() {
		return river.JobSnooze(0)
	}
	e.work(ctx, batch)
	return nil
}

func (b *waker) start(ctx context.Context) error {
	if !b.works {
		return nil
	}
	if err := b.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start River's client: %w", err)
	}
	return nil
}

// stop waits until the batches in hand are given back, for as long as soft lasts, and then cancels their work.
func (b *waker) stop(soft context.Context, hard context.Context) error {
	if !b.works {
		return nil
	}
	err := b.client.Stop(soft)
	outOfTime := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	if !outOfTime {
		return err
	}
	return b.client.StopAndCancel(hard)
}
