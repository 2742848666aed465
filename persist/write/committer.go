package write

import (
	"context"
	"fmt"
	"sync"
	"time"

	"syncer/finance"
)

// groupRows is how many records one transaction takes at most. Larger groups gain nothing more; smaller ones pay for
// more commits.
const groupRows = 5000

// groupPages bounds the pages of a transaction when they hold few records, or none.
const groupPages = 500

// Pages that nobody waits for yet gather until there are so many, so many records in them, or so much time has passed:
// most of what a transaction costs is its own statements, not its pages. A page that is waited for takes all of them
// along at once.
const (
	gatherPages = 40
	gatherRows  = groupRows / 2
	gatherFor   = 25 * time.Millisecond
)

// Committer commits pages that are ready together in one transaction. A page that somebody waits for never waits for
// company, but for a moment where its line is drained in company: while one group is being written, the pages that arrive form the next.
//
// The pages of one consent keep their order and are never in two transactions at a time, so that no two writers of
// a process meet at one item's counters. Of several pages of a stream handed in side by side, those behind a failed
// one fail too, because the cursor must not pass what is missing.
type Committer struct {
	writer *Writer

	mu    sync.Mutex
	queue []*submitted
	busy  map[int64]bool // the consents in a transaction right now
	ended error          // why no page is taken any more
	later *time.Timer    // wakes a writer when the oldest page has gathered for long enough

	wake    chan struct{} // holds a token for each writer that should look
	writers sync.WaitGroup
}

// submitted is one page in the queue or in a transaction.
type submitted struct {
	page    PageWrite
	bytes   int       // of its body
	since   time.Time // when it came
	wanted  bool      // somebody waits for it
	within  *writing  // the transaction it is in
	leaving bool      // whoever handed it in has no time left
	result  Result
	done    chan struct{}
}

// writing is a transaction under way. When nobody has time for it any more, it gets leaveGrace to end by itself.
type writing struct {
	cancel context.CancelFunc
	wanted int // pages whose askers still have time
}

// leaveGrace is how long a transaction goes on that everybody has left. All but a few end in much less; the others wait
// for a lock, or for a database that does not answer, and the process must be able to leave.
const leaveGrace = 5 * time.Second

// StartCommitter starts the given number of writers (0: two, which is what a pair of cores can feed). They end with
// ctx, rolling back what is not committed; Wait waits for that.
func StartCommitter(ctx context.Context, w *Writer, writers int) *Committer {
	if writers <= 0 {
		writers = 2
	}
	c := &Committer{writer: w, busy: map[int64]bool{}, wake: make(chan struct{}, writers)}
	c.later = time.AfterFunc(time.Hour, c.rouse)
	for range writers {
		c.writers.Go(func() { c.work(ctx) })
	}
	return c
}

// Wait returns when all writers have ended.
func (c *Committer) Wait() { c.writers.Wait() }

// Waiting is how many pages are in the queue, in no transaction yet: a gauge of how far Postgres is behind.
func (c *Committer) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue)
}

// put takes a page into the queue, unless the one before it, if there is one, has failed.
func (c *Committer) put(s, before *submitted) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return c.ended
	}
	if before != nil && before.result.Err != nil {
		return before.result.Err
	}
	s.since = time.Now()
	c.queue = append(c.queue, s)
	c.signal()
	return nil
}

// want says that a page is waited for.
func (c *Committer) want(s *submitted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.wanted = true
	c.signal()
}

// rouse wakes a writer.
func (c *Committer) rouse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.signal()
}

// due says whether the pages of the queue should be written now. If not, a writer will be woken when they should.
func (c *Committer) due() bool {
	if len(c.queue) == 0 {
		return false
	}
	rows := 0
	for _, s := range c.queue {
		if rows += s.page.Records.Len(); s.wanted || rows >= gatherRows {
			return true
		}
	}
	left := gatherFor - time.Since(c.queue[0].since)
	if left <= 0 || len(c.queue) >= gatherPages {
		return true
	}
	c.later.Reset(left)
	return false
}

// signal wakes one writer, if one sleeps.
func (c *Committer) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// work is one writer.
func (c *Committer) work(ctx context.Context) {
	for {
		group := c.take()
		if len(group) == 0 {
			select {
			case <-c.wake:
				continue
			case <-ctx.Done():
				c.end(context.Cause(ctx))
				return
			}
		}
		c.write(ctx, group)
	}
}

// write commits a group.
func (c *Committer) write(ctx context.Context, group []*submitted) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pages := make([]PageWrite, len(group))
	for i, s := range group {
		pages[i] = s.page
	}
	c.mu.Lock()
	w := &writing{cancel, 0}
	for _, s := range group {
		if s.within = w; !s.leaving {
			w.wanted++
		}
	}
	c.mu.Unlock()
	c.answer(group, c.writer.Commit(ctx, pages))
}

// leave says that whoever handed s in has no time left.
func (s *submitted) leave() {
	if s.leaving {
		return
	}
	s.leaving = true
	if s.within == nil {
		return
	}
	if s.within.wanted--; s.within.wanted == 0 {
		time.AfterFunc(leaveGrace, s.within.cancel)
	}
}

// take removes from the queue what the next transaction writes, in order.
func (c *Committer) take() []*submitted {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.due() {
		return nil
	}
	var group []*submitted
	rows := 0
	mine := map[int64]bool{}
	left := c.queue[:0]
	for i, s := range c.queue {
		consent := s.page.Stream.Consent
		n := s.page.Records.Len()
		if len(group) == groupPages || len(group) > 0 && rows+n > groupRows {
			left = append(left, c.queue[i:]...)
			c.signal() // there is work for another writer
			break
		}
		if c.busy[consent] && !mine[consent] {
			left = append(left, s)
			continue
		}
		c.busy[consent] = true
		mine[consent] = true
		rows += n
		group = append(group, s)
	}
	clear(c.queue[len(left):])
	c.queue = left
	return group
}

// answer hands out the results and fails the waiting pages behind a failed one.
func (c *Committer) answer(group []*submitted, results []Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	failed := map[finance.Stream]bool{}
	for i, s := range group {
		delete(c.busy, s.page.Stream.Consent)
		s.result = results[i]
		if s.result.Err != nil {
			failed[s.page.Stream] = true
		}
		s.settle()
	}
	left := c.queue[:0]
	for _, s := range c.queue {
		if failed[s.page.Stream] {
			s.fail(errBehind(s.page.Stream))
			continue
		}
		left = append(left, s)
	}
	clear(c.queue[len(left):])
	c.queue = left
	if len(left) > 0 {
		c.signal() // pages of a consent that was busy until now
	}
}

// end refuses what still waits and what comes later.
func (c *Committer) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = fmt.Errorf("the committer has ended: %w", cause)
	c.later.Stop()
	for _, s := range c.queue {
		s.fail(c.ended)
	}
	c.queue = nil
}
