package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"syncer/persist"
)

// Options are what an Engine works with. All fields are needed unless it is said otherwise.
type Options struct {
	Store       *persist.Store
	Pages       *persist.Writer    // reads what is committed of a stream
	Committer   *persist.Committer // writes pages
	Pool        *pgxpool.Pool
	Jobs        []Job
	Connections []*Connection
	Log         zerolog.Logger

	// Serve names the jobs whose batches this process works; empty: it works none and only plans.
	Serve []string
	// Batches is how many batches of one job the process works at once.
	Batches int
	// Lease is how long the batches of a silent process stay its own, Heartbeat how often a living one speaks.
	Lease, Heartbeat time.Duration
	// Sweep is the longest time between two looks for due batches.
	Sweep time.Duration
	// Drain is how long Stop waits for the pages in hand.
	Drain time.Duration
	// Step is called at the named points of a batch's life, so that a test can kill the process there. Optional.
	Step func(string)
}

// Engine plans runs and works batches, beside any number of other processes on the same database.
type Engine struct {
	Options
	jobs        map[string]Job
	connections map[string]*Connection
	bells       *bells

	restsMu sync.Mutex
	rests   map[int64]int // interruptions in a row of a batch, as far as this process knows

	leave     chan struct{} // closed when the process is asked to leave: finish the page in hand, take no other
	leaveOnce sync.Once
	tasks     sync.WaitGroup // heartbeat and sweep
	stopTasks context.CancelFunc
}

// New checks the options and makes an Engine. It touches the database only when Start is called.
func New(o Options) (*Engine, error) {
	e := &Engine{Options: o, jobs: map[string]Job{}, connections: map[string]*Connection{},
		rests: map[int64]int{}, leave: make(chan struct{})}
	for _, c := range o.Connections {
		e.connections[c.Name] = c
	}
	for _, j := range o.Jobs {
		if e.connections[j.Connection] == nil {
			return nil, fmt.Errorf("job %s names the connection %s, which there is not", j.Name, j.Connection)
		}
		e.jobs[j.Name] = j
	}
	for _, name := range o.Serve {
		if _, err := e.Job(name); err != nil {
			return nil, err
		}
	}
	if e.Step == nil {
		e.Step = func(string) {}
	}
	var err error
	e.bells, err = newBells(o.Pool, o.Serve, o.Batches, o.Log, e.work)
	return e, err
}

// Job is the configured job of that name.
func (e *Engine) Job(name string) (Job, error) {
	j, ok := e.jobs[name]
	if !ok {
		return Job{}, fmt.Errorf("there is no job %q; configured are %v", name, slices.Sorted(maps.Keys(e.jobs)))
	}
	return j, nil
}

// Start announces the process to its siblings and begins to answer doorbells. It returns at once. The end of ctx does
// not end the work, because the pages in hand must be brought home: Stop does that.
func (e *Engine) Start(ctx context.Context) error {
	for _, c := range e.connections {
		if err := e.Store.UpsertConnection(ctx, c.Name, c.Provider); err != nil {
			return err
		}
	}
	if len(e.Serve) == 0 {
		return nil
	}
	if err := e.Store.Heartbeat(ctx, e.Lease); err != nil {
		return err
	}
	tasks, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e.stopTasks = cancel
	e.tasks.Go(func() { e.beat(tasks) })
	e.tasks.Go(func() { e.sweep(tasks) })
	return e.bells.start(ctx)
}

// Stop leaves: no further page is begun, the pages in hand are committed or rolled back, the batches are given back
// so that a sibling can take them at once. After Drain, or when ctx ends, the work in hand is cut off; what was
// committed by then stays, and another worker goes on from there.
func (e *Engine) Stop(ctx context.Context) error {
	e.Leave()
	if e.stopTasks == nil {
		return nil
	}
	soft, cancel := context.WithTimeout(ctx, e.Drain)
	defer cancel()
	// The cut-off must work even when ctx has ended already: it is what brings the workers home.
	err := e.bells.stop(soft, context.WithoutCancel(ctx))
	e.stopTasks()
	e.tasks.Wait()
	ctx, cancel = lastly(ctx)
	defer cancel()
	return errors.Join(err, e.Store.Leave(ctx))
}

// lastly is for what must be tried also when the work was cut off, but not for long: a process that leaves must not
// wait for a database that is silent. It is more than Postgres waits for a lock, whose word then tells more.
func lastly(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 7*time.Second)
}

// Leave asks the workers of this process to stop after the page in hand. It does not wait.
func (e *Engine) Leave() { e.leaveOnce.Do(func() { close(e.leave) }) }

func (e *Engine) leaving() bool {
	select {
	case <-e.leave:
		return true
	default:
		return false
	}
}

// beat tells the siblings that this process lives. When it can't, it says so and tries again: every send and every
// commit is fenced, so a process that is cut off can't do harm, it only loses its batches.
func (e *Engine) beat(ctx context.Context) {
	heart := e.Store.Heart()
	defer heart.Stop(ctx)
	every(ctx, e.Heartbeat, func() {
		if err := heart.Beat(ctx, e.Lease); err != nil && ctx.Err() == nil {
			e.Log.Warn().Err(err).Msg("heartbeat failed: other workers will take the batches over when the lease ends")
		}
	})
}

// dropChunk is how many answers whose time is over one sweep drops: some tens of milliseconds of work. With a sweep each
// five seconds a single process drops seventeen million a day.
const dropChunk = 1000

// sweep rings again for every batch that is due and has no living holder: parked ones whose time has come, those of
// dead processes, those whose bell was lost. It also settles runs whose last worker died before it could, drops
// answers that need not be kept any longer, and forgets tokens that have ended.
func (e *Engine) sweep(ctx context.Context) {
	every(ctx, e.Sweep, func() {
		if err := e.sweepOnce(ctx); err != nil && ctx.Err() == nil {
			e.Log.Warn().Err(err).Msg("sweep failed; it is tried again")
		}
	})
}

func (e *Engine) sweepOnce(ctx context.Context) error {
	if _, err := e.Store.ExpireConsents(ctx); err != nil {
		return err
	}
	if _, err := e.Store.ForgetWorkers(ctx); err != nil {
		return err
	}
	if _, err := e.Store.DropAnswers(ctx, dropChunk); err != nil {
		return err
	}
	if err := e.Store.ForgetTokens(ctx); err != nil {
		return err
	}
	due, err := e.Store.Due(ctx, e.Serve, 1000)
	if err != nil {
		return err
	}
	if err := e.bells.again(ctx, due); err != nil {
		return err
	}
	open, err := e.Store.Unsettled(ctx)
	if err != nil {
		return err
	}
	for _, run := range open {
		if err := e.settle(ctx, run); err != nil {
			return err
		}
	}
	return nil
}

// every calls f now and then each interval until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		f()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// settle computes the run's verdict if all its batches are done, and tells the log once.
func (e *Engine) settle(ctx context.Context, run int64) error {
	verdict, settled, err := e.Store.Settle(ctx, run)
	if err == nil && settled {
		e.Log.Info().Int64("run", run).Str("verdict", string(verdict)).Msg("run settled")
		e.tellHistory(ctx, run)
	}
	return err
}
