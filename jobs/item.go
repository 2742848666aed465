package jobs

import (
	"cmp"
	"context"
	"errors"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/resume"
	"syncer/finance"
	"syncer/persist/queue"
	"syncer/persist/write"
)

// workItem reads every stream of one item and says how it ended. errLeaving and errParked leave it undecided.
//
// errPutOff wants it worked again, in a second turn of its consent; errRenewed at once, with the consent as it is now.
func (w *batchWork) workItem(ctx context.Context, item *queue.Item, t *turn) (d queue.Decision, err error) {
	defer func() {
		if e := w.recovered(recover(), item); e != nil {
			d, err = w.outcomeOf(ctx, item, e)
		}
	}()
	if !t.started[item.Dataset] {
		if err := w.Store.Queue.StartItem(ctx, w.batch.ID, w.batch.Fence, item.Consent.ID, item.Dataset); err != nil {
			return queue.Decision{}, err
		}
		t.started[item.Dataset] = true
	}
	if why := w.rekeyed[item.Dataset]; why != "" {
		return queue.Decision{Outcome: finance.Failed, Class: finance.Rejected, Reason: why}, nil
	}
	if err := item.Consent.Subject.Unopened(); err != nil {
		return queue.Decision{Outcome: finance.Failed, Class: finance.Malformed, Reason: err.Error()}, nil
	}
	sum := tally{turn: t, records: item.Records, quarantined: item.Quarantined, partial: item.Partial, contested: item.Contested}
	defer func() {
		if errors.Is(err, errPutOff) || errors.Is(err, errRenewed) {
			sum.keepIn(item)
		}
	}()
	if w.conn.Connector.PerAccount(item.Dataset) {
		return w.workAccounts(ctx, item, &sum)
	}
	s := w.streamOf(item, "")
	last, err := w.readStream(ctx, item, s, &sum)
	if t.putOff(s, last, err) {
		return queue.Decision{}, errPutOff
	}
	if err != nil {
		return w.outcomeOf(ctx, item, t.tell(s, err))
	}
	sum.last = last
	t.well = true
	return w.decideBy(ctx, item, &sum)
}

// decideBy is the outcome of an item by what its streams have brought, and by what of them is in quarantine. That is asked only
// where there is a sign of it.
func (w *batchWork) decideBy(ctx context.Context, item *queue.Item, sum *tally) (queue.Decision, error) {
	if sum.isolated || sum.quarantined > 0 || sum.contested {
		open, err := w.Pages.OpenQuarantine(ctx, w.streamOf(item, ""), w.batch.Run)
		if err != nil {
			return queue.Decision{}, err
		}
		sum.open = open
	}
	return sum.decide(), nil
}

// streamOf names the stream of an item, or the one of an account of it.
func (w *batchWork) streamOf(item *queue.Item, account string) finance.Stream {
	return finance.Stream{Consent: item.Consent.ID, Dataset: item.Dataset, Account: account, Span: w.span()}
}

// span names the window of a backfill, whose streams have cursors of their own.
func (w *batchWork) span() string {
	if w.batch.WindowFrom.IsZero() {
		return ""
	}
	return w.batch.WindowFrom.String() + ".." + w.batch.WindowTo.String()
}

// readStream reads one stream to the end of its pass and commits its pages, in order. It gives the last call.
func (w *batchWork) readStream(ctx context.Context, item *queue.Item, s finance.Stream, sum *tally) (last finance.CallID, err error) {
	cursor, kept, err := w.Pages.StateAndKept(ctx, s)
	if err != nil {
		return last, err
	}
	whole := w.readBefore(item, s, cursor)
	sum.isolated = sum.isolated || w.isolated[s.Consent]
	if cursor.Missing != "" && (cursor.MidPass || whole) {
		sum.note("of the earlier pages is missing: " + cursor.Missing)
	}
	if whole {
		return last, w.replaceOwn(ctx, w.keyChange(s), item, s, sum)
	}
	change := w.keyChangeAt(s, cursor)
	nightly := s.Span == "" && change == nil
	if !nightly && !cursor.MidPass {
		// A window is read from its first day, whoever has read it before; what is to replace all rows, from the beginning.
		cursor.Position = ""
	}
	if !nightly || !cursor.Found {
		kept = nil // the rows of a backfill come by nightly pages too, so its own tell nothing
	}
	line := w.Committer.Line(aheadBytes)
	stream := w.stream(item, s)
	sum.takes(&stream)
	stream.Stale = cursor.MidPass && cursor.PassRun != w.batch.Run
	pages := newRemembered(kept, cursor.MidPass)
	stream.Kept = pages.kept
	stream.Reported = cursor.Reported
	if change != nil {
		stream.Since = w.replacedFrom(&stream)
		stream.Rows = stagedRows{storedRows{w.Pages, s, w.batch.Run}}
	}
	last, err = w.readPages(ctx, item, stream, cursor, pages, line, sum)
	// What was handed in comes home first: the item must not be decided while a page of it is being written, and the
	// pages before a failed call count.
	drain := line.Drain
	wellRead := err == nil && change == nil
	if wellRead && w.asksNoMore(item, s, sum.turn) {
		sum.turn.leaveSeat()
		drain = line.DrainInCompany
	}
	err = cmp.Or(drain(ctx), err)
	if line.Withheld() > 0 {
		sum.note(write.RemovalsWithheld)
	}
	sum.addAside(s.Dataset == item.Dataset, line.Aside())
	sum.contested = sum.contested || line.Contested() > 0
	if err != nil {
		return last, err
	}
	return last, w.replaceOwn(ctx, change, item, s, sum)
}

// readBefore says that an earlier claim of this batch has read the stream to its end. A list of accounts that was read
// under the consent's id before does not count.
func (w *batchWork) readBefore(item *queue.Item, s finance.Stream, at write.StreamState) bool {
	ended := at.Found && !at.MidPass && at.Run == w.batch.Run
	itsList := s.Dataset != item.Dataset
	return ended && !(itsList && at.Moved.Before(item.Consent.RenewedAt))
}

// asksNoMore says that a stream that was read to its end is the last one that a consent is asked for in its turn. Its pages need
// not be written at once then, while the calls of another consent begin: most of what a small answer costs is its transaction. An
// answer that can't be asked for again, or not today, is not left lying about.
func (w *batchWork) asksNoMore(item *queue.Item, s finance.Stream, t *turn) bool {
	itsOnly := s.Dataset == item.Dataset && !w.conn.Connector.PerAccount(item.Dataset)
	repeatable := !item.Consent.SingleUse && item.Consent.ReadsPerDay == 0
	undecided := 0
	for i := range t.items {
		if t.items[i].Outcome == "" {
			undecided++
		}
	}
	return itsOnly && repeatable && undecided == 1
}

// replaceOwn replaces the rows of a stream that has come to its end, where they wait for no other stream.
func (w *batchWork) replaceOwn(ctx context.Context, c *keyChange, item *queue.Item, s finance.Stream, sum *tally) error {
	if c == nil {
		return nil
	}
	if c.Account != s.Account {
		return nil
	}
	return w.replaceKeys(ctx, c, item, []string{s.Account}, sum)
}

// aheadBytes is how much of a stream may wait for its commit while the next page is fetched: some tens of pages of a
// hundred records, or a few of a thousand. With half of it a stream whose pages are unchanged waits for commits. A process
// that is killed asks for them again, so it is not more; and where calls are paced a page is committed long before the
// next one may be asked for.
const aheadBytes = 1 << 20

// readPages reads a stream to the end of its pass and hands its pages to the writer. It gives the last call.
func (w *batchWork) readPages(ctx context.Context, item *queue.Item, s fetch.Stream, from write.StreamState, known *remembered,
	line *write.Line, sum *tally) (last finance.CallID, err error) {
	defer func() { // here already, so that the pages handed in come home before the item is decided
		if e := w.recovered(recover(), item); e != nil {
			err = e
		}
	}()
	isolated := w.isolated[s.Task.Consent.ID]
	made := newReports(from)
	for page, err := range w.conn.Connector.Pages(ctx, s, from.Position) {
		if err != nil {
			return last, err
		}
		if err := w.answered(ctx, item, sum.turn, page.Answer.Call.ID); err != nil {
			return last, err
		}
		w.Step("page.decoded")
		write := w.pageWrite(s, page, !from.Found)
		write.Since = firstDay(s, page, from)
		write.Opens = last.IsZero() && !from.MidPass
		write.Whole = lookTwice(item, page.Whole, s, from)
		if firstSinceRenewed(item, s, from) {
			write.SameAs = w.sameAs()
		}
		if w.keyChange(s.Stream) != nil {
			write.Staged = staging(s, page, write.Opens)
			write.Remember = false
		}
		write.Covers = covers(page, from)
		write.Reported = made.add(page, write.Covers, time.Now())
		if len(page.Rejects) > 0 {
			isolated = true
		}
		write.Isolated = isolated
		write.Forget = known.forget(page)
		write.Settled = page.Answer.Keep()
		if err := line.Hand(ctx, write); err != nil {
			return last, err
		}
		last = page.Answer.Call.ID
		w.conn.answered.note(page.Answer.Call)
		w.conn.judging.doubtful(false)
		sum.opened = true
		sum.turn.members.page(w.columns, &page)
		switch {
		case s.Dataset == item.Dataset:
			sum.add(page)
		case page.Partial != "", missed(page) > 0:
			sum.note(listIncomplete)
		}
		if w.brokenOff() && !page.Done {
			return last, errLeaving
		}
	}
	return last, nil
}

// covers says of the page that ends a pass whether the pass has read all there is of the stream, from its beginning.
func covers(page fetch.Page, from write.StreamState) bool {
	if !page.Done || from.MidPass {
		return false
	}
	return page.Afresh || isAll(page.Whole)
}

// isAll says that all records there are were shown, of every kind.
func isAll(whole *finance.Whole) bool {
	if whole == nil {
		return false
	}
	return whole.Status == "" && whole.Prefix == ""
}

// lookTwice is what a page proves of a consent's accounts. The first list after a renewal may be short, because the person
// has chosen fewer accounts, or because they have other ids now: what is missing from it is looked for once more, as if
// the list had taken several answers.
func lookTwice(item *queue.Item, whole *finance.Whole, s fetch.Stream, from write.StreamState) *finance.Whole {
	if whole == nil || s.Dataset != finance.Accounts {
		return whole
	}
	renewed := item.Consent.RenewedAt
	first := !renewed.IsZero() && !from.Moved.After(renewed)
	if !first {
		return whole
	}
	twice := *whole
	twice.Paged = true
	return &twice
}

// firstDay is the oldest day that a stream was asked for, with the page that ends its first pass; zero with all others.
func firstDay(s fetch.Stream, page fetch.Page, from write.StreamState) finance.Date {
	known := !from.Since.IsZero()
	nightly := s.Span == ""
	if page.Done && nightly && !known && resume.Dated(page.Next) {
		return s.Since
	}
	return 0
}

// stream is the question put to the connector.
func (w *batchWork) stream(item *queue.Item, s finance.Stream) fetch.Stream {
	today := w.conn.today(time.Now())
	since := w.job.Since(today)
	if !w.batch.WindowFrom.IsZero() {
		since = w.batch.WindowFrom
	}
	consent := item.Consent // as it is now: a refresh of its token in the background must not see it renewed meanwhile
	return fetch.Stream{
		Stream: s,
		Task: calls.Task{Run: w.batch.Run, Batch: w.batch.ID, Fence: w.batch.Fence, Dataset: item.Dataset,
			Consent: &consent},
		Since: since, Until: w.batch.WindowTo, Lookback: w.job.Lookback, Today: today,
		Rows: storedRows{w.Pages, s, w.batch.Run},
	}
}

// pageWrite is what is to be written of a page.
func (w *batchWork) pageWrite(s fetch.Stream, page fetch.Page, neverRead bool) write.PageWrite {
	return write.PageWrite{
		Task: s.Task, Stream: s.Stream, Key: page.Key,
		Call: page.Answer.Call, Body: page.Answer.Body, Hash: page.Answer.Hash,
		Unchanged: page.Unchanged, KeptCall: page.Kept.Call,
		Records: page.Records, Rejects: page.Rejects,
		Position: page.Next, MidPass: !page.Done,
		Facts: finance.Facts{
			Next: page.Next, Done: page.Done, Records: page.Count(), Figures: page.Figures(),
		},
		Remember: page.Plain() && s.Span == "",
		Whole:    page.Whole, Partial: page.Partial, Keep: w.conn.Keep, NewStream: neverRead,
	}
}

// outcomeOf turns an error of the work into a decision, or into what stops the batch.
func (w *batchWork) outcomeOf(ctx context.Context, item *queue.Item, err error) (queue.Decision, error) {
	if bad, ok := errors.AsType[*write.UnstorableError](err); ok {
		return w.unstorable(ctx, bad)
	}
	if failure, ok := errors.AsType[*fetch.Error](err); ok {
		return w.act(ctx, item, failure)
	}
	if ended, ok := errors.AsType[*decidedError](err); ok {
		return ended.Decision, nil
	}
	return queue.Decision{}, err
}

// unstorable is the decision on an item with a page that Postgres refuses. To try the batch again would bring the same
// page, for ever. The page's call was made all the same.
func (w *batchWork) unstorable(ctx context.Context, bad *write.UnstorableError) (queue.Decision, error) {
	call := bad.Call
	call.Class, call.Reason = finance.Malformed, bad.Error()
	if given, ok := errors.AsType[*write.OtherAccountError](bad.Err); ok {
		call.Class = finance.Rejected // and none of the accounts is asked for
		call.Reason = given.Error()
		w.log.Error().Int64("consent", given.Consent).Strs("accounts", given.Accounts).
			Stringer("request_id", call.ID).Str("correlation_id", call.Correlation).
			Msg("after a renewal known ids are other accounts'; nothing was stored")
	}
	if swapped, ok := errors.AsType[*write.SwappedError](bad.Err); ok {
		call.Reason = swapped.Error()
		w.log.Error().Int64("consent", swapped.Consent).Int64("other", swapped.Other).
			Stringer("request_id", call.ID).Str("correlation_id", call.Correlation).
			Msg("the provider answered with another consent's accounts; nothing was stored")
	}
	d := queue.Decision{Outcome: finance.Failed, Class: call.Class, Reason: call.Reason, Correlation: call.Correlation, Call: call.ID}
	return d, w.Store.Admit.Record(ctx, call)
}
