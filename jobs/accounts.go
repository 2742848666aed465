package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"unicode"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/queue"
	"syncer/persist/write"
)

// A consent may have many accounts, and what one of them is answered says little about the others: it was closed, it
// is not shared any more, its own system is down. So each has its turn, and the item tells which were refused. Only
// what is the trouble of the connection or of the consent itself ends the item: a pause, a token that is refused, a
// consent that is over.

// refusedInARow is after how many accounts that fail one after the other in a bad moment the rest of them is not asked
// for: their bank is down, and a consent may have a thousand accounts.
const refusedInARow = 20

// workAccounts reads an item account by account.
func (w *batchWork) workAccounts(ctx context.Context, item *queue.Item, sum *tally) (queue.Decision, error) {
	without, err := w.listAccounts(ctx, item, sum)
	if err != nil {
		return without, err
	}
	if without.Outcome != "" && sum.unlisted == nil {
		return without, nil
	}
	if d, unlisted := w.unlistedKeys(item); unlisted {
		if without.Outcome != "" {
			d = without
		}
		return d, nil
	}
	accounts, tooMany, err := w.chosen(ctx, item)
	if err != nil {
		return queue.Decision{}, err
	}
	if len(accounts) == 0 && sum.unlisted != nil {
		return without, nil
	}
	accounts, err = w.withoutUnmatched(ctx, item, accounts, sum)
	if err != nil {
		return queue.Decision{}, err
	}
	decided, err := w.readChosen(ctx, item, accounts, sum)
	if err != nil || decided.Outcome != "" {
		return decided, err
	}
	if tooMany {
		if err := w.countUnread(ctx, item, sum); err != nil {
			return queue.Decision{}, err
		}
	}
	return w.decideBy(ctx, item, sum)
}

// readChosen reads the accounts, and replaces the rows of those whose keys change. The decision is empty unless what was
// answered decides the item whatever the accounts have brought.
func (w *batchWork) readChosen(ctx context.Context, item *queue.Item, accounts []string, sum *tally) (queue.Decision, error) {
	err := w.readAccounts(ctx, item, accounts, sum)
	if err == nil && sum.allOver() {
		err = sum.over // of none of its accounts is there an answer: it is the consent that is refused
	}
	if errors.Is(err, errPutOff) {
		return queue.Decision{}, err
	}
	if err != nil {
		return w.outcomeOf(ctx, item, err)
	}
	if len(sum.refused) > 0 {
		moved, err := w.movedOn(ctx, item)
		if err != nil {
			return queue.Decision{}, err
		}
		if moved { // the last ones may have been refused for the id before
			return queue.Decision{}, errRenewed
		}
	}
	return queue.Decision{}, w.replaceAll(ctx, item, sum)
}

// allOver says that an account was refused as if the consent were over, and that none was answered.
func (t *tally) allOver() bool {
	if t.over == nil || t.unasked > 0 {
		return false
	}
	return t.read() == 0
}

// chosen are the accounts that this run reads: all of them, unless the connection's limit says that there are tooMany.
func (w *batchWork) chosen(ctx context.Context, item *queue.Item) (accounts []string, tooMany bool, err error) {
	most := w.conn.Accounts
	if most == 0 {
		accounts, err = w.Pages.Accounts(ctx, item.Consent.ID, 0)
		return accounts, false, err
	}
	accounts, err = w.Pages.Accounts(ctx, item.Consent.ID, most+1)
	if err != nil {
		return accounts, false, err
	}
	if len(accounts) <= most {
		return accounts, false, nil
	}
	accounts, err = w.Pages.AccountsInTurn(ctx, w.streamOf(item, ""), w.batch.Run, most)
	return accounts, true, err
}

// countUnread notes how many accounts this run has left to the next one, because there are more than one run reads.
func (w *batchWork) countUnread(ctx context.Context, item *queue.Item, sum *tally) error {
	runs := []int64{w.batch.Run}
	for run := range w.before.Runs { // of a rerun: what the run itself has read need not be read again
		runs = append(runs, run)
	}
	unread, all, err := w.Pages.AccountsUnread(ctx, w.streamOf(item, ""), runs)
	if err != nil {
		return err
	}
	left := unread - len(sum.refused) - len(sum.withheld) - sum.unasked
	if left > 0 {
		sum.beyond = fmt.Sprintf("%d of %d accounts were not read: limits.accounts of the connection is %d, "+
			"and the next run goes on with them", left, all, w.conn.Accounts)
	}
	return nil
}

// readAccounts gives each account its turn. With errPutOff some of them want another one.
func (w *batchWork) readAccounts(ctx context.Context, item *queue.Item, accounts []string, sum *tally) error {
	sum.accounts = len(accounts)
	inARow := 0
	for asked, i := range w.order(item.Consent.ID, len(accounts)) {
		if w.brokenOff() {
			return errLeaving
		}
		if inARow == refusedInARow {
			sum.unasked = len(accounts) - asked
			break
		}
		account := accounts[i]
		moment, err := w.readAccount(ctx, item, account, nameOf(account, i, item), sum)
		if err != nil {
			return err
		}
		inARow++
		if !moment {
			inARow = 0
		}
	}
	if !sum.turn.second && len(sum.turn.failed) > 0 {
		return errPutOff
	}
	return nil
}

// order is the order in which so many accounts of a consent have their turn. Where some of them may not be asked for, it is
// another one in each run: if it were always the same, accounts that fail every night would keep those behind them from
// ever being read.
func (w *batchWork) order(consent int64, accounts int) []int {
	if accounts > refusedInARow {
		return rand.New(rand.NewPCG(uint64(w.batch.Run), uint64(consent))).Perm(accounts)
	}
	inOrder := make([]int, accounts)
	for i := range inOrder {
		inOrder[i] = i
	}
	return inOrder
}

// readAccount reads one account, and notes it if it is refused. It says whether that was for a bad moment of the bank.
func (w *batchWork) readAccount(ctx context.Context, item *queue.Item, account, name string, sum *tally) (
	moment bool, err error) {
	s := w.streamOf(item, account)
	done, err := w.readByRoot(ctx, s, sum)
	if err != nil {
		return false, err
	}
	if done {
		if w.before.Brought[queue.ItemKey{Consent: item.Consent.ID, Dataset: item.Dataset}] {
			sum.brought = true
		}
		return false, nil
	}
	d, known := sum.turn.refused[s]
	if !known {
		last, err := w.readStream(ctx, item, s, sum)
		if !last.IsZero() {
			sum.last = last
		}
		if err == nil {
			sum.turn.well = true
			return false, nil
		}
		sum.asked(err)
		if sum.turn.putOff(s, last, err) {
			return !sum.turn.failed[s].Alone, nil // its bank has answered
		}
		if d, err = w.ofAccount(ctx, item, s, sum, sum.turn.tell(s, err)); err != nil {
			return false, err
		}
		sum.turn.refused[s] = d
	}
	if d.Class == finance.Withheld {
		sum.keptBack = append(sum.keptBack, account)
		sum.withheld = append(sum.withheld, refusalOf(name, d))
		return false, nil
	}
	sum.refused = append(sum.refused, refusalOf(name, d))
	return d.Class == finance.Transient, nil
}

// asked notes that a stream which failed has been asked for, so that the next one is no further read of the consent.
func (t *tally) asked(err error) {
	failure, ok := errors.AsType[*fetch.Error](err)
	if ok && !failure.Call.IsZero() {
		t.opened = true
	}
}

// ofAccount is what becomes of an account that could not be read. What is not its own trouble is an error.
func (w *batchWork) ofAccount(ctx context.Context, item *queue.Item, s finance.Stream, sum *tally, err error) (
	queue.Decision, error) {
	failure, ok := errors.AsType[*fetch.Error](err)
	if !ok {
		// A page that can't be stored is this account's trouble; all else is an error of our own.
		return w.outcomeOf(ctx, item, err)
	}
	if meansAccount(failure) {
		if failure.Class == finance.ConsentOver {
			sum.over = failure
		}
		return ofRefused(failure, sum.turn, err)
	}
	begun := sum.opened || item.Pages > 0
	own := false
	switch failure.Class {
	case finance.Transient, finance.Malformed, finance.Withheld, finance.Throttled, finance.Rejected:
		own = true
	case finance.Spent:
		own = begun // the first page of a later account may need no further read
	}
	if !own {
		return queue.Decision{}, err
	}
	d, err := w.outcomeOf(ctx, item, err)
	if err != nil {
		return d, err
	}
	if d.Class == finance.Unasked && !begun { // nor will its other accounts be asked for
		return d, &decidedError{d}
	}
	if failure.Told == calls.PauseByBreaker { // what it was answered itself is the news, not another account
		d = sum.turn.ofDown(s)
	}
	return d, nil
}

// ofDown is the decision on an account whose provider or bank is taken for down.
func (t *turn) ofDown(s finance.Stream) queue.Decision {
	before := t.failed[s]
	if before == nil {
		return queue.Decision{Outcome: finance.Failed, Class: finance.Unasked,
			Reason: "not asked for: nobody was given a good answer"}
	}
	return queue.Decision{
		Outcome:     finance.Failed,
		Class:       before.Class,
		Reason:      before.Reason + "; nobody was given a good answer after that",
		Correlation: before.Correlation,
		Call:        before.Call,
	}
}

// decidedError ends the work on an item with a decision.
type decidedError struct{ queue.Decision }

// Error is one line.
func (e *decidedError) Error() string { return "decided: " + e.Reason }

// meansAccount says whether an answer speaks against the token, the address or the consent by its status alone, so that it
// may be meant for one account.
func meansAccount(f *fetch.Error) bool {
	switch f.Class {
	case finance.TokenDenied, finance.Fatal:
		return f.Purpose == calls.ForData && !f.Call.IsZero()
	case finance.ConsentOver:
		return !f.Named && !f.Unasked
	}
	return f.Status == http.StatusUnauthorized
}

// ofRefused is what becomes of such an account. If the list or the account before it was read just now, the refusal is
// meant for this account; if the next one is refused as well, it is the consent's or everybody's.
func ofRefused(failure *fetch.Error, t *turn, err error) (queue.Decision, error) {
	if !t.well {
		return queue.Decision{}, err
	}
	t.well = false
	reason := "refused for this account: "
	if failure.Status == http.StatusUnauthorized {
		reason = "the token is refused for this account: "
	}
	return queue.Decision{
		Outcome:     finance.Failed,
		Class:       finance.Rejected,
		Reason:      reason + failure.Reason,
		Correlation: failure.Correlation,
		Call:        failure.Call,
	}, nil
}

// readByRoot says whether the run that is run again, or an earlier rerun of it, has read a stream to its end and misses
// nothing of it.
func (w *batchWork) readByRoot(ctx context.Context, s finance.Stream, sum *tally) (bool, error) {
	if w.batch.Kind != queue.Rerun {
		return false, nil
	}
	at, err := w.Pages.StreamState(ctx, s)
	if err != nil {
		return false, err
	}
	if w.isolated[s.Consent] {
		sum.isolated = true
	}
	return isWhole(at) && w.before.Runs[at.Run], nil
}

// isWhole says that a stream was read to its end, and nothing of it is missing.
func isWhole(at write.StreamState) bool {
	if !at.Found || at.MidPass {
		return false
	}
	return at.Missing == ""
}

// nameOf is an account as it may be shown. Some providers make the account's id of the customer's national identity
// number; such an account is named by its place.
func nameOf(account string, i int, item *queue.Item) string {
	subject, known := item.Consent.Subject.Reveal()
	showsSubject := known && strings.Contains(account, subject)
	if showsSubject || finance.HoldsNationalID(account) {
		return fmt.Sprintf("account number %d in the order of ids", i+1)
	}
	shown := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, account)
	const longest = 40
	if len(shown) > longest {
		shown = strings.ToValidUTF8(shown[:longest], "") + "..."
	}
	return shown
}
