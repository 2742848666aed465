package fetch

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"syncer/fetch/jsonread"
	"syncer/fetch/redact"
	"syncer/fetch/resume"
	"syncer/finance"
)

// Walk reads a stream page by page from a position on. It marks the first request as the Opening one, gives an answer
// whose bytes are those of the kept page as Unchanged without decoding it, and ends with an error of class malformed
// when the provider leads in a circle or never comes to an end, or when most records of a page can't be read. A page that
// is mostly unreadable is not given: the stream stays before it.
//
// An Unchanged page has no more than the kept facts: its Partial, Whole and Rejects are empty. So Stream.Kept must
// not offer a page that was partial or had rejects.
//
// A pass that another one broke off goes on where it was. Of a list that began before the break nothing is declared
// whole. If an earlier run had begun the pass, what is new on the first pages is read behind its end: see again.
func (c *Client) Walk(ctx context.Context, s Stream, from string, step func(At) (Step, error)) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		w := newWalk(c, &s, from, step)
		for {
			page, err := w.next(ctx)
			if err != nil {
				yield(Page{}, err)
				return
			}
			if !hand(page, yield) {
				return
			}
		}
	}
}

// hand gives a page to whoever walks, and says whether he goes on. The memory of its answer comes back however he ends.
func hand(page Page, yield func(Page, error) bool) (goOn bool) {
	defer page.Answer.release()
	return yield(page, nil) && !page.Done
}

// walk is one reading of a stream, from where it stands to the end of the pass.
type walk struct {
	c      *Client
	stream *Stream
	step   func(At) (Step, error)

	at       At
	n        int                       // pages read
	anew     bool                      // a list was begun anew because the provider had forgotten a place in it
	narrowed int                       // how often a refusal has led elsewhere
	skipped  bool                      // a page of this pass was given as unchanged
	seen     map[finance.Hash]struct{} // positions, as hashes: cursors may be long, and cycles too
	list     *shown
	cost     cost
	silent   time.Time // when the answer before had arrived
	slow     bool      // the connection's rate alone puts long pauses between pages
	known    bool      // the present place is what a page said that was passed over

	broken bool   // an earlier run began the pass, and its beginning was not read since
	afresh bool   // every pass reads all there is, see Step.Afresh
	second bool   // the pass is the one behind a broken one, see again
	home   string // where the broken one has ended
	past   *shown // what it has shown
}

func newWalk(c *Client, s *Stream, from string, step func(At) (Step, error)) *walk {
	return &walk{
		c: c, stream: s, step: step, at: At{Position: from, Stored: true, Seam: true},
		seen: map[finance.Hash]struct{}{}, list: newShown(false), broken: s.Stale, slow: c.opt.slow(),
	}
}

// next reads the page at the present place and moves on to the one behind it.
func (w *walk) next(ctx context.Context) (Page, error) {
	st, err := w.enter()
	if err != nil {
		return Page{}, err
	}
	begun := time.Now()
	answer, err := w.c.do(ctx, st.Request)
	if err != nil {
		if !w.elsewhere(&st, err) {
			return Page{}, err
		}
		return w.next(ctx)
	}
	given := false
	defer func() { // also where a connector panics, which fails the item alone
		if !given {
			answer.release()
		}
	}()
	w.pausedBefore(&st, answer)
	page, err := w.read(ctx, &st, answer)
	if err == nil {
		err = w.follow(&st, &page)
	}
	if err == nil {
		err = w.again(ctx, &st, &page)
	}
	if err != nil {
		return Page{}, w.spoilt(ctx, &st, answer, err)
	}
	given = true
	w.n++
	w.silent = time.Now()
	w.known = page.Unchanged
	page.Afresh = page.Done && w.afresh
	w.cost.bytes += int64(len(answer.Body))
	w.cost.own += w.silent.Sub(begun) - answer.Call.Waited
	w.at = At{Position: strings.Clone(page.Next)} // or it would hold the whole answer
	return page, nil
}

// longPause is how long the time between two pages may be before the list counts as one that may have moved.
const longPause = 5 * time.Second

// slow says that the connection's rate, shared by its callers, is such that a page waits for its turn for long every time.
func (o *Options) slow() bool {
	if o.Rate <= 0 {
		return false
	}
	return float64(o.Concurrency)/o.Rate > 1
}

// pausedBefore looks whether the call had to wait for long, such as for a Retry-After. Where the last record was not read
// once more, the list may have moved meanwhile, and nothing would show it.
func (w *walk) pausedBefore(st *Step, answer *Answer) {
	mayHaveMoved := st.Shifts && !w.at.Seam
	if !mayHaveMoved || w.n == 0 {
		return
	}
	if answer.Call.SentAt.Sub(w.silent) > longPause {
		w.list.doubt("a pause lay between two pages")
	}
}

// enter asks the connector how the present place is read, and looks at the bounds of a pass.
func (w *walk) enter() (Step, error) {
	if w.behindPause() {
		w.at.Seam = true
	}
	st, err := w.step(w.at)
	if w.strayed(err) {
		st, err = w.step(w.at)
	}
	w.seen[finance.HashOf(w.at.Position)] = struct{}{}
	if err != nil {
		return st, w.noStep(err)
	}
	if st.PositionName != "" {
		w.seen[finance.HashOf("place "+st.PositionName)] = struct{}{}
	}
	if st.Afresh {
		w.afresh = true
	}
	if st.First {
		w.list = newShown(true)
	}
	if st.First && st.Afresh { // all there is, from the beginning
		w.broken = false
	}
	if err := w.cost.bound(w, &st); err != nil {
		return st, err
	}
	// A day that is refused brings nothing, so the search for one that is given is one read of the consent.
	st.Request.Opening = w.n == 0 && w.narrowed == 0
	st.Request.Continues = w.stream.Continues
	st.Request.Account = w.stream.Account
	return st, nil
}

// behindPause says that a long time lies between the page before and this one.
func (w *walk) behindPause() bool {
	if w.n == 0 {
		return false
	}
	return w.slow || time.Since(w.silent) > longPause
}

// noStep is the error of a place that can't be read.
func (w *walk) noStep(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	reason := err.Error()
	if misfit, ok := errors.AsType[*resume.MisfitError](err); ok {
		reason = resettable(misfit.Why, w.c.opt.Connection.Name, &w.stream.Stream)
	}
	return w.malformed("read the position of "+string(w.stream.Dataset), nil, reason)
}

// read makes a page of an answer, without decoding it where its bytes are known.
func (w *walk) read(ctx context.Context, st *Step, answer *Answer) (Page, error) {
	version := st.Version
	if st.Beside != nil {
		version += " " + st.Beside(answer)
	}
	key := pageKey(&st.Request, version)
	if answer.Status == http.StatusNoContent && !st.NoContent {
		return Page{}, &Error{Class: finance.Transient, Reason: "an answer without content (status 204)"}
	}
	incomplete := st.incomplete(answer)
	if kept, ok := w.kept(st, key); ok && kept.Body == answer.Hash && incomplete == "" {
		answer.memory.shrink(int64(len(answer.Body)))
		w.skipped = true
		w.list.empty = 0
		w.list.doubt("a page was passed over as unchanged")
		return Page{
			Answer: answer, Key: key, Unchanged: true, Kept: kept, Next: kept.Facts.Next, Done: kept.Facts.Done,
		}, nil
	}
	page, err := w.decode(st, answer)
	if err != nil {
		return Page{}, err
	}
	page.numbered = st.Numbered
	if err := w.stream.Vet(ctx, &page); err != nil {
		return Page{}, err
	}
	if why := page.misread(); why != "" {
		return Page{}, errors.New(why)
	}
	if page.Hidden() {
		page.Whole = nil
	}
	page.Answer = answer
	page.Key = key
	page.Unchanged = false
	orDefault(&page.Partial, incomplete)
	if page.Whole != nil && w.skipped && st.Set == "" {
		// What stood on the skipped pages may belong to the set and would be removed. Removing nothing is safe.
		w.c.opt.Log.Warn().Str("path", st.Request.Template).Msg("a set declared whole has skipped pages; set Step.Set")
		page.Whole = nil
	}
	return page, w.weigh(st, &page)
}

// weigh compares a page with what the list has shown, ends a list that brings nothing new, and takes Whole away where the
// set is not proven.
func (w *walk) weigh(st *Step, page *Page) error {
	l := w.list
	n := l.compare(page, st.Overlaps)
	if !n.fresh && mayEnd(st, page) {
		if page.More {
			page.AddMissing("the list repeats itself although it says that there is more")
		}
		if err := st.End(page); err != nil {
			return err
		}
		page.Steered = true
	}
	if why := w.unproven(st, page); why != "" {
		page.Whole = nil
		orDefault(&page.Partial, why)
	}
	if n.onTwoPages() {
		l.doubt("a record stood on two pages")
	}
	if page.Moved != "" {
		l.doubt(page.Moved)
	}
	if page.Hidden() || page.Partial != "" {
		l.doubt("a page was not complete")
	}
	page.Whole = l.proof(st, page)
	l.add(page, st)
	return l.boundEmpty(page)
}

// kept is the page as it was last committed, if its facts lead somewhere.
func (w *walk) kept(st *Step, key finance.PageKey) (finance.Kept, bool) {
	if w.stream.Kept == nil || w.readsAnew() {
		return finance.Kept{}, false
	}
	kept, ok := w.stream.Kept(key)
	if !ok || !leadsOn(kept) {
		return finance.Kept{}, false
	}
	if st.Set == "" {
		return kept, true
	}
	alone := w.n == 0 && kept.Facts.Done // of a set that takes several pages none is passed over
	return kept, alone
}

// decode runs the connector's decoder. A panic in it must not take the other consents down, and its value is not
// repeated unless it is the runtime's own, since it may hold a piece of the answer.
func (w *walk) decode(st *Step, answer *Answer) (page Page, err error) {
	defer func() {
		if p := recover(); p != nil {
			w.c.opt.Log.Error().Str("path", st.Request.Template).Bytes("stack", debug.Stack()).Msg("a decoder panicked")
			err = errors.New("the decoder panicked")
			if re, ok := p.(runtime.Error); ok {
				err = fmt.Errorf("the decoder panicked: %w", re)
			}
		}
	}()
	return st.Decode(answer)
}

// follow checks where a page leads.
func (w *walk) follow(st *Step, page *Page) error {
	if page.Done {
		return nil
	}
	if page.Next == w.at.Position {
		switch {
		case st.Tail:
			page.Done = true
			return nil
		case st.Look, st.Overlaps:
			return nil
		}
	}
	_, circle := w.seen[finance.HashOf(page.Next)]
	if st.PositionName != "" && !circle {
		next, err := w.step(At{Position: page.Next})
		if err != nil {
			return err
		}
		_, circle = w.seen[finance.HashOf("place "+next.PositionName)]
	}
	if !circle {
		return nil
	}
	const why = "the next position was read before in this pass: the provider leads in a circle"
	if st.End == nil {
		return errors.New(why)
	}
	page.AddMissing(why)
	if err := st.End(page); err != nil {
		return err
	}
	page.Whole = nil
	page.Steered = true
	return nil
}

// spoilt records a call whose answer brings no page after all.
func (w *walk) spoilt(ctx context.Context, st *Step, answer *Answer, cause error) error {
	e, ok := errors.AsType[*Error](cause)
	if !ok {
		e = w.malformed(op(st), answer, cause.Error())
		if endsEarly(cause, answer) {
			e.Class = finance.Transient
		}
	}
	call := answer.Call
	if e.Call.IsZero() { // such as a link's, which knows nothing of the answer that it stood in
		e.Call = call.ID
		e.Correlation = call.Correlation
	}
	orDefault(&e.Op, op(st))
	orDefault(&e.Connection, w.c.opt.Connection.Name)
	orDefault(&e.Status, call.Status)
	if call.Durable {
		return e
	}
	call.Class = e.Class
	call.Reason = e.Reason
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), toldWithin)
	defer cancel()
	if err := w.c.opt.Calls.Record(ctx, call); err != nil {
		return &Error{
			Class: finance.Interrupted, Op: e.Op, Connection: e.Connection, Call: call.ID,
			Reason: "the database could not record the call", Err: err,
		}
	}
	return e
}

// endsEarly says whether an answer could not be read because it was cut off. Nearly all that were are met before they are
// decoded (see jsonread.Misshapen), but for those that were cut within a string.
func endsEarly(cause error, a *Answer) bool {
	e, ok := errors.AsType[*jsonread.Error](cause)
	if !ok || !e.Syntax {
		return false
	}
	return e.Offset >= len(a.Body)
}

func (w *walk) malformed(op string, answer *Answer, reason string) *Error {
	e := &Error{
		Class: finance.Malformed, Op: op, Connection: w.c.opt.Connection.Name, Reason: redact.Words(reason, w.c.shown()...),
	}
	if answer != nil {
		e.Call = answer.Call.ID
		e.Correlation = answer.Call.Correlation
	}
	return e
}

func op(st *Step) string { return method(&st.Request) + " " + st.Request.Template }

// pageKey names a page by what was asked: method, path, query, body and the decoder's version, each with its length.
func pageKey(r *Request, version string) finance.PageKey {
	text := ""
	for _, part := range []string{method(r), r.Path, r.query(), string(r.Body), version} {
		text += fmt.Sprintf("%d:%s", len(part), part)
	}
	return finance.PageKey(finance.HashOf(text))
}
