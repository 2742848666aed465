package pg

import (
	"context"
	"sync"
	"time"
)

// combinerMax bounds how many questions go into one statement, so that one answer never waits for an endless crowd.
const combinerMax = 256

// combinerTimeout bounds one combined statement. It must not hang on one asker's context, because others wait for
// the same answer.
const combinerTimeout = 30 * time.Second

// Combiner lets concurrent callers share a round trip: while one statement is in flight, the questions that arrive
// queue up and go together in the next. A lone caller never waits for company.
type Combiner[Q, A any] struct {
	run func(context.Context, []Q) ([]A, error)

	mu      sync.Mutex
	waiting []*question[Q, A]
	busy    bool
}

type question[Q, A any] struct {
	ctx    context.Context
	q      Q
	answer A
	err    error
	done   chan struct{}
}

// NewCombiner makes a combiner. run answers questions in their order, all or none.
func NewCombiner[Q, A any](run func(context.Context, []Q) ([]A, error)) *Combiner[Q, A] {
	return &Combiner[Q, A]{run: run}
}

// Ask gives the answer to q, or the context's error when the asker leaves before it is there.
func (c *Combiner[Q, A]) Ask(ctx context.Context, q Q) (A, error) {
	w := &question[Q, A]{ctx: ctx, q: q, done: make(chan struct{})}
	c.mu.Lock()
	c.waiting = append(c.waiting, w)
	if !c.busy {
		c.busy = true
		go c.drain()
	}
	c.mu.Unlock()
	select {
	case <-w.done:
		return w.answer, w.err
	case <-ctx.Done():
		var none A
		return none, context.Cause(ctx)
	}
}

// drain answers until nobody waits.
func (c *Combiner[Q, A]) drain() {
	for {
		crowd := c.next()
		if crowd == nil {
			return
		}
		c.answer(crowd)
	}
}

// next takes the questions that wait, without those whose asker has left: what they would reserve would be wasted.
func (c *Combiner[Q, A]) next() []*question[Q, A] {
	c.mu.Lock()
	defer c.mu.Unlock()
	var crowd []*question[Q, A]
	for len(c.waiting) > 0 && len(crowd) < combinerMax {
		if w := c.waiting[0]; w.ctx.Err() == nil {
			crowd = append(crowd, w)
		}
		c.waiting[0] = nil
		c.waiting = c.waiting[1:]
	}
	if len(crowd) == 0 {
		c.busy = false
		c.waiting = nil
	}
	return crowd
}

func (c *Combiner[Q, A]) answer(crowd []*question[Q, A]) {
	questions := make([]Q, len(crowd))
	for i, w := range crowd {
		questions[i] = w.q
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(crowd[0].ctx), combinerTimeout)
	defer cancel()
	answers, err := c.run(ctx, questions)
	for i, w := range crowd {
		if err != nil {
			w.err = err
		} else {
			w.answer = answers[i]
		}
		close(w.done)
	}
}
