package cli

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

// What is said on stderr waits for its reader for so long, and so much of it waits behind that. At the end there is no work left
// that it could hold up, and what waits may be why lines of a list were refused: so it waits for as long as somebody reads, and
// for a while where nobody does.
const (
	spoutPatience = 200 * time.Millisecond
	spoutLargest  = 1 << 20
	spoutLast     = 5 * time.Second
)

// spout writes what is said to somebody who may not listen: a pipe that nobody reads must not stop the work. Whoever writes waits
// for the reader, so that two streams stay in their order, but not for long. What comes faster than it is read waits in a
// buffer; what finds no place there is dropped, and how many lines that were is told when there is a reader again.
type spout struct {
	of screen // what it was made of
	w  io.Writer

	mu      sync.Mutex
	told    func(lines int) []byte // what is said of so many lines that were dropped
	waiting [][]byte
	bytes   int
	poured  int           // writes that somebody has read
	dropped int           // lines
	stuck   bool          // nobody has read for a while
	done    chan struct{} // closed when all is written that waits; nil: nothing does
}

func newSpout(of screen) *spout {
	return &spout{of: of, w: unsignalled(of.Writer), told: func(lines int) []byte {
		return fmt.Appendf(nil, "syncer: %d lines were dropped here, since nobody read them\n", lines)
	}}
}

// tell sets what is said of so many lines that were dropped.
func (s *spout) tell(told func(lines int) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = told
}

// Columns is how wide the screen is that it goes to; see screen.
func (s *spout) Columns() int { return s.of.Columns() }

// Write implements io.Writer. It never fails.
func (s *spout) Write(p []byte) (int, error) {
	s.mu.Lock()
	if s.bytes+len(p) > spoutLargest {
		s.dropped += max(1, bytes.Count(p, []byte{'\n'}))
		s.mu.Unlock()
		return len(p), nil
	}
	s.waiting = append(s.waiting, bytes.Clone(p))
	s.bytes += len(p)
	if s.done == nil {
		s.done = make(chan struct{})
		go s.pour(s.done)
	}
	done, stuck := s.done, s.stuck
	s.mu.Unlock()
	if !stuck && !within(done, spoutPatience) {
		s.mu.Lock()
		s.stuck = s.done != nil
		s.mu.Unlock()
	}
	return len(p), nil
}

// pour writes until nothing waits.
func (s *spout) pour(done chan struct{}) {
	defer close(done)
	for {
		s.mu.Lock()
		next := s.next()
		if next == nil {
			s.done = nil
			s.stuck = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		_, _ = s.w.Write(next) // whoever closed it does not want to know
		s.mu.Lock()
		s.poured++
		s.mu.Unlock()
	}
}

// next is what is to be written now; nil: nothing. What waits is older than what was dropped.
func (s *spout) next() []byte {
	if len(s.waiting) > 0 {
		next := s.waiting[0]
		s.waiting = s.waiting[1:]
		s.bytes -= len(next)
		return next
	}
	if s.dropped == 0 {
		return nil
	}
	lines := s.dropped
	s.dropped = 0
	return s.told(lines)
}

// flush waits until all is written, or until nobody has read for spoutLast.
func (s *spout) flush() {
	for before := -1; ; {
		s.mu.Lock()
		done := s.done
		poured := s.poured
		s.mu.Unlock()
		if done == nil || poured == before || within(done, spoutLast) {
			return
		}
		before = poured
	}
}

// within waits for a channel to be closed, for d at most.
func within(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
