package fetch

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Memory is what the answers of a process may cost together, from their first byte until their records are committed. All
// clients of a process share one.
//
// An answer takes memory as its bytes arrive, and holds the provider's socket back while there is none. One that needs more
// than there is in all goes alone. Nobody waits for ever: of answers that all wait for more, one goes beyond the bound
// until it is done; and who has waited for Patience while nobody gave anything back, goes on.
type Memory struct {
	// Patience is how long is waited at most while nobody gives anything back: an answer may be held by something that
	// waits for this one. Set it before the first use.
	Patience time.Duration

	most int64

	mu      sync.Mutex
	used    int64
	holders int     // answers that hold some
	beyond  *held   // the one that goes beyond the bound
	growing []*want // by answers that hold some already
	coming  []*want // by answers that hold none
	returns uint64  // how often some was given back
}

// NewMemory makes a budget of so many bytes.
func NewMemory(most int64) *Memory { return &Memory{most: most, Patience: 2 * time.Minute} }

// held is what one answer holds. It belongs to one goroutine at a time, but may be given back by any.
type held struct {
	of   *Memory
	size int64
	kept bool // see Answer.Keep
}

// want is somebody's wait for more.
type want struct {
	by    *held
	more  int64
	ready chan struct{} // closed when it was given
}

// hold makes what an answer holds: nothing yet. Of a nil Memory anything is had at once.
func (m *Memory) hold() *held { return &held{of: m} }

// room waits until there is some, without taking it.
func (m *Memory) room(ctx context.Context) error {
	if m == nil {
		return nil
	}
	h := m.hold()
	if err := h.grow(ctx, 1); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lower(h, 0) // no return: it tells those who wait nothing of the answers
	return nil
}

// grow waits until the answer holds size bytes in all.
func (h *held) grow(ctx context.Context, size int64) error {
	m := h.of
	if m == nil {
		return nil
	}
	m.mu.Lock()
	if size <= h.size {
		m.mu.Unlock()
		return nil
	}
	if more := size - h.size; m.used+more <= m.most && len(m.growing)+len(m.coming) == 0 {
		m.give(h, more)
		m.mu.Unlock()
		return nil
	}
	w := &want{by: h, more: size - h.size, ready: make(chan struct{})}
	if h.size > 0 {
		m.growing = append(m.growing, w)
	} else {
		m.coming = append(m.coming, w)
	}
	m.serve()
	returns := m.returns
	m.mu.Unlock()
	return m.wait(ctx, w, returns)
}

// wait waits until what is wanted was given. returns is how often some had been given back before.
func (m *Memory) wait(ctx context.Context, w *want, returns uint64) error {
	for {
		select {
		case <-w.ready:
			return nil
		default:
		}
		patience := time.NewTimer(m.Patience)
		select {
		case <-w.ready:
		case <-ctx.Done():
			if m.leave(w) {
				patience.Stop()
				return context.Cause(ctx)
			}
		case <-patience.C:
			returns = m.goOn(w, returns)
		}
		patience.Stop()
	}
}

// serve gives to those who wait what can be given.
func (m *Memory) serve() {
	for again := true; again; {
		again = false
		m.growing = slices.DeleteFunc(m.growing, func(w *want) bool {
			if m.used+w.more > m.most && !m.mayGoBeyond(w.by) {
				return false
			}
			m.grant(w)
			again = true
			return true
		})
	}
	if len(m.growing) > 0 {
		return // whoever holds some comes first: it gives it back when it is done
	}
	for len(m.coming) > 0 && (m.used+m.coming[0].more <= m.most || m.holders == 0) {
		m.grant(m.coming[0])
		m.coming = m.coming[1:]
	}
}

// mayGoBeyond says whether an answer may have what there is not: nobody else is about to give anything back.
func (m *Memory) mayGoBeyond(h *held) bool {
	if m.beyond == nil && m.holders == len(m.growing) {
		m.beyond = h
	}
	return m.beyond == h
}

func (m *Memory) grant(w *want) {
	m.give(w.by, w.more)
	close(w.ready)
}

func (m *Memory) give(h *held, more int64) {
	if h.size == 0 {
		m.holders++
	}
	h.size += more
	m.used += more
}

// leave takes a wait back. It is false where it is over.
func (m *Memory) leave(w *want) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-w.ready:
		return false
	default:
	}
	same := func(of *want) bool { return of == w }
	m.growing = slices.DeleteFunc(m.growing, same)
	m.coming = slices.DeleteFunc(m.coming, same)
	m.serve()
	return true
}

// goOn ends a wait during which nobody has given anything back. Otherwise it gives the returns to compare with next time.
func (m *Memory) goOn(w *want, returns uint64) uint64 {
	if m.returned() != returns || !m.leave(w) {
		return m.returned()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.grant(w)
	return returns
}

func (m *Memory) returned() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.returns
}

// force takes what is needed, whether it is there or not.
func (h *held) force(size int64) {
	if h.of == nil || size <= h.size {
		return
	}
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	h.of.give(h, size-h.size)
}

// shrink gives back what is more than size.
func (h *held) shrink(size int64) {
	if h == nil || h.of == nil {
		return
	}
	m := h.of
	m.mu.Lock()
	defer m.mu.Unlock()
	if size >= h.size {
		return
	}
	m.returns++
	m.lower(h, size)
}

// lower has an answer hold less than it does, and serves those who wait.
func (m *Memory) lower(h *held, size int64) {
	m.used -= h.size - size
	h.size = size
	if size == 0 {
		m.holders--
	}
	if size == 0 && m.beyond == h {
		m.beyond = nil
	}
	m.serve()
}

// release gives everything back. It may be called more than once.
func (h *held) release() { h.shrink(0) }

// costs is what an answer of so many bytes is taken to cost before it is known what is in it: its bytes, and records that
// are some times as large.
func costs(bytes int64) int64 { return 8 * bytes }

// Keep says that the answer, or what was made of it, is needed for longer than until the next page of its walk is asked
// for. Whoever calls it gives the memory back, by release.
func (a *Answer) Keep() (release func()) {
	if a.memory != nil {
		a.memory.kept = true
	}
	return a.memory.release
}

// release gives the answer's memory back, unless somebody keeps it.
func (a *Answer) release() {
	if a != nil && a.memory != nil && !a.memory.kept {
		a.memory.release()
	}
}
