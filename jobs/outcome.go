package jobs

import (
	"context"
	"errors"
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
		w.parkFor(f.Wait, d.Reason)
		return d, errParked
	case finance.Interrupted:
		if w.leaving() || ctx.Err() != nil {
			return d, errLeft
		}
		return d, f
	case finance.Fenced:
		return d, persist.ErrFenced
	case finance.Refused:
		d.Outcome = finance.Excused
		return d, nil
	case finance.ConsentOver:
		return w.endConsent(ctx, item, f, d)
	case finance.Unanswered:
		return d, w.Store.UnansweredConsent(ctx, item.Consent.ID, f.Call)
	case finance.TokenDenied, finance.Fatal:
		return d, w.parkConnection(ctx, f.Class, f.Error())
	}
	return d, nil // transient, rejected and malformed concern this item alone
}

// massRefusals is how many consents may be refused by their provider within massWindow before it is taken for a
// broken token or a broken provider: the larger of a handful and two in a hundred.
const (
	massHandful = 5
	massPercent = 2
	massWindow  = 10 * time.Minute
)

// endConsent ends a consent that its provider refused, unless so many were refused at once that it can't be true.
// Then the connection is parked and the consents that were ended in the window are active again.
func (w *batchWork) endConsent(ctx context.Context, item *persist.Item, f *fetch.Error, d persist.Decision) (persist.Decision, error) {
	status := f.Consent
	if status == "" {
		status = finance.ConsentRevoked
	}
	if _, err := w.Store.EndConsent(ctx, item.Consent.ID, status, f.Reason, persist.FromAnswer, f.Call); err != nil {
		return d, err
	}
	refused, active, err := w.Store.CountRecentRefusals(ctx, w.conn.Name, massWindow)
	if err != nil {
		return d, err
	}
	if refused > massHandful && refused*100 > (active+refused)*massPercent {
		reason := fmt.Sprintf("%d consents refused within %s: a broken token or provider, not revocations; nothing was revoked", refused, massWindow)
		if _, err := w.Store.RestoreRefused(ctx, w.conn.Name, massWindow, reason); err != nil {
			return d, err
		}
		d.Class, d.Reason = finance.Fatal, reason
		return d, w.parkConnection(ctx, finance.Fatal, reason)
	}
	d.Outcome, d.Reason = finance.Excused, fmt.Sprintf("consent %s: %s", status, f.Reason)
	return d, nil
}

// parkConnection stops every further call over the connection until an operator opens it again, and says so once.
func (w *batchWork) parkConnection(ctx context.Context, class finance.Class, reason string) error {
	first, err := w.Store.ParkConnection(ctx, w.conn.Name, class, reason)
	if err != nil && !errors.Is(err, persist.ErrNotFound) {
		return err
	}
	if first {
		w.log.Error().Str("class", string(class)).Str("reason", reason).
			Msg("connection parked: no further call is made over it; mend the cause, then `syncer connections open " + w.conn.Name + "`")
	}
	return nil
}
