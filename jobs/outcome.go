package jobs

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/admit"
	"syncer/persist/pg"
	"syncer/persist/queue"
)

// act is the outcome table: what becomes of the item, its consent and its connection when a request brought no
// usable answer. See docs/design.md, "What an answer means".
func (w *batchWork) act(ctx context.Context, item *queue.Item, f *fetch.Error) (queue.Decision, error) {
	d := queue.Decision{Outcome: finance.Failed, Class: f.Class, Reason: cmp.Or(f.Reason, f.Error()),
		Correlation: f.Correlation, Call: f.Call}
	again, err := w.underAnotherID(ctx, item, f)
	if err == nil && again {
		err = errRenewed
	}
	if err != nil {
		return d, err
	}
	switch f.Class {
	case finance.Throttled:
		return w.hold(ctx, item, f, d)
	case finance.Interrupted:
		return d, w.interruptedBy(ctx, f)
	case finance.Fenced:
		return d, pg.ErrFenced
	case finance.Refused, finance.Withheld:
		d.Outcome = finance.Excused
		return d, nil
	case finance.Spent:
		return w.outOfReads(ctx, item, d)
	case finance.ConsentOver:
		return w.refusedConsent(ctx, item, f, d)
	case finance.Suspected:
		d.Class = finance.ConsentOver // settling the run excuses it, if others were answered
		return d, nil
	case finance.Unanswered:
		return w.unanswered(ctx, item, f, d)
	case finance.Malformed:
		if f.Other {
			return d, w.wrongSubject(ctx, item, f)
		}
	case finance.TokenDenied, finance.Fatal:
		return w.unusable(ctx, item, f, d)
	}
	return d, nil // transient, rejected and malformed concern this item alone
}

// interruptedBy is the error of a call that was broken off: we are leaving, or something of our own has failed.
func (w *batchWork) interruptedBy(ctx context.Context, f *fetch.Error) error {
	if w.leaving() || ctx.Err() != nil {
		return errLeaving
	}
	return f
}

// unusable is for an item that met what speaks against the connection, or only seems to.
func (w *batchWork) unusable(ctx context.Context, item *queue.Item, f *fetch.Error, d queue.Decision) (queue.Decision, error) {
	switch {
	case f.Unasked:
		return d, nil // it is parked already, and to park it again would undo an operator who has just opened it
	case f.Purpose == calls.ForData && !f.Call.IsZero():
		return w.refusedCall(ctx, item, f, d)
	}
	return d, parkUnusable(ctx, w.Store, &w.log, w.conn.Name, f)
}

// outOfReads is for an item whose consent has no read left today. One that had begun is not excused: what it has is not
// all, or the reads went to calls that failed. What such a call was answered is the news, unless the next one would
// have told whether it matters.
func (w *batchWork) outOfReads(ctx context.Context, item *queue.Item, d queue.Decision) (queue.Decision, error) {
	d.Outcome = finance.Excused
	if item.Pages > 0 {
		d.Outcome = finance.Partial
		d.Reason = "not read to the end: " + d.Reason
		return d, nil
	}
	tried, err := w.Store.Admit.Tried(ctx, w.batch.Run, item.Consent.ID, item.Dataset)
	switch {
	case err != nil, tried.Calls == 0:
		return d, err
	case tried.Class == finance.TokenDenied: // the call with the new token was not made, so no token is to blame
		return queue.Decision{Outcome: finance.Failed, Class: d.Class,
			Reason:      d.Reason + "; the call before was answered: " + tried.Reason,
			Correlation: tried.Correlation, Call: tried.Call}, nil
	}
	return triedDecision(tried, "not asked again: "+d.Reason), nil
}

// triedDecision is the decision on an item that has only ever been answered badly.
func triedDecision(tried admit.Tried, why string) queue.Decision {
	return queue.Decision{Outcome: finance.Failed, Class: tried.Class, Reason: tried.Reason + "; " + why,
		Correlation: tried.Correlation, Call: tried.Call}
}

// deadAfter is how long a provider may leave every call unanswered before the items that wait for it fail. Until then
// their batches are parked again and again: that is no waste, because an open breaker lets one probe through at a time.
const deadAfter = 15 * time.Minute

// unnamedParks is how often an item parks its batch because it is throttled and no time is told, where others of its
// connection are answered: for one, two and four minutes. Such a provider means this item alone, whose run would
// otherwise never have its verdict.
const unnamedParks = 3

// longestUnnamedPark bounds what a batch is parked for, where no time is told.
const longestUnnamedPark = 16 * time.Minute

// refusedAfter is how long a provider may refuse everybody, without a time, before the items that wait for it fail.
const refusedAfter = 2 * time.Hour

// othersAnswered is how far back the good answer to another item may lie that shows that one item alone is refused.
const othersAnswered = 10 * time.Minute

// hold parks the batch while a gate is closed. A pause that the provider announced is waited for, however long it is; one
// of our own breaker, or one that is only guessed, is not waited for without end.
//
// A pause of one consent or account alone is that item's trouble: the batch goes on, and a rerun takes the item later.
func (w *batchWork) hold(ctx context.Context, item *queue.Item, f *fetch.Error, d queue.Decision) (queue.Decision, error) {
	if f.Alone {
		return d, nil
	}
	switch f.Told {
	case fetch.ToldByNobody:
		why, err := w.refusedForGood(ctx, item)
		if err != nil {
			return d, err
		}
		if why != "" {
			d.Reason = why + ": " + d.Reason
			return d, nil
		}
		wait := min(time.Minute<<min(item.Attempts, 10), longestUnnamedPark)
		w.parkFor(max(f.Wait, wait), d.Reason, f.Bucket)
		return d, errParked
	case calls.PauseByBreaker:
		dead, err := w.Store.Admit.SilentFor(ctx, w.conn.Name, w.batch.Run, deadAfter)
		if err != nil {
			return d, err
		}
		if dead {
			return w.ofDead(ctx, item)
		}
		if tried, down, err := w.down(ctx, item); down || err != nil {
			return tried, err
		}
	}
	w.parkFor(f.Wait, d.Reason, f.Bucket)
	return d, errParked
}

// refusedForGood says why an item that is throttled, without a time, is not waited for any longer; empty: it is.
func (w *batchWork) refusedForGood(ctx context.Context, item *queue.Item) (why string, err error) {
	silent, err := w.Store.Admit.SilentFor(ctx, w.conn.Name, w.batch.Run, refusedAfter)
	if err != nil {
		return fmt.Sprintf("the provider has refused every call for %s, and no time is told", refusedAfter), err
	}
	if silent {
		return fmt.Sprintf("the provider has refused every call for %s, and no time is told", refusedAfter), nil
	}
	if item.Attempts < unnamedParks {
		return "", nil
	}
	tried, err := w.Store.Admit.Tried(ctx, w.batch.Run, item.Consent.ID, item.Dataset)
	if err != nil {
		return "", err
	}
	if tried.Calls == 0 { // it has not had its turn: the gate is closed for another's refusals
		return "", nil
	}
	answered, err := w.Store.Admit.AnsweredIn(ctx, w.batch.Run)
	if err != nil {
		return "", err
	}
	if !answered {
		return "", nil
	}
	silent, err = w.Store.Admit.SilentFor(ctx, w.conn.Name, w.batch.Run, othersAnswered)
	if err != nil {
		return "", err
	}
	if silent {
		return "", nil
	}
	return "throttled again and again while others are answered, and no time is told", nil
}

// downAfter is how long an item that was answered badly waits for an open breaker, where others of the run were answered
// well: it is its own bank that is down, and a short trouble of the whole provider would be over.
const downAfter = time.Minute

// down says whether an item was asked for, and is not worth to be waited for. Then it gives the decision.
func (w *batchWork) down(ctx context.Context, item *queue.Item) (d queue.Decision, down bool, err error) {
	tried, err := w.Store.Admit.Tried(ctx, w.batch.Run, item.Consent.ID, item.Dataset)
	if err != nil {
		return d, false, err
	}
	if tried.Calls == 0 {
		return d, false, nil
	}
	answered, err := w.Store.Admit.AnsweredIn(ctx, w.batch.Run)
	if err != nil {
		return d, false, err
	}
	if !answered {
		return d, false, nil
	}
	silent, err := w.Store.Admit.SilentFor(ctx, w.conn.Name, w.batch.Run, downAfter)
	if err != nil {
		return d, false, err
	}
	if !silent {
		return d, false, nil
	}
	return triedDecision(tried, "others were answered well in this run"), true, nil
}

// ofDead is the decision on an item whose provider has not given a good answer to anybody for deadAfter. What the item
// itself was answered is the news. One that was never asked for has not failed.
func (w *batchWork) ofDead(ctx context.Context, item *queue.Item) (queue.Decision, error) {
	tried, err := w.Store.Admit.Tried(ctx, w.batch.Run, item.Consent.ID, item.Dataset)
	if err != nil {
		return queue.Decision{}, err
	}
	if tried.Calls > 0 {
		return triedDecision(tried, fmt.Sprintf("the provider has given nobody a good answer for %s", deadAfter)), nil
	}
	d := queue.Decision{Outcome: finance.Excused, Class: finance.Unasked,
		Reason: fmt.Sprintf("not asked for: the provider has given nobody a good answer for %s", deadAfter)}
	if item.Pages > 0 {
		d.Outcome = finance.Partial
		d.Reason = "not read to the end: " + d.Reason
	}
	return d, nil
}
