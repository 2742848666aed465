package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"syncer/persist"
	"syncer/persist/queue"
	"syncer/persist/workers"
	"syncer/persist/write"
)

// Options are what an Engine works with. All fields are needed unless it is said otherwise.
type Options struct {
	Store       *persist.Store
	Pages       *write.Writer    // reads what is committed of a stream
	Committer   *write.Committer // writes pages
	Pool        *pgxpool.Pool
	Jobs        []Job
	Connections []*Connection
	Log         zerolog.Logger

	// Known names jobs that are configured, beside Jobs, but not served here. Optional.
	Known []string
	// Serve names the jobs whose batches this process works; empty: it works none and only plans.
	Serve []string
	// Watch has the process tell the log of open runs that nobody works.
	Watch bool
	// Only says that of the jobs in Serve no runs are worked but those that WorkRuns names.
	Only bool
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
	waker       *waker
	only        onlyRuns // see Options.Only
	hands       hands

	restsMu sync.Mutex
	rests   map[int64]int // interruptions in a row of a batch, as far as this process knows

	restored atomic.Bool    // the database is a restored copy, as was found last
	unworked map[int64]bool // open runs that nobody works, as far as the log was told; of the sweep alone
	deaths   *workers.Deaths

	inLine atomic.Bool // a batch that this process has asked for stands in line

	leave          chan struct{} // closed when the process is asked to leave: finish the page in hand, take no other
	leaveOnce      sync.Once
	background     sync.WaitGroup // heartbeat, sweep, and what listens
	stopBackground context.CancelFunc
	onlyEnded      chan struct{} // nothing more is begun of the only runs; nil: there are none
}

// New checks the options and makes an Engine. It touches the database only when Start is called.
func New(o Options) (*Engine, error) {
	e := &Engine{Options: o, jobs: map[string]Job{}, connections: map[string]*Connection{},
		rests: map[int64]int{}, unworked: map[int64]bool{}, deaths: o.Store.Workers.Deaths(), leave: make(chan struct{}),
		hands: hands{batches: map[int64]bool{}},
		only:  onlyRuns{hands: map[int64]bool{}, begun: map[int64]time.Time{}, poke: make(chan struct{}, 1)}}
	for _, c := range o.Connections {
		e.connections[c.Name] = c
	}
	for _, j := range o.Jobs {
		if e.connections[j.Connection] == nil {
			return nil, fmt.Errorf("job %s names the connection %s, which is not configured", j.Name, j.Connection)
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
	answers := o.Serve
	if o.Only {
		answers = nil
	}
	e.waker, err = newWaker(o.Pool, answers, o.Batches, o.Log, e.answer)
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

// Start announces the process to its siblings and begins to answer wake-ups. It returns at once. The end of ctx does
// not end the work, because the pages in hand must be brought home: Stop does that.
func (e *Engine) Start(ctx context.Context) error {
	for _, c := range e.connections {
		if err := e.Store.Connections.Use(ctx, c.Name, c.Endpoint); err != nil {
			return err
		}
		if err := e.Store.Consents.BoundReads(ctx, c.Name, c.ReadsPerDay); err != nil {
			return err
		}
	}
	if len(e.Serve) == 0 {
		return nil
	}
	if !e.Only {
		e.Store.Workers.Works(e.Serve)
	}
	for _, c := range e.connections {
		e.Store.Workers.NameRate(c.Name, c.Rate)
		e.Store.Workers.NameQuota(c.Name, c.Quota)
	}
	if err := e.Store.Workers.Heartbeat(ctx, e.Lease); err != nil {
		return err
	}
	if err := e.tellElsewhere(ctx); err != nil {
		return err
	}
	if err := errors.Join(e.watchDatabase(ctx), e.dropVain(ctx)); err != nil {
		return err
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e.stopBackground = cancel
	e.background.Go(func() { e.beat(background) })
	e.background.Go(func() { e.sweep(background) })
	e.background.Go(func() { e.Store.Admit.Listen(background) })
	e.background.Go(func() { e.askInLine(background) })
	if e.Only {
		e.onlyEnded = make(chan struct{})
		e.background.Go(func() {
			defer close(e.onlyEnded)
			e.workOnly(background)
		})
	}
	return e.waker.start(ctx)
}

// over are the connections that this process can call over.
func (e *Engine) over() []string { return slices.Sorted(maps.Keys(e.connections)) }

// tellElsewhere warns of open runs of its jobs that this process can't work, because a job has another
// connection now.
func (e *Engine) tellElsewhere(ctx context.Context) error {
	for _, job := range e.Serve {
		open, err := e.Store.Queue.OpenRuns(ctx, job)
		if err != nil {
			return err
		}
		for _, run := range open {
			if e.connections[run.Connection] == nil {
				e.Log.Warn().Int64("run", run.ID).Str("job", job).Str("connection", run.Connection).Msg(Elsewhere(run))
			}
		}
	}
	return nil
}

// Elsewhere is one line about an open run over a connection that its job does not have, for the operator.
func Elsewhere(run queue.Run) string {
	return fmt.Sprintf("run %d of %s is not finished, and calls over %s, which the job does not have any more: "+
		"nobody works it; `syncer runs close %d` ends it", run.ID, run.Job, run.Connection, run.ID)
}

// Stop leaves: no further page is begun, the pages in hand are committed or rolled back, the batches are given back
// so that a sibling can take them at once. After Drain, or when ctx ends, the work in hand is cut off; what was
// committed by then stays, and another worker goes on from there.
func (e *Engine) Stop(ctx context.Context) error {
	e.Leave()
	if e.stopBackground == nil {
		return nil
	}
	soft, cancel := context.WithTimeout(ctx, e.Drain)
	defer cancel()
	// The cut-off must work even when ctx has ended already: it is what brings the workers home.
	err := e.waker.stop(soft, context.WithoutCancel(ctx))
	if e.Only {
		<-e.onlyEnded
		e.waitOnly(soft)
	}
	e.stopBackground()
	e.background.Wait()
	ctx, cancel = finalContext(ctx)
	defer cancel()
	return errors.Join(err, e.Store.Workers.Leave(ctx))
}

// finalContext is for what must be tried also when the work was cut off, but not for long: a process that leaves must not
// wait for a database that is silent. It is more than Postgres waits for a lock, whose word then tells more.
func finalContext(ctx context.Context) (context.Context, context.CancelFunc) {
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
	heartbeat := e.Store.Workers.Heartbeats()
	defer heartbeat.Stop(ctx)
	// A beat that is under way when the process stops comes to its end. Cut off, it might be read by the database after the process
	// has withdrawn itself, and would have it taken for alive until the lease ends.
	ending, cut := outlive(ctx, time.Second)
	defer cut()
	later(ctx, e.Heartbeat, func() { // the first one was at the start
		e.watch(ctx)
		if err := heartbeat.Beat(ending, e.Lease); err != nil && ctx.Err() == nil {
			e.Log.Warn().Err(err).Msg("heartbeat failed: other workers will take the batches over when the lease ends")
		}
	})
}

// outlive is a context that ends so long after another one.
func outlive(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(d, cancel) })
	return longer, func() {
		stop()
		cancel()
	}
}

// dropChunk is how many answers whose time is over one sweep drops: some tens of milliseconds of work. With a sweep each
// five seconds a single process drops seventeen million a day.
const dropChunk = 1000

// sweep wakes workers again for every batch that is due and has no living holder: parked ones whose time has
// come, those of dead processes, whose leases it ends, those whose wake-up was lost. It also settles runs
// whose last worker died before it could, drops answers that need not be kept any longer, and forgets tokens
// that have ended.
func (e *Engine) sweep(ctx context.Context) {
	every(ctx, e.Sweep, func() {
		if err := e.sweepOnce(ctx); err != nil && ctx.Err() == nil {
			e.Log.Warn().Err(err).Msg("sweep failed; it is tried again")
		}
	})
}

func (e *Engine) sweepOnce(ctx context.Context) error {
	if _, err := e.Store.Consents.Expire(ctx); err != nil {
		return err
	}
	dead, err := e.deaths.Look(ctx)
	if err != nil {
		return err
	}
	for _, w := range dead {
		e.Log.Warn().Str("host", w.Host).Int("pid", w.PID).Msg("a process has died: its batches are free")
	}
	if _, err := e.Store.Workers.ForgetWorkers(ctx); err != nil {
		return err
	}
	if _, err := e.Store.Streams.DropAnswers(ctx, dropChunk); err != nil {
		return err
	}
	if err := e.Store.Tokens.ForgetTokens(ctx); err != nil {
		return err
	}
	if err := e.Store.Queue.WakeForQuota(ctx, e.over()); err != nil {
		return err
	}
	due, err := e.Store.Queue.Due(ctx, e.Serve, e.over(), 1000)
	if err != nil {
		return err
	}
	if err := e.waker.again(ctx, due); err != nil {
		return err
	}
	e.inLine.Store(true) // somebody may stand there of whom this process knows nothing
	if err := e.tellUnworked(ctx); err != nil {
		return err
	}
	open, err := e.Store.Queue.Unsettled(ctx)
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

// askInLine asks again and again for batches that stand in line: those who leave a batch wake a worker for the
// next, unless they die of it.
func (e *Engine) askInLine(ctx context.Context) {
	every(ctx, queue.InTurn, func() {
		if !e.inLine.Swap(false) {
			return
		}
		due, anybody, err := e.Store.Queue.DueInLine(ctx, e.Serve, e.over())
		if err == nil {
			err = e.waker.again(ctx, due)
		}
		if anybody || err != nil {
			e.inLine.Store(true)
		}
		if err != nil && ctx.Err() == nil {
			e.Log.Warn().Err(err).Msg("the batches that stand in line could not be asked for; it is tried again")
		}
	})
}

// every calls f now and then each interval until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	f()
	later(ctx, interval, f)
}

// later calls f at each interval, for the first time after one.
func later(ctx context.Context, interval time.Duration, f func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f()
		}
	}
}

// settle computes the run's verdict if all its batches are done, and tells the log once.
func (e *Engine) settle(ctx context.Context, run int64) error {
	verdict, settled, err := e.Store.Queue.Settle(ctx, run)
	if err == nil && settled {
		e.Log.Info().Int64("run", run).Str("verdict", string(verdict)).Msg("run settled")
		e.tellCauses(ctx, run)
		e.tellHistory(ctx, run)
		e.tellDrifts(ctx, run)
		return e.tellHeldOf(ctx, run)
	}
	return err
}
