package jobs

import (
	"context"
	"slices"

	"syncer/finance"
	"syncer/persist/queue"
)

// listAccounts reads the list of accounts first, unless this batch has an item for it, which has read it under the id
// that the consent goes by. It gives what becomes of the item if the list can't be read and no account is known.
func (w *batchWork) listAccounts(ctx context.Context, item *queue.Item, sum *tally) (without queue.Decision, err error) {
	list := accountsItem(item, sum.turn.items)
	if list != nil && wasRead(list.Outcome) { // under the id before, its accounts may have had other ids
		behind, err := w.listIsBehind(ctx, item)
		if err != nil {
			return queue.Decision{}, err
		}
		if behind {
			list = nil
		}
	}
	if list != nil {
		return w.listedBefore(item, list, sum), nil
	}
	return w.readList(ctx, item, sum)
}

// accountsItem is the item of the same batch that reads the list of accounts, or nil.
func accountsItem(item *queue.Item, siblings []queue.Item) *queue.Item {
	if item.Dataset == finance.Accounts {
		return nil
	}
	for i := range siblings {
		if siblings[i].Dataset == finance.Accounts {
			return &siblings[i]
		}
	}
	return nil
}

func wasRead(o finance.Outcome) bool {
	return slices.Contains([]finance.Outcome{finance.Rows, finance.Empty, finance.Partial}, o)
}

// listedBefore is what the list's own item says of an item that needs it. A decision without sum.unlisted is final.
func (w *batchWork) listedBefore(item, list *queue.Item, sum *tally) queue.Decision {
	d := queue.Decision{Outcome: list.Outcome, Class: list.Class, Reason: list.Reason}
	switch list.Outcome {
	case finance.Partial:
		sum.note("the list of accounts is partial: " + list.Reason)
		return queue.Decision{}
	case finance.Failed:
		// With a daily budget the item's first call is a read that is not paid for yet.
		if item.Consent.ReadsPerDay == 0 {
			return unlisted(d, sum)
		}
		return ofList(d)
	case finance.Excused:
		return ofList(d)
	}
	return queue.Decision{}
}

// readList reads the list of accounts for an item whose batch has no item for it. A decision without sum.unlisted is
// final.
func (w *batchWork) readList(ctx context.Context, item *queue.Item, sum *tally) (queue.Decision, error) {
	list := finance.Stream{Consent: item.Consent.ID, Dataset: finance.Accounts}
	last, err := w.readStream(ctx, item, list, sum)
	sum.turn.well = err == nil
	if err == nil {
		return queue.Decision{}, nil
	}
	if sum.turn.putOff(list, last, err) {
		return queue.Decision{}, errPutOff
	}
	sum.asked(err)
	d, err := w.outcomeOf(ctx, item, sum.turn.tell(list, err))
	if err != nil {
		return d, err
	}
	return unlisted(d, sum), nil
}

// unlisted is for a list of accounts that could not be read. A bad moment says nothing against the accounts that are
// known from before, so these are read; a refusal may be meant for them too.
func unlisted(d queue.Decision, sum *tally) queue.Decision {
	inBadMoment := d.Class == finance.Transient || d.Class == finance.Malformed
	if inBadMoment && d.Outcome == finance.Failed {
		why := refusalOf("", d)
		sum.unlisted = &why
	}
	return ofList(d)
}

func ofList(d queue.Decision) queue.Decision {
	d.Reason = "the list of accounts could not be read: " + d.Reason
	return d
}
