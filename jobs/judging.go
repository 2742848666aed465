package jobs

import (
	"sync"
	"time"

	"syncer/persist/refusals"
)

// doubtFor is how long a connection stays in doubt without a further refusal.
const doubtFor = 30 * time.Second

// judging bounds how many items of a connection this process works at once while it is not known whether
// anything works there. Otherwise a token that has died for all costs one call after the other, and the
// more of them the slower the database or the check is.
//
//   - While a refusal is judged, nothing is begun.
//   - Until somebody has been answered, refusedInTurn items are worked at once.
//   - In doubt it is one: all who were asked have been refused, but too few for the connection to be parked.
type judging struct {
	mu      sync.Mutex
	judged  int           // refusals that are being judged
	begun   int           // items that are being worked
	doubt   time.Time     // until when the connection is in doubt
	changed chan struct{} // closed at the next change of these; nil while nobody waits for one
}

// begin notes that a refusal is being judged.
func (j *judging) begin() { j.change(func() { j.judged++ }) }

// end notes that it has been.
func (j *judging) end() { j.change(func() { j.judged-- }) }

// doubtful notes whether the connection is in doubt now.
func (j *judging) doubtful(now bool) {
	j.change(func() {
		j.doubt = time.Time{}
		if now {
			j.doubt = time.Now().Add(doubtFor)
		}
	})
}

// ended notes the end of an item.
func (j *judging) ended() { j.change(func() { j.begun-- }) }

// change makes a change and wakes those who wait for one.
func (j *judging) change(f func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f()
	if j.changed != nil {
		close(j.changed)
		j.changed = nil
	}
}

// enter notes the beginning of an item, if one more may be begun. Else it gives a channel that is closed at the next
// change.
func (j *judging) enter(answered bool) (wait <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	inDoubt := time.Now().Before(j.doubt)
	oneAlone := inDoubt && j.begun > 0
	enough := !answered && j.begun >= refusedInTurn
	if j.judged == 0 && !oneAlone && !enough {
		j.begun++
		return nil
	}
	if j.changed == nil {
		j.changed = make(chan struct{})
	}
	return j.changed
}

// enter waits until one more item may be begun; see judging. The end of the item must be told by w.conn.judging.left.
// It gives false at the end of the work, when nothing is begun any more.
func (w *batchWork) enter(done <-chan struct{}) bool {
	for {
		lately := time.Now().Add(-refusals.RefusedWithin)
		wait := w.conn.judging.enter(w.conn.answered.since(lately))
		if wait == nil {
			return true
		}
		select {
		case <-wait:
		case <-time.After(doubtFor):
		case <-w.leave:
			return false
		case <-done:
			return false
		}
	}
}
