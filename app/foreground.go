package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"syncer/jobs"
	"syncer/persist/connections"
	"syncer/persist/pg"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/report"
)

// Foreground is an engine at work in this process, for a caller that follows its runs to their verdicts.
type Foreground struct {
	Engine *jobs.Engine

	inst    *Installation
	life    context.Context // of the engine
	stopped bool
}

// Start starts an engine. It outlasts ctx, so that the pages in hand can be finished after the first signal: Stop it.
func (inst *Installation) Start(ctx context.Context, spec EngineSpec) (*Foreground, error) {
	life := context.WithoutCancel(ctx)
	engine, err := inst.Engine(life, spec)
	if err != nil {
		return nil, err
	}
	f := &Foreground{Engine: engine, inst: inst, life: life}
	if err := engine.Start(life); err != nil {
		return nil, errors.Join(err, f.Stop())
	}
	return f, nil
}

// Stop leaves: the pages in hand are finished and the batches given back, within worker.drain. A second call does
// nothing.
func (f *Foreground) Stop() error {
	if f.stopped {
		return nil
	}
	f.stopped = true
	return f.Engine.Stop(f.life)
}

const (
	lookEvery = 500 * time.Millisecond // at a run that is being followed
	askEvery  = 2 * time.Second        // whether this process may still work it
	patience  = time.Minute            // with what can't be seen for another reason than that the database is away
)

// Display is where the progress of a run is shown.
type Display interface {
	Show(r read.Report) // how the run stands now
	Hide()              // the run is settled, or how it stands can't be seen just now
}

// Follow shows a run's progress until its verdict. A database that is away for a moment, as in a failover, is waited
// for: the workers do the same. A run whose connection was moved or renamed meanwhile is left with a *LeftError, since
// nobody here works it.
func (f *Foreground) Follow(ctx context.Context, run queue.Run, display Display) (read.Report, error) {
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	seen := time.Now()
	asked := time.Now()
	for {
		report, err := f.Engine.Follow(ctx, run.ID, lookEvery, func(r read.Report) {
			seen = time.Now()
			display.Show(r)
			if time.Since(asked) < askEvery {
				return
			}
			asked = seen
			if err := f.workable(ctx, run); err != nil {
				leave(err)
			}
		})
		display.Hide()
		if _, left := errors.AsType[*LeftError](context.Cause(ctx)); left {
			return report, context.Cause(ctx)
		}
		if err == nil || ctx.Err() != nil || !pg.Passing(err) && time.Since(seen) > patience {
			return report, err
		}
		f.inst.opt.Log.Warn().Err(err).Int64("run", run.ID).Msg("can't see how the run stands; trying again")
		select {
		case <-ctx.Done():
			return report, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// LeftError says why a run can't be worked by this process any more.
type LeftError struct {
	run queue.Run
	why error
}

// Error names the run, the reason, and the command that goes on with it.
func (e *LeftError) Error() string {
	return fmt.Sprintf("run %d is left: %s; %s with the new configuration goes on with it", e.run.ID, e.why, report.GoesOn(e.run))
}

// Unwrap gives the reason.
func (e *LeftError) Unwrap() error { return e.why }

// workable is a *LeftError when the connection of a run that this process works has another name or leads elsewhere now.
// What can't be asked is no reason to leave.
func (f *Foreground) workable(ctx context.Context, run queue.Run) error {
	if len(f.Engine.Serve) == 0 {
		return nil
	}
	now, err := f.inst.Store.Queue.RunByID(ctx, run.ID)
	if err == nil && now.Connection != run.Connection {
		return &LeftError{run, fmt.Errorf("connection %s was renamed to %s", run.Connection, now.Connection)}
	}
	for _, c := range f.Engine.Connections {
		if c.Name != run.Connection {
			continue
		}
		err = f.inst.Store.Connections.CheckEndpoint(ctx, c.Name, c.Endpoint)
		if moved, ok := errors.AsType[*connections.MovedError](err); ok {
			return &LeftError{run, fmt.Errorf("connection %s was moved to %s", c.Name, moved.Known)}
		}
	}
	return nil
}
