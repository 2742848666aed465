package jobs

import (
	"context"
	"fmt"
	"time"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist"
)

// act is the outcome table: what becomes of the item, its consent and its connection when a request brought no
// usable answer. See docs/design.md, "What an answer means".
func (w *batchWork) act(ctx context.Context, item *persist.Item, f *fetch.Error) (persist.Decision, error) {
	d := persist.Decision{Outcome: finance.Failed, Class: f.Class, Reason: f.Reason, Correlation: f.Correlation, Call: f.Call}
	if d.Reason == "" {
		d.Reason = f.Error()
	}
	switch f.Class {
	case finance.Throttled:
		return w.hold(ctx, item, f, d)
	case finance.Interrupted:
		if w.leaving() || ctx.Err() != nil {
			return d, errLeft
		}
		return d, f
	case finance.Fenced:
		return d, persist.ErrFenced
	case finance.Refused, finance.Withheld:
		d.Outcome = finance.Excused
		return d, nil
	case finance.Spent:
		return w.outOfReads(ctx, item, d)
	case finance.ConsentOver:
		return w.endConsent(ctx, item, f, d)
	case finance.Unanswered:
		return d, w.Store.UnansweredConsent(ctx, item.Consent.ID, f.Call)
	case finance.Malformed:
		if f.Other {
			return d, w.wrongSubject(ctx, item, f)
		}
	case finance.TokenDenied, finance.Fatal:
		if f.Unasked {
			return d, nil // it is parked already, and to park it again would undo an operator who has just opened it
		}
		if f.Class == finance.TokenDenied {
			alone, err := w.Store.RefusedAlone(ctx, w.conn.Name, item.Consent.ID, tokenRefusedTo, tooManyWithin)
			if alone || err != nil {
				d.Class, d.Reason = finance.Rejected, "the token was refused again, so far for this consent alone: "+d.Reason
				return d, err
			}
		}
		return d, parkUnusable(ctx, w.Store, &w.log, w.conn.Name, f)
	}
	return d, nil // transient, rejected and malformed concern this item alone
}

// outOfReads is for an item whose consent has no read left today. One that had begun is not excused: what it has is not
// all, or the reads went to calls that failed.
func (w *batchWork) outOfReads(ctx context.Context, item *persist.Item, d persist.Decision) (persist.Decision, error) {
	d.Outcome = finance.Excused
	if item.Pages > 0 {
		d.Outcome = finance.Partial
		d.Reason = "not read to the end: " + d.Reason
		return d, nil
	}
	tried, err := w.Store.Tried(ctx, w.batch.Run, item.Consent.ID, item.Dataset)
	if err == nil && tried.Calls > 0 {
		d = triedDecision(tried, "not asked again: "+d.Reason)
	}
	return d, err
}

// triedDecision is the decision on an item that has only ever been answered badly.
func triedDecision(tried persist.Tried, why string) persist.Decision {
	return persist.Decision{Outcome: finance.Failed, Class: tried.Class, Reason: tried.Reason + "; " + why,
		Correlation: tried.Correlation, Call: tried.Call}
}

// deadAfter is how long a provider may leave every call unanswered before the items that wait for it fail. Until then
// their batches are parked again and again: that is no waste, because an open breaker lets one probe through at a time.
const deadAfter = 15 * time.Minute

// untoldParks is how often an item parks its batch because it is throttled and no time is told, where others of its
// connection are answered: for one, two and four minutes. Such a provider means this item alone, whose run would
// otherwise never have its verdict.
const untoldParks = 3

// longestUntoldPark bounds what a batch is parked for, where no time is told.
const longestUntoldPark = 16 * time.Minute

// refusedAfter is how long a provider may refuse everybody, without a time, before the items that wait for it fail.
const refusedAfter = 2 * time.Hour

// othersAnswered is how far back the good answer to another item may lie that shows that one item alone is refused.
const othersAnswered = 10 * time.Minute

// hold parks the batch while a gate is closed. A pause that the provider announced is waited for, however long it is; one
// of our own breaker, or one that is only guessed, is not waited for without end.
//
// A pause of one consent or account alone is that item's trouble: the batch goes on, and a rerun takes the item later.
func (w *batchWork) hold(ctx context.Context, item *persist.Item, f *fetch.Error, d persist.Decision) (persist.Decision, error) {
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
		wait := min(time.Minute<<min(item.Attempts, 10), longestUntoldPark)
		w.parkFor(max(f.Wait, wait), d.Reason, f.Bucket)
		return d, errParked
	case fetch.ToldByBreaker:
		dead, err := w.Store.SilentFor(ctx, w.conn.Name, w.batch.Run, deadAfter)
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
func (w *batchWork) refusedForGood(ctx context.Context, item *persist.Item) (why string, err error) {
	silent, err := w.Store.SilentFor(ctx, w.conn.Name, w.batch.Run, refusedAfter)
	if err != nil || silent {
		return fmt.Sprintf("the provider has refused every call for %s, and no time is told", refusedAfter), err
	}
	if item.Attempts < untoldParks {
		return "", nil
	}
	answered, err := w.Store.AnsweredIn(ctx, w.batch.Run)
	if err != nil || !answered {
		return "", err
	}
	silent, err = w.Store.SilentFor(ctx, w.conn.Name, w.batch.Run, othersAnswered)
	if err != nil || silent {
		return "", err
	}
	return "throttled again and again while others are answered, and no time is told", nil
}

// downAfter is how long an item that was answered badly waits for an open breaker, where others of the run were answered
// well: it is its own bank that is down, and a short trouble of the whole provider would be over.
const downAfter = time.Minute

// down says whether an item was asked for, and is not worth to be waited for. Then it gives the decision.
func (w *batchWork) down(ctx context.Context, item *persist.Item) (d persist.Decision, down bool, err error) {
	tried, err := w.Store.Tried(ctx, w.batch.Run, item.Consent.ID, item.Dataset)
	if err != nil || tried.Calls == 0 {
		return d, false, err
	}
	answered, err := w.Store.AnsweredIn(ctx, w.batch.Run)
	if err != nil || !answered {
		return d, false, err
	}
	silent, err := w.Store.SilentFor(ctx, w.conn.Name, w.batch.Run, downAfter)
	if err != nil || !silent {
		return d, false, err
	}
	return triedDecision(tried, "others were answered well in this run"), true, nil
}

// ofDead is the decision on an item whose provider has not given a good answer to anybody for deadAfter. What the item
// itself was answered is the news. One that was never asked for has not failed.
func (w *batchWork) ofDead(ctx context.Context, item *persist.Item) (persist.Decision, error) {
	tried, err := w.Store.Tried(ctx, w.batch.Run, item.Consent.ID, item.Dataset)
	if err != nil {
		return persist.Decision{}, err
	}
	if tried.Calls > 0 {
		return triedDecision(tried, fmt.Sprintf("the provider has given nobody a good answer for %s", deadAfter)), nil
	}
	d := persist.Decision{Outcome: finance.Excused, Class: finance.Unasked,
		Reason: fmt.Sprintf("not asked for: the provider has given nobody a good answer for %s", deadAfter)}
	if item.Pages > 0 {
		d.Outcome = finance.Partial
		d.Reason = "not read to the end: " + d.Reason
	}
	return d, nil
}

// tooMany is when refused consents are no longer believed: the larger of a handful and two in a hundred, within
// minutes, are a broken token or a broken provider.
const (
	tooManyHandful = 5
	tooManyPercent = 2
	tooManyWithin  = 10 * time.Minute
)

// tokenRefusedTo is how many other consents must have been refused with good tokens, one after the other, before the token
// is to blame and not the consent: some providers answer 401 for a consent that is over.
const tokenRefusedTo = 3

// endConsent ends a consent that its provider refused, unless so many were refused at once that it can't be true:
// then nothing is revoked, the connection is parked, and the item fails.
func (w *batchWork) endConsent(ctx context.Context, item *persist.Item, f *fetch.Error, d persist.Decision) (persist.Decision, error) {
	status := f.Consent
	if status == "" {
		status = finance.ConsentRevoked
	}
	d.Outcome, d.Reason = finance.Excused, fmt.Sprintf("consent %s: %s", status, f.Reason)
	if f.Unasked { // there is no grant to ask with: the provider has said nothing that could be disbelieved
		_, err := w.Store.EndConsent(ctx, item.Consent.ID, status, f.Reason, persist.FromGrant, finance.CallID{})
		return d, err
	}
	disbelieved, parked, err := w.Store.RefuseConsent(ctx, persist.Refusal{
		Connection: w.conn.Name, Credentials: w.conn.credentials(), Batch: w.batch.ID, Fence: w.batch.Fence, Status: status, Reason: f.Reason,
		Item: persist.Decided{Consent: item.Consent.ID, Dataset: item.Dataset, Decision: d},
	}, persist.Disbelief{Handful: tooManyHandful, Percent: tooManyPercent, Window: tooManyWithin})
	if parked {
		tellParked(&w.log, w.conn.Name, finance.Fatal, disbelieved)
	}
	if disbelieved != "" {
		d.Outcome, d.Class, d.Reason = finance.Failed, finance.Fatal, disbelieved
	}
	return d, err
}
