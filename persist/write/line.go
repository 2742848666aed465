package write

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"syncer/finance"
)

// Line hands the pages of one stream to a Committer ahead of their commits, so that the next page can be fetched
// while the last ones are being written, and pages of one stream can share a transaction. The order is kept: once a
// page has failed, none behind it is taken, because the cursor must not pass what is missing. A Line belongs to one
// goroutine.
type Line struct {
	committer *Committer
	ahead     int // bytes
	waiting   []*submitted
	bytes     int // of waiting
	last      *submitted
	failed    error // of the first page that failed
	withheld  int   // rows that a guard of removals keeps
	aside     int   // records that Postgres refuses
	contested int   // records whose key came with other content too
}

// Line makes a line whose pages are waited for when those that are not committed have more than ahead bytes in all.
// With 0 every page is waited for.
func (c *Committer) Line(ahead int) *Line { return &Line{committer: c, ahead: ahead} }

// Hand hands a page in. It waits for the oldest pages of the line as long as there are too many bytes, and gives the
// error of the first that failed. After an error the line is of no more use than to be drained.
func (l *Line) Hand(ctx context.Context, p PageWrite) error {
	s := &submitted{page: p, bytes: len(p.Body), done: make(chan struct{})}
	if err := l.committer.put(s, l.last); err != nil {
		s.settle()
		// The page before it has failed, perhaps because of one before that: the first that failed knows why.
		l.failed = cmp.Or(l.Drain(ctx), err)
		return l.failed
	}
	l.last = s
	l.waiting = append(l.waiting, s)
	l.bytes += s.bytes
	for l.bytes > l.ahead && len(l.waiting) > 0 {
		if err := l.oldest(ctx, hurry); err != nil {
			return err
		}
	}
	return nil
}

// Drain waits until every page that was handed in is committed or has failed, and gives the error of the first that
// failed, also when Hand has given it. Nothing of the line is being written after it.
func (l *Line) Drain(ctx context.Context) error { return l.drain(ctx, hurry) }

// DrainInCompany is Drain without hurry: the pages are left for a moment to gather those of others.
func (l *Line) DrainInCompany(ctx context.Context) error { return l.drain(ctx, noHurry) }

func (l *Line) drain(ctx context.Context, u urgency) error {
	for len(l.waiting) > 0 {
		_ = l.oldest(ctx, u) // it is in l.failed
	}
	return l.failed
}

// urgency says whether a page that is waited for is written at once, or with those of others.
type urgency bool

const (
	hurry   urgency = true
	noHurry urgency = false
)

// Withheld is how many rows of the pages that have come home stay although they are known to be gone; see
// RemovalsWithheld.
func (l *Line) Withheld() int { return l.withheld }

// Aside is how many records of the pages that have come home are in quarantine because Postgres refuses them.
func (l *Line) Aside() int { return l.aside }

// Contested is how many records of the pages that have come home are in quarantine because their key came with other content
// too.
func (l *Line) Contested() int { return l.contested }

func (l *Line) oldest(ctx context.Context, u urgency) error {
	if u == noHurry {
		l.committer.inCompany(ctx, l.waiting[0])
	}
	l.committer.want(l.waiting[0])
	written, err := l.committer.settled(ctx, l.waiting...)
	l.withheld += written.Withheld
	l.aside += written.Aside
	l.contested += written.Contested
	l.failed = cmp.Or(l.failed, err)
	l.bytes -= l.waiting[0].bytes
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	return err
}

// companyFor is how long a page that somebody waits for without hurry is left to gather others.
const companyFor = 5 * time.Millisecond

// inCompany waits until a page is settled, or was left to gather others for long enough.
func (c *Committer) inCompany(ctx context.Context, s *submitted) {
	enough := time.NewTimer(companyFor)
	defer enough.Stop()
	select {
	case <-s.done:
	case <-enough.C:
	case <-ctx.Done():
	}
}

// settled waits for the end of the first of a stream's pages. When ctx ends before that, those that are still in the
// queue are taken back; one that is being written is waited for, because the caller must know its fate. It is not waited
// for without end: see leaveGrace.
func (c *Committer) settled(ctx context.Context, pages ...*submitted) (Written, error) {
	first := pages[0]
	select {
	case <-first.done:
	case <-ctx.Done():
		c.takeBack(pages, fmt.Errorf("commit a page of %s: %w", streamName(first.page.Stream), context.Cause(ctx)))
		<-first.done
	}
	return first.result.Written, first.result.Err
}

// takeBack removes pages from the queue. Those that a writer has are left to it.
func (c *Committer) takeBack(pages []*submitted, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range pages {
		s.leave()
	}
	left := c.queue[:0]
	for _, q := range c.queue {
		if slices.Contains(pages, q) {
			q.fail(cause)
			continue
		}
		left = append(left, q)
	}
	clear(c.queue[len(left):])
	c.queue = left
}

// fail ends a page that is in no transaction.
func (s *submitted) fail(err error) {
	s.result.Err = err
	s.settle()
}

// settle ends a page that has its result. Its line holds it until it looks for the result, so what is large goes before.
func (s *submitted) settle() {
	p := &s.page
	p.Body, p.Records, p.Rejects, p.Whole = nil, finance.Records{}, nil, nil
	close(s.done)
	if p.Settled != nil {
		p.Settled()
	}
}
