package jobs

import "sync"

// hands are the batches that this process is claiming or working. Two wake-ups for one batch may come at once,
// and what becomes of a claim whose answer was lost can be told only while nobody else here claims the batch.
type hands struct {
	mu      sync.Mutex
	batches map[int64]bool
}

// take says whether a batch was in no hand yet. Now it is.
func (h *hands) take(batch int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.batches[batch] {
		return false
	}
	h.batches[batch] = true
	return true
}

// leave frees the hand.
func (h *hands) leave(batch int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.batches, batch)
}
