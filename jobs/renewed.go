package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/queue"
	"syncer/persist/write"
)

// A consent that was renewed goes on under another id of its provider. While the id before is good the new one is on
// trial: the first good answer under it is the end of the old one, and if it is refused the old one goes on. What is in
// force stands in the consent's row; whoever works with an id that is not begins its item again.

// errRenewed ends an item whose consent goes on under another id; it is worked again with that.
var errRenewed = errors.New("the consent goes on under another id")

// mostRenewals is how often a turn may begin an item again for that: there and back, and once more for a renewal that
// comes meanwhile.
const mostRenewals = 5

// underAnotherID says whether an item is to be worked again, because the consent goes on under another id.
func (w *batchWork) underAnotherID(ctx context.Context, item *queue.Item, f *fetch.Error) (bool, error) {
	switch {
	case f.Class == finance.Renewed:
		return true, nil
	case item.Consent.OnTrial && isUnserved(f):
		return w.trialRefused(ctx, item, f)
	case f.Class == finance.Refused, f.Class == finance.Suspected, speaksAgainst(f):
		// The id before is of no use any more: this is the time for the one that waits.
		taken, err := w.Store.Consents.TakeUpRenewal(ctx, item.Consent.ID)
		if taken || err != nil {
			return taken, err
		}
		return w.movedOn(ctx, item) // then what was said of its old id says nothing of it
	}
	return false, nil
}

// isUnserved says that the consent was not served: it is refused, told to wait, or nothing came.
func isUnserved(f *fetch.Error) bool {
	for _, is := range []func(*fetch.Error) bool{speaksAgainst, bringsNothing, turnedAway} {
		if is(f) {
			return true
		}
	}
	return false
}

// listIsBehind says whether the list of a consent's accounts was read last before the consent went on under another id.
func (w *batchWork) listIsBehind(ctx context.Context, item *queue.Item) (bool, error) {
	renewed := item.Consent.RenewedAt
	if renewed.IsZero() {
		return false, nil
	}
	at, err := w.Pages.StreamState(ctx, finance.Stream{Consent: item.Consent.ID, Dataset: finance.Accounts})
	return at.Found && at.Moved.Before(renewed), err
}

// sameAs is where in a row stands what stays of an account of the connection; nil: nothing is known to stay.
func (w *batchWork) sameAs() []string {
	if keeper, ok := w.conn.Connector.(fetch.AccountKeeper); ok {
		return keeper.SameAs()
	}
	return nil
}

// firstSinceRenewed says of a list of accounts that its stream, as it stands, was read last before the consent was renewed,
// or is in the middle of a pass that may have begun before. A stream that was reset is compared with nothing.
func firstSinceRenewed(item *queue.Item, s fetch.Stream, from write.StreamState) bool {
	renewed := item.Consent.RenewedAt
	if s.Dataset != finance.Accounts || !from.Found || renewed.IsZero() {
		return false
	}
	return from.MidPass || from.Moved.Before(renewed)
}

// withoutUnmatched leaves out accounts that may be known ones under other ids, since their consent was renewed and no list has
// told yet. What was read of them now would stand beside the old rows for good.
func (w *batchWork) withoutUnmatched(ctx context.Context, item *queue.Item, accounts []string, sum *tally) ([]string, error) {
	if w.sameAs() == nil || item.Consent.RenewedAt.IsZero() {
		return accounts, nil
	}
	unmatched, err := w.Pages.AccountsUnmatched(ctx, item.Consent.ID)
	if err != nil {
		return accounts, err
	}
	if len(unmatched) == 0 {
		return accounts, nil
	}
	sum.noteToo(fmt.Sprintf("%d accounts that are new since the consent was renewed wait for a whole list, which tells whether they "+
		"were known under other ids", len(unmatched)))
	return slices.DeleteFunc(accounts, func(id string) bool { return slices.Contains(unmatched, id) }), nil
}

// movedOn says whether a consent goes by another id than the one that an item was asked for by.
func (w *batchWork) movedOn(ctx context.Context, item *queue.Item) (bool, error) {
	now, err := w.Store.Consents.ByID(ctx, item.Consent.ID)
	return err == nil && now.ExternalID != item.Consent.ExternalID, err
}

// speaksAgainst says whether the provider has refused a call in a way that may be meant for the consent's id.
func speaksAgainst(f *fetch.Error) bool {
	ofData := f.Purpose == calls.ForData || f.Purpose == ""
	if f.Call.IsZero() || !ofData {
		return false
	}
	switch f.Class {
	case finance.ConsentOver, finance.Rejected, finance.Withheld, finance.TokenDenied, finance.Fatal:
		return true
	case finance.Malformed:
		return f.Other
	}
	return false
}

// bringsNothing says whether all attempts of a call have failed. That speaks against nobody, but the id before may be
// answered all the same.
func bringsNothing(f *fetch.Error) bool {
	if f.Call.IsZero() {
		return false
	}
	return f.Class == finance.Transient || f.Class == finance.Malformed
}

// turnedAway says whether the consent alone is to wait, or was told to wait so often, without a time, that it is not asked
// any more. A pause that is told for all says nothing of its id.
func turnedAway(f *fetch.Error) bool {
	if f.Class != finance.Throttled {
		return false
	}
	if f.Alone {
		return true
	}
	return f.Told == fetch.ToldByNobody && !f.Call.IsZero()
}

// trialRefused puts the id before back in force. Where another process has done that, or has been answered meanwhile,
// the consent's row tells.
func (w *batchWork) trialRefused(ctx context.Context, item *queue.Item, f *fetch.Error) (bool, error) {
	back, err := w.Store.Consents.RenewalRefused(ctx, consents.TrialEnd{
		Consent: item.Consent.ID, ExternalID: item.Consent.ExternalID, Reason: f.Reason,
		Named: f.Named || f.Other, Call: f.Call,
	})
	if err != nil {
		return false, err
	}
	if back {
		w.log.Warn().Int64("consent", item.Consent.ID).Stringer("request_id", f.Call).
			Str("correlation_id", f.Correlation).Str("reason", f.Reason).
			Msg("a renewed consent was refused under its new id; it goes on under the one before")
		return true, nil
	}
	return w.movedOn(ctx, item)
}

// answered ends the trial of a consent whose provider has answered.
func (w *batchWork) answered(ctx context.Context, item *queue.Item, t *turn, call finance.CallID) error {
	if !item.Consent.OnTrial {
		return nil
	}
	w.Step("renewed.answered")
	if err := w.Store.Consents.RenewalAnswered(ctx, item.Consent.ID, item.Consent.ExternalID, call); err != nil {
		return err
	}
	w.log.Info().Int64("consent", item.Consent.ID).Stringer("request_id", call).
		Msg("a renewed consent was answered under its new id; the one before is not called any more")
	for i := range t.items {
		t.items[i].Consent.OnTrial = false
	}
	return nil
}

// renewed takes the consent of a turn as it is now. What was refused under the id before says nothing of this one.
func (w *batchWork) renewed(ctx context.Context, t *turn) error {
	now, err := w.Store.Consents.ByID(ctx, t.items[0].Consent.ID)
	if err != nil {
		return err
	}
	for i := range t.items {
		t.items[i].Consent = now
	}
	clear(t.failed)
	clear(t.refused)
	t.well = false
	t.renewals++
	return nil
}
