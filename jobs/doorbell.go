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

	"syncer/persist"
)

// riverSchema is where River's own tables live, apart from ours.
const riverSchema = "river"

// ringEvery is how often the same batch may be rung for under the same fence. A bell can be swallowed: a process that
// dies after River gave it the job and before it claimed the batch leaves a River job that looks busy for an hour.
const ringEvery = 10 * time.Second

// doorbell tells a worker that a batch may be claimed. The batch's row is the truth: a worker that finds it claimed,
// done or parked goes back to sleep.
type doorbell struct {
	Batch int64 `json:"batch"`
	Fence int64 `json:"fence"` // as it stood when the bell was rung
	Ring  int64 `json:"ring"`  // time in units of ringEvery, so that a lost bell is rung again
}

// Kind names the doorbell in River's tables.
func (doorbell) Kind() string { return "batch" }

// ring makes the River job for one batch. Its queue is its job's name, so that a process can serve some jobs only
// and each job has slots of its own. It is tried once: leases, fences and the sweep are the retry.
func ring(job string, batch, fence int64, at time.Time) river.InsertManyParams {
	return river.InsertManyParams{
		Args: doorbell{Batch: batch, Fence: fence, Ring: at.UnixNano() / int64(ringEvery)},
		InsertOpts: &river.InsertOpts{
			Queue:       job,
			MaxAttempts: 1,
			UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
				rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning, rivertype.JobStateScheduled,
			}},
		},
	}
}

// bells is the River client of this process.
type bells struct {
	client *river.Client[pgx.Tx]
	rings  bool // it answers bells; a client that only plans never starts
}

// newBells makes the River client. With no jobs it can ring but does not answer.
func newBells(pool *pgxpool.Pool, jobs []string, slots int, log zerolog.Logger, work func(context.Context, int64) error) (*bells, error) {
	config := &river.Config{
		Schema: riverSchema,
		Logger: slog.New(zerolog.NewSlogHandler(log.Level(max(log.GetLevel(), zerolog.WarnLevel)))),
		// The defaults fetch at most MaxWorkers jobs every 100 ms and poll once a second. Doorbells are few and short
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
		river.AddWorker(config.Workers, river.WorkFunc(func(ctx context.Context, j *river.Job[doorbell]) error {
			return work(ctx, j.Args.Batch)
		}))
	}
	client, err := river.NewClient(riverpgxv5.New(pool), config)
	if err != nil {
		return nil, fmt.Errorf("make the River client: %w", err)
	}
	return &bells{client: client, rings: len(jobs) > 0}, nil
}

// enqueue rings for freshly planned batches of a job, in the planning transaction.
func (b *bells) enqueue(job string) persist.Enqueue {
	return func(ctx context.Context, tx pgx.Tx, batches []persist.BatchRef) error {
		params := make([]river.InsertManyParams, len(batches))
		now := time.Now()
		for i, ref := range batches {
			params[i] = ring(job, ref.ID, 0, now)
		}
		if _, err := b.client.InsertManyTx(ctx, tx, params); err != nil {
			return fmt.Errorf("ring for %d batches of %s: %w", len(batches), job, err)
		}
		return nil
	}
}

// again rings for batches that are due and have no living holder.
func (b *bells) again(ctx context.Context, due []persist.DueBatch) error {
	if len(due) == 0 {
		return nil
	}
	params := make([]river.InsertManyParams, len(due))
	now := time.Now()
	for i, d := range due {
		params[i] = ring(d.Job, d.ID, d.Fence, now)
	}
	if _, err := b.client.InsertMany(ctx, params); err != nil {
		return fmt.Errorf("ring for %d due batches: %w", len(due), err)
	}
	return nil
}

func (b *bells) start(ctx context.Context) error {
	if !b.rings {
		return nil
	}
	if err := b.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start answering doorbells: %w", err)
	}
	return nil
}

// stop waits until the batches in hand are given back, for as long as soft lasts, and then cancels their work.
func (b *bells) stop(soft context.Context, hard context.Context) error {
	if !b.rings {
		return nil
	}
	err := b.client.Stop(soft)
	if err == nil || !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return b.client.StopAndCancel(hard)
}
