package jobs

import (
	"context"
	"errors"
	"slices"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/resume"
	"syncer/finance"
	"syncer/persist/queue"
	"syncer/persist/streams"
	"syncer/persist/write"
)

// keysOf are the datasets whose keys the records of one depend on: transactions that are read account by account carry the
// keys of accounts, too. These come first, since a reset of theirs takes both.
func (c *Connection) keysOf(d finance.Dataset) []finance.Dataset {
	if d == finance.Transactions && c.Connector.PerAccount(d) {
		return []finance.Dataset{finance.Accounts, d}
	}
	return []finance.Dataset{d}
}

// checkKeys finds out which of the job's datasets may not be read, because their records would be stored anew beside the old
// ones. What is not known of the others is written down.
func (w *batchWork) checkKeys(ctx context.Context, items []queue.Item) error {
	known := map[finance.Dataset]string{} // why not; empty: it may be read
	w.rekeyed = map[finance.Dataset]string{}
	for i := range items {
		d := items[i].Dataset
		if _, asked := w.rekeyed[d]; asked {
			continue
		}
		w.rekeyed[d] = ""
		for _, of := range w.conn.keysOf(d) {
			if _, asked := known[of]; !asked {
				why, err := w.useKeys(ctx, of)
				if err != nil {
					return err
				}
				known[of] = why
			}
			if w.rekeyed[d] = known[of]; w.rekeyed[d] != "" {
				break
			}
		}
	}
	return nil
}

// useKeys gives the reason why a dataset may not be read; empty: it may. The log is told once a run.
func (w *batchWork) useKeys(ctx context.Context, d finance.Dataset) (why string, err error) {
	made := fetch.KeysOf(w.conn.Connector, d).Made
	if made == "" { // the dataset is not described
		return "", nil
	}
	err = w.Store.Streams.UseRecordKeys(ctx, w.conn.Name, d, made)
	changed, ok := errors.AsType[*streams.KeysChangedError](err)
	if !ok {
		return "", err
	}
	first, err := w.Store.Streams.TellKeysChanged(ctx, w.conn.Name, d, w.batch.Run)
	if err != nil {
		return "", err
	}
	if first {
		w.log.Error().Str("dataset", string(d)).Str("stored", changed.Stored).Str("configured", changed.Configured).
			Msg(changed.Error())
	}
	return changed.Error(), nil
}

// keyChange is a change of keys that the batch meets. It belongs to the goroutine that works its consent.
type keyChange struct {
	write.KeyChange
	replaced bool
}

// loadKeyChanges loads those of the batch.
func (w *batchWork) loadKeyChanges(ctx context.Context) error {
	list, err := w.Store.Streams.KeyChanges(ctx, w.batch.ID)
	if err != nil {
		return err
	}
	w.changes = map[int64][]*keyChange{}
	for _, c := range list {
		w.changes[c.Consent] = append(w.changes[c.Consent], &keyChange{KeyChange: c})
	}
	return nil
}

// keyChange gives the change that a stream's rows wait for; nil: the keys of all that is read of it are as they should be.
func (w *batchWork) keyChange(s finance.Stream) *keyChange {
	c := w.changeOf(s)
	if c == nil || !c.Until.IsZero() {
		return nil
	}
	return c
}

func (w *batchWork) changeOf(s finance.Stream) *keyChange {
	for _, c := range w.changes[s.Consent] {
		if !c.replaced && c.means(s) {
			return c
		}
	}
	return nil
}

// means says that the keys of a stream change. A change without an account is for all of them.
func (c *keyChange) means(s finance.Stream) bool {
	if c.Dataset != s.Dataset {
		return false
	}
	return c.Account == "" || c.Account == s.Account
}

// keyChangeAt is keyChange for a stream that is about to be read. One whose keys were replaced from some day on may go back to
// days before that, where another job looks further back: then all that the job reads is read and replaced anew.
func (w *batchWork) keyChangeAt(s finance.Stream, at write.StreamState) *keyChange {
	c := w.changeOf(s)
	if c == nil || c.Until.IsZero() {
		return c
	}
	through := resume.ThroughDay(at.Position)
	if at.MidPass || through.IsZero() {
		return nil
	}
	if through.AddDays(-max(w.job.Lookback, longLookback)) > c.Until {
		return nil
	}
	c.Until = 0
	return c
}

// longLookback is how many days before its watermark a connector reads again where the job does not say.
const longLookback = 10

// replacedFrom is the day that a pass begins with whose rows replace others: early enough for no later pass to go back behind
// it.
func (w *batchWork) replacedFrom(s *fetch.Stream) finance.Date {
	if s.Span != "" {
		return s.Since
	}
	return min(s.Since, s.Today.AddDays(-max(w.job.Lookback, longLookback)))
}

// staging says what a page of a stream with old keys is to the pass that will replace its rows.
func staging(s fetch.Stream, page fetch.Page, opens bool) *write.Staging {
	of := &write.Staging{
		Given: page.Given, Dated: page.Done && resume.Dated(page.Next),
		Incomplete: page.Partial != "" && !page.MissesDaysOnly(),
		Whole:      page.Done && page.Whole != nil && page.Whole.Status == "",
	}
	if opens {
		of.Since = s.Since
	}
	return of
}

// replaceKeys puts what the streams of these accounts have staged in the place of the rows with old keys. Where that can't
// be done yet, the item says why.
func (w *batchWork) replaceKeys(ctx context.Context, c *keyChange, item *queue.Item, accounts []string, sum *tally) error {
	did, err := w.Pages.ReplaceKeys(ctx, write.Replacement{
		Task:   calls.Task{Run: w.batch.Run, Batch: w.batch.ID, Fence: w.batch.Fence, Dataset: item.Dataset},
		Change: c.KeyChange, Span: w.spanOf(c.Dataset), Accounts: accounts,
		Whole: fetch.KeysOf(w.conn.Connector, c.Dataset).Whole,
		Last:  item.Consent.SingleUse,
	})
	if err != nil {
		return err
	}
	c.replaced = did.Done
	sum.note(did.Why)
	return nil
}

// spanOf is the span of a dataset's streams: a list of accounts has none, also where a backfill reads it.
func (w *batchWork) spanOf(d finance.Dataset) string {
	if d == finance.Accounts {
		return ""
	}
	return w.span()
}

// replaceAll is replaceKeys for streams that wait for each other, after all of them have had their turn: those of the
// accounts of a consent, where the keys of accounts have changed.
func (w *batchWork) replaceAll(ctx context.Context, item *queue.Item, sum *tally) error {
	c := w.keyChange(w.streamOf(item, ""))
	if c == nil {
		return nil
	}
	accounts, err := w.Pages.Accounts(ctx, item.Consent.ID, 0)
	if err != nil {
		return err
	}
	accounts = slices.DeleteFunc(accounts, func(account string) bool { return slices.Contains(sum.keptBack, account) })
	return w.replaceKeys(ctx, c, item, accounts, sum)
}

// unlistedKeys is the decision on an item whose accounts are not known under their new keys yet: under the old ones the
// provider can't be asked for them.
func (w *batchWork) unlistedKeys(item *queue.Item) (queue.Decision, bool) {
	if w.keyChange(finance.Stream{Consent: item.Consent.ID, Dataset: finance.Accounts}) == nil {
		return queue.Decision{}, false
	}
	return queue.Decision{Outcome: finance.Failed, Class: finance.Rejected,
		Reason: "the key of accounts has changed, and no whole list of them has been read under the new one yet"}, true
}

// stagedRows are the rows of a stream with old keys, as a pass under the new ones may know them: none of its records is
// stored, and that others are says nothing, unless it shows nothing at all.
type stagedRows struct{ storedRows }

// Stored implements fetch.Rows.
func (stagedRows) Stored(context.Context, *finance.Records) (bool, error) { return false, nil }

// Others implements fetch.Rows.
func (r stagedRows) Others(ctx context.Context, of finance.Extent, ids []string) (bool, error) {
	if len(ids) > 0 {
		return false, nil
	}
	return r.storedRows.Others(ctx, of, ids)
}
