package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"syncer/finance"
	"syncer/persist"
)

// batchWork is one claimed batch in the hands of this process.
type batchWork struct {
	*Engine
	batch persist.Claimed
	job   Job
	conn  *Connection
	log   zerolog.Logger

	mu     sync.Mutex
	park   *parked // why no further item is begun; nil: go on
	broken bool    // an item met an error of our own, so none is begun either

	before   persist.Attempts // of a rerun: what the run and its reruns have done so far
	isolated map[int64]bool   // the consents of which records were in quarantine when the batch was claimed
}

// parked says that a batch can't go on before a time.
type parked struct {
	wait   time.Duration
	reason string
	bucket string // that is closed; empty: none
}

// errLeft ends an item whose worker has been asked to leave; the item stays undecided.
var errLeft = errors.New("the worker is leaving")

// errParked ends an item that met a closed gate; the item stays undecided.
var errParked = errors.New("the batch is parked")

// work answers a doorbell: it claims the batch, works its items and gives it back in one of four ways: done, parked,
// released, or lost to another worker. It returns no error to River, because everything that must be known stands in
// our tables and the sweep rings again.
func (e *Engine) work(ctx context.Context, batch int64) error {
	if e.leaving() {
		return nil
	}
	claimed, ok, err := e.Store.Claim(ctx, batch)
	if err != nil {
		e.Log.Warn().Err(err).Int64("batch", batch).Msg("claim failed; the sweep rings again")
		return nil
	}
	if !ok {
		return nil
	}
	e.Step("s0.claimed")
	log := e.Log.With().Int64("run", claimed.Run).Int64("batch", claimed.ID).Int64("fence", claimed.Fence).
		Str("job", claimed.Job).Str("connection", claimed.Connection).Logger()
	w := &batchWork{Engine: e, batch: claimed, log: log}
	if claimed.Poisoned {
		log.Error().Int("lost", claimed.Lost).Msg("batch has killed its workers: its open items have failed")
	} else {
		w.giveBack(ctx, w.workItems(ctx))
	}
	if ctx.Err() != nil { // the work was cut off
		last, cancel := lastly(ctx)
		defer cancel()
		ctx = last
	}
	if err := e.settle(ctx, claimed.Run); err != nil {
		log.Warn().Err(err).Msg("settling the run failed; the sweep tries again")
	}
	return nil
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
	if w.conn == nil {
		return errors.New("the connection " + w.batch.Connection + " is not configured in this process")
	}
	if err := w.makeUpFirst(ctx); err != nil || w.stopped() {
		return err
	}
	items, err := w.Store.Items(ctx, w.batch.ID)
	if err != nil {
		return err
	}
	if w.isolated, err = w.Store.Isolated(ctx, w.batch.ID); err != nil {
		return err
	}
	if w.batch.Kind == persist.Rerun {
		if w.before, err = w.Store.AttemptsBefore(ctx, w.batch.ID, w.batch.OfRun); err != nil {
			return err
		}
	}
	line := newLine(byConsent(items))
	if err := w.workLine(ctx, line); err != nil {
		return err
	}
	return w.workLine(ctx, line.second())
}

// workLine gives every consent in the line its turn.
func (w *batchWork) workLine(ctx context.Context, line *line) error {
	var group errgroup.Group
	group.SetLimit(w.conn.Concurrency)
	for range len(line.waiting) {
		if w.stopped() || ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			t := line.next()
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
func byConsent(items []persist.Item) [][]persist.Item {
	var cut [][]persist.Item
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
	for i := range items {
		if items[i].Outcome != "" {
			continue
		}
		if w.stopped() {
			return nil
		}
		decision, err := w.workItem(ctx, &items[i], t)
		if errors.Is(err, errLeft) || errors.Is(err, errParked) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.decide(ctx, &items[i], decision); err != nil {
			return err
		}
		if items[i].Consent.SingleUse && decision.Outcome != finance.Failed {
			// The stored answer is needed no more and the consent is spent. This comes after the decision: before it, a
			// crash would leave an open item of a consent that may not be called for.
			if err := w.Store.SettleInbox(ctx, items[i].Consent.ID); err != nil {
				return err
			}
		}
		items[i].Outcome, items[i].Class, items[i].Reason = decision.Outcome, decision.Class, decision.Reason
	}
	return nil
}

func (w *batchWork) decide(ctx context.Context, item *persist.Item, d persist.Decision) error {
	w.Step("s12.decide")
	if err := w.Store.DecideItem(ctx, w.batch.ID, w.batch.Fence, item.Consent.ID, item.Dataset, d); err != nil {
		return err
	}
	event := w.log.Debug()
	switch d.Outcome {
	case finance.Failed:
		event = w.log.Warn()
	case finance.Partial, finance.Excused:
		event = w.log.Info()
	}
	event.Int64("consent", item.Consent.ID).Str("dataset", string(item.Dataset)).Str("outcome", string(d.Outcome)).
		Str("class", string(d.Class)).Str("reason", d.Reason)
	if d.Correlation != "" {
		event.Str("correlation_id", d.Correlation)
	}
	if !d.Call.IsZero() {
		event.Stringer("request_id", d.Call)
	}
	event.Msg("item decided")
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
	if errors.Is(err, persist.ErrFenced) {
		w.log.Warn().Msg("fenced off: another worker has taken the batch over; nothing was written")
		return
	}
	back := w.wayBack(err)
	// The lease is the process's, so a batch that is not given back would be held for as long as the process lives.
	for {
		err := lastStatement(ctx, back)
		if err == nil || errors.Is(err, persist.ErrFenced) {
			return
		}
		w.log.Warn().Err(err).Msg("giving the batch back failed; it is tried again")
		if w.leaving() {
			return
		}
		select {
		case <-w.leave:
		case <-time.After(time.Second):
		}
	}
}

func lastStatement(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := lastly(ctx)
	defer cancel()
	return f(ctx)
}

// wayBack is how the batch is given back after its work ended with err. It is chosen once: that giving back fails, as it
// does while the database is away, is no further interruption.
func (w *batchWork) wayBack(err error) func(context.Context) error {
	park := func(p persist.Parking) func(context.Context) error {
		return func(ctx context.Context) error { return w.Store.Park(ctx, w.batch.ID, w.batch.Fence, p) }
	}
	switch {
	case err == nil && w.park != nil:
		w.log.Info().Dur("wait", w.park.wait).Str("reason", w.park.reason).Msg("batch parked")
		return park(persist.Parking{For: w.park.wait, Reason: w.park.reason, Bucket: w.park.bucket})
	case err == nil && !w.leaving():
		w.Step("s14.finish")
		w.rested(false)
		return func(ctx context.Context) error { return w.Store.Finish(ctx, w.batch.ID, w.batch.Fence) }
	case err == nil || errors.Is(err, context.Canceled):
		return func(ctx context.Context) error { return w.Store.Release(ctx, w.batch.ID, w.batch.Fence) }
	}
	rest := w.rested(true)
	w.log.Error().Err(err).Dur("wait", rest).Msg("batch interrupted; it is tried again in a while")
	return park(persist.Parking{For: rest, Reason: "interrupted: " + err.Error()})
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
