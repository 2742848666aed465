package jobs

import (
	"context"
	"slices"
	"sync"
	"time"

	"syncer/persist/queue"
)

// A process may be told to work some runs alone, whatever else of its job is open. It answers no wake-ups then: a wake-up is for
// whoever works the job, and one that this process had swallowed would be missed. It looks by itself for batches of these
// runs.

// onlyRuns is what such a process works, and what it has in hand. The zero value works nothing.
type onlyRuns struct {
	mu    sync.Mutex
	runs  []int64
	hands map[int64]bool      // batches
	begun map[int64]time.Time // since the last one was worked
	works sync.WaitGroup
	stop  context.CancelFunc // cuts the work in hand off
	poke  chan struct{}
}

// WorkRuns names runs that an engine with Options.Only works from now on.
func (e *Engine) WorkRuns(runs []queue.Run) {
	e.only.mu.Lock()
	for _, run := range runs {
		e.only.runs = append(e.only.runs, run.ID)
	}
	e.only.mu.Unlock()
	e.only.look()
}

// look has the open batches looked at soon.
func (o *onlyRuns) look() {
	select {
	case o.poke <- struct{}{}:
	default:
	}
}

func (o *onlyRuns) named() []int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.runs)
}

// take says whether a batch is not in hand yet and there is a hand free for it. Then it is. One that was given up at once, since
// its connection was moved, say, rests before it is looked at again.
func (o *onlyRuns) take(batch int64, most int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hands[batch] || len(o.hands) >= most || time.Since(o.begun[batch]) < queue.InTurn {
		return false
	}
	o.hands[batch], o.begun[batch] = true, time.Now()
	return true
}

// leave frees the hand. Behind a batch that was worked another one may stand in line, which is its turn now.
func (o *onlyRuns) leave(batch int64, worked bool) {
	o.mu.Lock()
	delete(o.hands, batch)
	if worked {
		clear(o.begun)
	}
	o.mu.Unlock()
	o.look()
}

// workOnly works the batches of the named runs until ctx ends. What is in hand then is waited for by waitOnly.
func (e *Engine) workOnly(ctx context.Context) {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.only.mu.Lock()
	e.only.stop = stop
	e.only.mu.Unlock()
	ticker := time.NewTicker(queue.InTurn)
	defer ticker.Stop()
	for {
		if err := e.takeOnly(ctx, work); err != nil && ctx.Err() == nil {
			e.Log.Warn().Err(err).Msg("looking for batches of the runs in hand failed; it is tried again")
		}
		select {
		case <-ctx.Done():
			return
		case <-e.leave:
			return
		case <-e.only.poke:
		case <-ticker.C:
		}
	}
}

// takeOnly begins the batches that are due, as far as there are hands free.
func (e *Engine) takeOnly(ctx, work context.Context) error {
	runs := e.only.named()
	if len(runs) == 0 {
		return nil
	}
	due, err := e.Store.Queue.DueOf(ctx, runs, e.over(), 100)
	if err != nil {
		return err
	}
	for _, d := range due {
		if !e.only.take(d.ID, e.Batches) {
			continue
		}
		e.only.works.Go(func() {
			worked := false
			defer func() { e.only.leave(d.ID, worked) }()
			worked = e.work(work, d.ID)
		})
	}
	return nil
}

// waitOnly waits until the batches in hand are given back, for as long as soft lasts, and then cuts their work off. It comes
// when nothing is begun any more.
func (e *Engine) waitOnly(soft context.Context) {
	home := make(chan struct{})
	go func() {
		e.only.works.Wait()
		close(home)
	}()
	select {
	case <-home:
	case <-soft.Done():
	}
	e.only.mu.Lock()
	stop := e.only.stop
	e.only.mu.Unlock()
	if stop != nil {
		stop()
	}
	<-home
}
