package jobs

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/queue"
)

// Behind one connection there may be many banks, as behind an aggregator's. While one of them is down, its consents
// must not hold up the others: neither by the attempts that each of them takes, with a pause between any two, nor by the
// breaker, which opens when all that is asked fails. So a consent whose first call fails in a bad moment is put off: it
// has a second turn, with all attempts, when the others have had their first.

// errPutOff ends the turn of a consent that is to have another one; its item stays undecided.
var errPutOff = errors.New("the consent is put off")

// turn is the work on one consent in this claim of its batch.
type turn struct {
	items   []queue.Item
	second  bool                              // it was put off before: now it is decided
	started map[finance.Dataset]bool          // items whose attempt is counted
	failed  map[finance.Stream]*fetch.Error   // streams that were asked for once, in a bad moment
	refused map[finance.Stream]queue.Decision // accounts that need not be asked for a second time
	members members                           // what its pages have brought, not noted yet
	well    bool                              // its newest answer was a page, so its token is good

	leaveSeat func() // lets the calls of another consent begin; may be called more than once
	renewals  int    // how often an item was begun again, because the consent went on under another id
}

// putOff says whether a stream that failed is to be asked for again in a second turn. last is the last page that was
// read of it: a pass that has begun is not given up.
func (t *turn) putOff(s finance.Stream, last finance.CallID, err error) bool {
	failure, ok := errors.AsType[*fetch.Error](err)
	mayPass := ok && failure.Again
	begun := !last.IsZero()
	if !mayPass || t.second || begun {
		return false
	}
	t.failed[s] = failure
	return true
}

// tell is what came of asking for a stream. One that could not be asked for again, because the consent has no read left
// today, was answered something before, and that is the news.
func (t *turn) tell(s finance.Stream, err error) error {
	failure, ok := errors.AsType[*fetch.Error](err)
	before := t.failed[s]
	if !ok || failure.Class != finance.Spent || before == nil {
		return err
	}
	told := *before
	told.Reason += "; not asked again: " + failure.Reason
	return &told
}

// line are the consents of a batch that wait for their turn.
type line struct {
	mu      sync.Mutex
	waiting []*turn
	putOff  []*turn
	failing int // turns in a row that were put off
}

// newLine lines consents up in any order: those of one bank, or those that ended long ago, often stand together in a list,
// and so many refusals in a row would look as if nothing worked. Those that were begun before, and not decided, come last:
// they may be what held the batch up.
func newLine(consents [][]queue.Item) *line {
	l := &line{}
	for _, items := range consents {
		l.waiting = append(l.waiting, &turn{items: items, started: map[finance.Dataset]bool{},
			failed: map[finance.Stream]*fetch.Error{}, refused: map[finance.Stream]queue.Decision{}})
	}
	rand.Shuffle(len(l.waiting), func(i, j int) { l.waiting[i], l.waiting[j] = l.waiting[j], l.waiting[i] })
	slices.SortStableFunc(l.waiting, func(x, y *turn) int { return x.attempts() - y.attempts() })
	return l
}

// attempts is how often an undecided item of the consent was begun.
func (t *turn) attempts() int {
	most := 0
	for _, item := range t.items {
		if item.Outcome == "" {
			most = max(most, item.Attempts)
		}
	}
	return most
}

// elsewhere is after how many consents in a row that were put off the next one is taken from anywhere in the line: the
// consents of one bank often stand together.
const elsewhere = 4

// next is the consent whose turn it is.
func (l *line) next() *turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := 0
	if l.failing >= elsewhere {
		i = rand.IntN(len(l.waiting))
	}
	t := l.waiting[i]
	l.waiting = slices.Delete(l.waiting, i, i+1)
	return t
}

// ended notes how a turn has ended.
func (l *line) ended(t *turn, putOff bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !putOff {
		l.failing = 0
		return
	}
	l.failing++
	l.putOff = append(l.putOff, t)
}

// second is the line of those that were put off.
func (l *line) second() *line {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.putOff {
		t.second = true
	}
	return &line{waiting: l.putOff}
}
