package fetch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"

	"syncer/finance"
)

// Step is how one position of a stream is read.
type Step struct {
	Request Request
	Version string // of the decoder: part of the page's key, so that a changed decoder reads kept pages anew
	// Place is the provider's own name of the position, where the stream's position holds more than that, such as what
	// was read so far. Empty: the stream's position is all there is. Coming to a place again is a circle. With a Place
	// each position is asked for twice, so a step must not count its callings.
	Place string
	// Tail says that a page whose Next is the position asked for means "caught up", as in an event feed. Elsewhere
	// it is a loop, and an error.
	Tail bool
	// Together says that the pages of the pass form one set, declared whole on its last page. Then no page of several
	// is skipped as unchanged, because its records would look as if they had vanished.
	Together bool
	// Decode reads an answer of class ok. Walk fills in the page's Answer and Key. An error or a panic fails the pass
	// with class malformed.
	Decode func(*Answer) (Page, error)
}

// Walk reads a stream page by page from a position on. It marks the first request as the Opening one, gives an answer
// whose bytes are those of the kept page as Unchanged without decoding it, and ends with an error of class malformed
// when the provider leads in a circle or never comes to an end, or when most records of a page can't be read. The page that
// closes a circle is not given, nor is one that is mostly unreadable: the stream stays before it.
//
// An Unchanged page has no more than the kept facts: its Partial, Whole and Rejects are empty. So Stream.Kept must
// not offer a page that was partial or had rejects.
func (c *Client) Walk(ctx context.Context, s Stream, from string, step func(from string) (Step, error)) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		w := &walk{c: c, stream: s, seen: map[finance.Hash]struct{}{}}
		for n := 0; ; n++ {
			page, err := w.page(ctx, from, n, step)
			if err != nil {
				yield(Page{}, err)
				return
			}
			if !yield(page, nil) || page.Done {
				return
			}
			from = page.Next
		}
	}
}

// walk is one pass over a stream.
type walk struct {
	c       *Client
	stream  Stream
	seen    map[finance.Hash]struct{} // positions, as hashes: cursors may be long, and cycles too
	skipped bool                      // a page of this pass was given as unchanged
}

func (w *walk) page(ctx context.Context, from string, n int, step func(string) (Step, error)) (Page, error) {
	w.seen[hashOf(from)] = struct{}{}
	st, err := step(from)
	if err != nil {
		if e, ok := errors.AsType[*Error](err); ok {
			return Page{}, e
		}
		return Page{}, w.malformed("read the position of "+string(w.stream.Dataset), nil, err.Error())
	}
	if st.Place != "" {
		w.seen[hashOf("place "+st.Place)] = struct{}{}
	}
	if n >= w.c.opt.MaxPages {
		return Page{}, w.malformed(op(&st), nil, fmt.Sprintf("no end after %d pages", n))
	}
	st.Request.Opening, st.Request.Continues = n == 0, w.stream.Continues
	answer, err := w.c.Do(ctx, st.Request)
	if err != nil {
		return Page{}, err
	}
	page, err := w.read(&st, answer, n)
	if err == nil {
		err = w.follow(&st, from, &page, step)
	}
	if err != nil {
		return Page{}, w.spoilt(ctx, &st, answer, err)
	}
	return page, nil
}

// read makes a page of an answer, without decoding it where its bytes are known.
func (w *walk) read(st *Step, answer *Answer, n int) (Page, error) {
	key := pageKey(&st.Request, st.Version)
	if kept, ok := w.kept(st, key, n); ok && kept.Body == answer.Hash {
		w.skipped = true
		return Page{
			Answer: answer, Key: key, Unchanged: true, Kept: kept, Next: kept.Facts.Next, Done: kept.Facts.Done,
		}, nil
	}
	page, err := w.decode(st, answer)
	if err != nil {
		return Page{}, err
	}
	if why := page.misread(); why != "" {
		return Page{}, errors.New(why)
	}
	page.Answer, page.Key, page.Unchanged = answer, key, false
	if page.Whole != nil && w.skipped && !st.Together {
		// What stood on the skipped pages may belong to the set and would be removed. Removing nothing is safe. Of pages
		// that belong together none is skipped: those that were are another part of the pass.
		w.c.opt.Log.Warn().Str("path", st.Request.Template).Msg("a set declared whole has skipped pages; set Step.Together")
		page.Whole = nil
	}
	return page, nil
}

// kept is the page as it was last committed, if its facts lead somewhere.
func (w *walk) kept(st *Step, key finance.PageKey, n int) (finance.Kept, bool) {
	if w.stream.Kept == nil {
		return finance.Kept{}, false
	}
	kept, ok := w.stream.Kept(key)
	ok = ok && (kept.Facts.Done || kept.Facts.Next != "")
	if st.Together && (n > 0 || !kept.Facts.Done) {
		ok = false
	}
	return kept, ok
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
func (w *walk) follow(st *Step, from string, page *Page, step func(string) (Step, error)) error {
	if page.Done {
		return nil
	}
	if st.Tail && page.Next == from {
		page.Done = true
		return nil
	}
	_, circle := w.seen[hashOf(page.Next)]
	if st.Place != "" && !circle {
		next, err := step(page.Next)
		if err != nil {
			return err
		}
		_, circle = w.seen[hashOf("place "+next.Place)]
	}
	if circle {
		return errors.New("the next position was read before in this pass: the provider leads in a circle")
	}
	return nil
}

// spoilt records a call whose answer brings no page after all.
func (w *walk) spoilt(ctx context.Context, st *Step, answer *Answer, cause error) error {
	e, ok := errors.AsType[*Error](cause)
	if !ok {
		e = w.malformed(op(st), answer, cause.Error())
	}
	call := answer.Call
	if e.Call.IsZero() { // such as a link's, which knows nothing of the answer that it stood in
		e.Call, e.Correlation = call.ID, call.Correlation
	}
	orDefault(&e.Op, op(st))
	orDefault(&e.Connection, w.c.opt.Connection.Name)
	orDefault(&e.Status, call.Status)
	if call.Durable {
		return e
	}
	call.Class, call.Reason = e.Class, e.Reason
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), toldWithin)
	defer cancel()
	if err := w.c.opt.Ledger.Record(ctx, call); err != nil {
		return &Error{
			Class: finance.Interrupted, Op: e.Op, Connection: e.Connection, Call: call.ID,
			Reason: "the ledger could not record the call", Err: err,
		}
	}
	return e
}

func (w *walk) malformed(op string, answer *Answer, reason string) *Error {
	e := &Error{
		Class: finance.Malformed, Op: op, Connection: w.c.opt.Connection.Name, Reason: clean(reason, w.c.secrets...),
	}
	if answer != nil {
		e.Call, e.Correlation = answer.Call.ID, answer.Call.Correlation
	}
	return e
}

func op(st *Step) string { return method(&st.Request) + " " + st.Request.Template }

func hashOf(s string) finance.Hash {
	sum := sha256.Sum256([]byte(s))
	return finance.Hash(sum[:16])
}

// pageKey names a page by what was asked: method, path, query, body and the decoder's version, each with its length.
func pageKey(r *Request, version string) finance.PageKey {
	text := ""
	for _, part := range []string{method(r), r.Path, r.query(), string(r.Body), version} {
		text += fmt.Sprintf("%d:%s", len(part), part)
	}
	return finance.PageKey(hashOf(text))
}
