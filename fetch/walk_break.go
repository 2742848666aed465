package fetch

import (
	"context"
	"errors"
	"net/http"
	"time"

	"syncer/finance"
)

// What a walk does where its way breaks: at a place that the provider refuses, and behind a pass that an earlier run began.

// elsewhere finds out whether a refusal leads to another place.
func (w *walk) elsewhere(st *Step, err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Unasked {
		return false
	}
	if w.forgotten(st, e) {
		w.beginAnew(st)
		return true
	}
	if st.Narrow == nil || w.narrowed == mostNarrowed {
		return false
	}
	next, ok := st.Narrow(e)
	if !ok {
		return false
	}
	w.narrowed++
	w.at = At{Position: next}
	w.silent = time.Now()
	return true
}

// mostNarrowed bounds the search for what a provider gives: halving 60 years takes 15 steps.
const mostNarrowed = 40

// forgotten says whether a refusal means that the provider no longer knows the place that was asked for.
func (w *walk) forgotten(st *Step, e *Error) bool {
	if st.Anew == nil || w.anew {
		return false
	}
	ofBefore := w.at.Seam || w.known
	if !ofBefore {
		return false
	}
	switch e.Class {
	case finance.Throttled, finance.ConsentOver, finance.TokenDenied, finance.Fatal: // it is about more than the place
		return false
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusGone, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// beginAnew leads to the beginning of the list: what the pass was to find behind a forgotten place can't be had otherwise.
// Once a walk, so that a list whose pages are always refused does not go on for ever.
func (w *walk) beginAnew(st *Step) {
	w.c.seldom.of("place "+st.Request.Template, w.c.opt.Log.Info()).Str("path", st.Request.Template).
		Str("dataset", string(w.stream.Dataset)).
		Msg("the provider no longer knows the place that was stored, so the list is read from its beginning once more")
	w.leadTo(st.Anew())
}

// leadTo leads to the beginning of the list.
func (w *walk) leadTo(anew string) {
	w.anew = true
	w.at = At{Position: anew}
	w.silent = time.Now()
	clear(w.seen)
}

// again leads from the end of a pass that was broken off to what it can't have seen. If an earlier run began it, records may
// have come since to the pages that it had read by then. Where a pass begins with the day at which the last one ended,
// that is another such pass; where every pass reads all there is, its first pages are read up to the first one that
// brings nothing new.
func (w *walk) again(ctx context.Context, st *Step, page *Page) error {
	if w.second {
		return w.enough(ctx, st, page)
	}
	if !page.Done || !w.broken {
		return nil
	}
	missesSome := w.afresh || page.Behind
	if !missesSome {
		return nil
	}
	w.second = true
	w.past = w.list
	w.home = page.Next
	page.Done = false
	page.Steered = true
	w.list = newShown(false)
	clear(w.seen)
	return nil
}

// enough ends the reading of first pages with the first one that brings nothing new. A page without records, such as that of
// a look for the person, says nothing of those behind it.
func (w *walk) enough(ctx context.Context, st *Step, page *Page) error {
	if page.Done || !st.Afresh {
		return nil
	}
	if w.stream.Rows == nil || page.Records.Len() == 0 {
		return nil
	}
	if w.past.has(&page.Records) { // read a moment ago, and perhaps not yet stored
		w.goHome(page)
		return nil
	}
	stored, err := w.stream.Rows.Stored(ctx, &page.Records)
	if err != nil {
		return &Error{Class: finance.Interrupted, Op: op(st), Connection: w.c.opt.Connection.Name,
			Reason: "the tables could not be asked what they hold", Err: err}
	}
	complete := len(page.Rejects) == 0 && page.Partial == ""
	if stored && complete {
		w.goHome(page)
	}
	return nil
}

// goHome ends a pass with one of its first pages.
func (w *walk) goHome(page *Page) {
	page.Next = w.home
	page.Done = true
	page.Steered = true
}
