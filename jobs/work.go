package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/queue"
)

// batchWork is one claimed batch in the hands of this process.
type batchWork struct {
	*Engine
	batch queue.Claimed
	job   Job
	conn  *Connection
	log   zerolog.Logger

	mu     sync.Mutex
	park   *parked // why no further item is begun; nil: go on
	broken bool    // an item met an error of our own, so none is begun either

	columns *columns
	members members // what the consents that had their turn have brought
	told    told    // what the log has said of items

	before   queue.Attempts // of a rerun: what the run and its reruns have done so far
	isolated map[int64]bool // the consents of which records were in quarantine when the batch was claimed

	changes map[int64][]*keyChange     // by consent: streams whose rows have old keys
	rekeyed map[finance.Dataset]string // why a dataset of the batch may not be read, see checkKeys; empty: it may
}

// parked says that a batch can't go on before a time.
type parked struct {
	wait   time.Duration
	reason string
	bucket string // that is closed; empty: none
}

// errLeaving ends an item whose worker has been asked to leave; the item stays undecided.
var errLeaving = errors.New("the worker is leaving")

// errParked ends an item that met a closed gate; the item stays undecided.
var errParked = errors.New("the batch is parked")

// work answers a wake-up: it claims the batch, works its items and gives it back in one of four ways: done, parked,
// released, or lost to another worker. It gives no error, because everything that must be known stands in our tables and
// the sweep wakes a worker again; worked says that the batch was claimed.
func (e *Engine) work(ctx context.Context, batch int64) (worked bool) {
	if !e.mayWork(ctx, batch) || !e.hands.take(batch) {
		return false
	}
	leaveHand := sync.OnceFunc(func() { e.hands.leave(batch) })
	defer leaveHand()
	claimed, ok := e.claim(ctx, batch)
	if !ok {
		return false
	}
	e.Step("batch.claimed")
	log := e.Log.With().Int64("run", claimed.Run).Int64("batch", claimed.ID).Int64("fence", claimed.Fence).
		Str("job", claimed.Job).Str("connection", claimed.Connection).Logger()
	w := &batchWork{Engine: e, batch: claimed, log: log, columns: newColumns()}
	if claimed.Poisoned {
		log.Error().Int("lost", claimed.Lost).Msg("batch has killed its workers: its open items have failed")
	} else {
		err := w.workItems(ctx)
		w.tellRest()
		if err == nil {
			w.keepMembers(ctx)
		}
		w.nameCauses(ctx)
		w.giveBack(ctx, err)
	}
	leaveHand()
	if ctx.Err() != nil { // the work was cut off
		last, cancel := finalContext(ctx)
		defer cancel()
		ctx = last
	}
	if err := e.settle(ctx, claimed.Run); err != nil {
		log.Warn().Err(err).Msg("settling the run failed; the sweep tries again")
	}
	if err := e.wakeNext(ctx, claimed.ID); err != nil {
		log.Warn().Err(err).Msg("no worker could be woken for the batch that is next in line; it asks again by itself")
	}
	if e.leaving() { // the batch may not be done: a wake-up for one that is costs a look
		again := queue.DueBatch{ID: claimed.ID, Run: claimed.Run, Job: claimed.Job, Fence: claimed.Fence,
			Backfill: !claimed.WindowFrom.IsZero()}
		if err := e.waker.again(ctx, []queue.DueBatch{again}); err != nil {
			log.Warn().Err(err).Msg("no worker could be woken for the batch that was given back; the sweep does it")
		}
	}
	return true
}

// claim claims a batch that is in our hand. A claim that fails may have been committed all the same, its
// answer lost with the line: the lease is the process's, so the batch would be held for as long as the process
// lives, by nobody who knows of it.
func (e *Engine) claim(ctx context.Context, batch int64) (claimed queue.Claimed, ok bool) {
	claimed, ok, err := e.Store.Queue.ClaimOf(ctx, batch, e.only.named())
	if err != nil {
		log := e.Log.With().Int64("batch", batch).Logger()
		log.Warn().Err(err).Msg("the batch could not be claimed; the sweep wakes a worker for it again")
		_ = e.insist(ctx, log, func(ctx context.Context) error { return e.Store.Queue.Disown(ctx, batch) }) // the log has it
		return claimed, false
	}
	if claimed.InLine {
		e.inLine.Store(true)
	}
	return claimed, ok
}

// wakeNext wakes workers for the batches that waited for one that was just given back.
func (e *Engine) wakeNext(ctx context.Context, batch int64) error {
	next, err := e.Store.Queue.NextInLine(ctx, batch)
	if err != nil {
		return err
	}
	return e.waker.again(ctx, next)
}

// mayWork says whether a batch's connection leads, for this process, where the database says it does. After a move a process
// with the old configuration sends nothing for it, and says so; one with the new configuration works the batch.
func (e *Engine) mayWork(ctx context.Context, batch int64) bool {
	name, err := e.Store.Queue.ConnectionOf(ctx, batch)
	conn := e.connections[name]
	switch {
	case errors.Is(err, pg.ErrNotFound): // where there is one such wake-up there may be thousands
		err = errors.Join(err, e.dropVain(ctx))
	case err != nil:
	case conn == nil: // planned by a process with another configuration; our sweep leaves it out
		err = fmt.Errorf("connection %s is not configured in this process", name)
	default:
		err = e.Store.Connections.CheckEndpoint(ctx, name, conn.Endpoint)
	}
	if err != nil {
		e.Log.Warn().Err(err).Int64("batch", batch).Msg("the batch is left to others")
	}
	return err == nil
}

// workItems works every undecided item. Consents are worked side by side; the datasets of one consent in order. An
// error of our own ends the work, but not before the other consents' pages in hand are stored: cutting those off would
// have their calls made again.
func (w *batchWork) workItems(ctx context.Context) error {
	var err error
	if w.job, err = w.Job(w.batch.Job); err != nil {
		return err
	}
	w.conn = w.connections[w.batch.Connection]
	if err := w.catchUpFeedFirst(ctx); err != nil || w.stopped() {
		return err
	}
	tried, err := w.Store.Consents.TakeUpRenewals(ctx, w.batch.ID)
	if err != nil {
		return err
	}
	if tried > 0 {
		w.Step("renewed.tried")
	}
	items, err := w.Store.Queue.Items(ctx, w.batch.ID)
	if err != nil {
		return err
	}
	if err := w.checkKeys(ctx, items); err != nil {
		return err
	}
	if err := w.loadKeyChanges(ctx); err != nil {
		return err
	}
	if w.isolated, err = w.Store.Streams.Isolated(ctx, w.batch.ID); err != nil {
		return err
	}
	if w.batch.Kind == queue.Rerun {
		if w.before, err = w.Store.Queue.AttemptsBefore(ctx, w.batch.ID, w.batch.OfRun); err != nil {
			return err
		}
	}
	line := newLine(byConsent(items))
	if err := w.workLine(ctx, line); err != nil {
		return err
	}
	return w.workLine(ctx, line.second())
}

// workLine gives every consent in the line its turn. Each has a seat for its calls, which it may leave before its turn ends: the
// pages of as many consents as are asked for may wait for their commit beside them.
func (w *batchWork) workLine(ctx context.Context, line *line) error {
	var group errgroup.Group
	group.SetLimit(2 * w.conn.Concurrency)
	seats := make(chan struct{}, w.conn.Concurrency)
	for range len(line.waiting) {
		if w.stopped() || ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			seats <- struct{}{}
			leaveSeat := sync.OnceFunc(func() { <-seats })
			defer leaveSeat()
			if w.stopped() || ctx.Err() != nil {
				return nil
			}
			t := line.next()
			t.leaveSeat = leaveSeat
			err := w.workConsent(ctx, t)
			line.ended(t, errors.Is(err, errPutOff))
			if err == nil || errors.Is(err, errPutOff) {
				return nil
			}
			w.breakOff()
			return err
		})
	}
	return group.Wait()
}

// byConsent cuts the items, which are in working order, into those of one consent each.
func byConsent(items []queue.Item) [][]queue.Item {
	var cut [][]queue.Item
	for start := 0; start < len(items); {
		end := start + 1
		for end < len(items) && items[end].Consent.ID == items[start].Consent.ID {
			end++
		}
		cut = append(cut, items[start:end])
		start = end
	}
	return cut
}

// workConsent works the items of a consent, one after the other. With errPutOff it wants another turn.
func (w *batchWork) workConsent(ctx context.Context, t *turn) error {
	items := t.items
	for i := 0; i < len(items); {
		if items[i].Outcome != "" {
			i++
			continue
		}
		if !w.enter(ctx.Done()) {
			return nil
		}
		err := w.workOpenItem(ctx, &items[i], t)
		w.conn.judging.ended()
		switch {
		case errors.Is(err, errRenewed) && t.renewals < mostRenewals:
			if err := w.renewed(ctx, t); err != nil {
				return err
			}
			continue // the same item again
		case errors.Is(err, errLeaving), errors.Is(err, errParked):
			return nil
		case err != nil:
			return err
		}
		i++
	}
	w.noteMembers(t)
	return nil
}

// workOpenItem works an item that is not decided yet, and decides it.
func (w *batchWork) workOpenItem(ctx context.Context, item *queue.Item, t *turn) error {
	if w.stopped() {
		return errLeaving
	}
	decision, err := w.workItem(ctx, item, t)
	if errors.Is(err, errUnspent) { // not twice: the call that is made now is too young to be asked about
		decision, err = w.workItem(ctx, item, t)
	}
	if err != nil {
		return err
	}
	if err := w.decide(ctx, item, decision); err != nil {
		return err
	}
	if err := w.clear(ctx, item, decision); err != nil {
		return err
	}
	if item.Consent.SingleUse && decision.Outcome != finance.Failed {
		// The stored answer is needed no more and the consent is spent. This comes after the decision: before it, a
		// crash would leave an open item of a consent that may not be called for.
		if err := w.Store.Consents.Consume(ctx, item.Consent.ID); err != nil {
			return err
		}
	}
	item.Outcome = decision.Outcome
	item.Class = decision.Class
	item.Reason = decision.Reason
	return nil
}

func (w *batchWork) decide(ctx context.Context, item *queue.Item, d queue.Decision) error {
	w.Step("item.deciding")
	if err := w.Store.Queue.DecideItem(ctx, w.batch.ID, w.batch.Fence, item.Consent.ID, item.Dataset, d); err != nil {
		return err
	}
	w.tell(queue.Decided{Consent: item.Consent.ID, Dataset: item.Dataset, Decision: d})
	return nil
}

// stopped says that no further item may be begun.
func (w *batchWork) stopped() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.park != nil || w.broken || w.leaving()
}

// brokenOff says that what is in hand is the last of this claim.
func (w *batchWork) brokenOff() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broken || w.leaving()
}

func (w *batchWork) breakOff() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = true
}

// parkFor notes that a gate stays closed. The batch wakes when the first of its closed buckets opens.
func (w *batchWork) parkFor(wait time.Duration, reason, bucket string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.park == nil || wait < w.park.wait {
		w.park = &parked{wait, reason, bucket}
	}
}

// giveBack ends this worker's hold on the batch. Its last statement is deliberate: it must be tried even when the
// work was cut off, because a batch that is not given back waits for its lease to end.
func (w *batchWork) giveBack(ctx context.Context, err error) {
	if errors.Is(err, pg.ErrFenced) {
		w.log.Warn().Msg("fenced off: another worker has taken the batch over; nothing was written")
		w.outlived(ctx)
		return
	}
	// The lease is the process's, so a batch that is not given back would be held for as long as the process lives.
	err = w.insist(ctx, w.log, w.chooseReturn(err))
	if errors.Is(err, pg.ErrFenced) {
		w.outlived(ctx)
	}
}

// insist makes the statement that gives a batch back until the database has heard it, or the process leaves.
// Its error is nil, ErrFenced, or that of a process that leaves; the log has been told.
func (e *Engine) insist(ctx context.Context, log zerolog.Logger, back func(context.Context) error) error {
	for {
		err := lastStatement(ctx, back)
		if err == nil || errors.Is(err, pg.ErrFenced) {
			return err
		}
		log.Warn().Err(err).Msg("giving the batch back failed; it is tried again")
		if e.leaving() {
			return err
		}
		select {
		case <-e.leave:
		case <-time.After(time.Second):
		}
	}
}

// nameCauses names why items of the batch are not whole. What fails here is named when the run is settled.
func (w *batchWork) nameCauses(ctx context.Context) {
	if err := w.Store.Queue.NameCauses(ctx, w.batch.ID); err != nil && ctx.Err() == nil {
		w.log.Warn().Err(err).Msg("the causes of items are named when the run is settled")
	}
}

// outlived says of a batch that was taken over that this worker has not died of it.
func (w *batchWork) outlived(ctx context.Context) {
	err := lastStatement(ctx, func(ctx context.Context) error {
		return w.Store.Queue.Outlived(ctx, w.batch.ID, w.batch.Fence)
	})
	if err != nil {
		w.log.Warn().Err(err).Msg("the batch counts as one of which this worker has died")
	}
}

func lastStatement(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := finalContext(ctx)
	defer cancel()
	return f(ctx)
}

// chooseReturn is how the batch is given back after its work ended with err. It is chosen once: that giving back fails, as it
// does while the database is away, is no further interruption.
func (w *batchWork) chooseReturn(err error) func(context.Context) error {
	park := func(p queue.Parking) func(context.Context) error {
		return func(ctx context.Context) error { return w.Store.Queue.Park(ctx, w.batch.ID, w.batch.Fence, p) }
	}
	switch {
	case err == nil && w.park != nil:
		w.log.Info().Stringer("wait", w.park.wait.Round(time.Millisecond)).Str("reason", w.park.reason).Msg("batch parked")
		return park(queue.Parking{For: w.park.wait, Reason: w.park.reason, Bucket: w.park.bucket})
	case err == nil && !w.leaving():
		w.Step("batch.finishing")
		w.rested(false)
		return w.finish
	case err == nil, errors.Is(err, context.Canceled):
		return func(ctx context.Context) error { return w.Store.Queue.Release(ctx, w.batch.ID, w.batch.Fence) }
	}
	rest := w.rested(true)
	w.log.Error().Err(err).Stringer("wait", rest).Msg("batch interrupted; it is tried again in a while")
	return park(queue.Parking{For: rest, Reason: "interrupted: " + err.Error()})
}

// finish gives the batch back as done. Where a crash of Postgres has taken back what was decided last, it is to be claimed again: we
// believe the item to be decided, and would be told for ever that it is not.
func (w *batchWork) finish(ctx context.Context) error {
	err := w.Store.Queue.Finish(ctx, w.batch.ID, w.batch.Fence)
	if !errors.Is(err, queue.ErrUndecided) {
		return err
	}
	w.log.Warn().Msg("the database has lost what was decided last, as in a crash: the batch is claimed again")
	return w.Store.Queue.Release(ctx, w.batch.ID, w.batch.Fence)
}

// A batch rests after an error of our own, such as an unreachable database: the longer, the more often in a row.
const (
	retryBatch  = 5 * time.Second
	restAtMost  = time.Minute
	restDoubles = 4
)

// rested gives how long the batch rests if it was interrupted again, and forgets its interruptions if not.
func (w *batchWork) rested(again bool) time.Duration {
	w.restsMu.Lock()
	defer w.restsMu.Unlock()
	if !again {
		delete(w.rests, w.batch.ID)
		return 0
	}
	n := w.rests[w.batch.ID]
	w.rests[w.batch.ID] = min(n+1, restDoubles)
	return min(retryBatch<<n, restAtMost)
}
