package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/queue"
)

// The one call of a single-use consent was sent, and no answer came: whether the consent is spent only the provider knows. One
// that tells a status is asked, when nothing of the call can arrive any more.

// strayBytes is how long after its sender has given a call up it may still reach the provider: the kernel of a sender that
// was killed sends again what was not acknowledged, for up to 100 seconds, and what stands in front of the API may have it
// in a queue. A status "unused" that is told in that time may be overtaken by the call itself.
const strayBytes = 2 * time.Minute

// InFlight is the longest time for which a call that nobody has answered may be on its way, where an attempt is given up
// after timeout.
func InFlight(timeout time.Duration) time.Duration { return timeout + strayBytes }

// errUnspent says that the provider has told that a single-use consent is unused, so that its call may be made again.
var errUnspent = errors.New("the consent is unused: its call may be made again")

// unanswered is the decision on an item whose single-use consent was called for and not answered. With errUnspent the item
// is to be worked once more.
func (w *batchWork) unanswered(ctx context.Context, item *queue.Item, f *fetch.Error, d queue.Decision) (queue.Decision, error) {
	lost := func(why string) (queue.Decision, error) {
		if why != "" {
			d.Reason += "; " + why
		}
		return d, w.Store.Consents.UnansweredConsent(ctx, item.Consent.ID, f.Call)
	}
	reader, ok := w.conn.Connector.(fetch.StatusReader)
	if !ok || w.conn.InFlight == 0 {
		return lost("")
	}
	open, found, err := w.Store.Consents.OpenIntent(ctx, item.Consent.ID)
	if err != nil {
		return d, err
	}
	if !found { // its answer has come after all
		return lost("")
	}
	if left := w.conn.InFlight - open.Age; left > 0 {
		d.Reason += "; its status is asked for by the next run, or by a rerun after " +
			time.Now().Add(left).UTC().Format(time.DateTime) + "Z"
		return d, nil
	}
	state, err := w.statusOf(ctx, reader, &item.Consent)
	if err == nil {
		return w.byItsStatus(ctx, item, f, state.Status, open, d)
	}
	told, _ := errors.AsType[*fetch.Error](err)
	switch {
	case ctx.Err() != nil:
		return d, ctx.Err()
	case told != nil && told.Unasked: // the connection is parked, say
		d.Reason += "; its status can't be asked for now (" + told.Reason + "), the next run does"
		return d, nil
	case fetch.ClassOf(err) == finance.Interrupted:
		return d, err
	}
	return lost("its status is not told: " + cmp.Or(told.Reason, told.Error()))
}

// byItsStatus is the decision by what the provider says of the consent, after its call may have arrived.
func (w *batchWork) byItsStatus(ctx context.Context, item *queue.Item, f *fetch.Error, status finance.ConsentStatus,
	open consents.OpenIntent, d queue.Decision) (queue.Decision, error) {
	switch status {
	case finance.ConsentActive:
		return w.unspent(ctx, item, open, d)
	case finance.ConsentExpired:
		d.Reason += "; the provider says now that its time is over"
		return d, w.Store.Consents.EndUnanswered(ctx, item.Consent.ID, open.Call, finance.ConsentExpired,
			"its one call was sent and not answered, and the provider says that its time is over")
	case finance.ConsentConsumed, finance.ConsentRevoked:
		d.Reason += "; the provider says now that the consent is not active, so it is taken for spent"
		return d, w.Store.Consents.EndUnanswered(ctx, item.Consent.ID, open.Call, finance.ConsentConsumed,
			"its one call was sent and not answered, and the provider says that it is not active")
	}
	d.Reason += fmt.Sprintf("; its status %q says nothing of that", status)
	return d, w.Store.Consents.UnansweredConsent(ctx, item.Consent.ID, f.Call)
}

// unspent takes the intent of a call back that has not arrived, as the provider says.
func (w *batchWork) unspent(ctx context.Context, item *queue.Item, open consents.OpenIntent, d queue.Decision) (queue.Decision, error) {
	back, err := w.Store.Consents.Unspent(ctx, item.Consent.ID, open.Call, w.conn.InFlight)
	if err != nil {
		return d, err
	}
	if !back { // somebody else has settled it
		return d, nil
	}
	w.Step("intent.withdrawn")
	w.log.Info().Int64("consent", item.Consent.ID).Stringer("call", open.Call).
		Msg("a single-use call was not answered, and the provider says that the consent is unused: it is made again")
	return d, errUnspent
}
