package jobs_test

import (
	"context"
	"iter"
	"strings"
	"sync/atomic"
	"testing"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/plan"
	"syncer/persist/queue"
	"syncer/persist/write"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// hollow shows every list of accounts empty, and proven so, while it is on.
type hollow struct {
	fetch.Connector
	on *atomic.Bool
}

func (h hollow) Pages(ctx context.Context, s fetch.Stream, from string) iter.Seq2[fetch.Page, error] {
	return func(yield func(fetch.Page, error) bool) {
		for page, err := range h.Connector.Pages(ctx, s, from) {
			if err == nil && h.on.Load() && s.Dataset == finance.Accounts {
				page.Unchanged, page.Records, page.Whole = false, finance.Records{}, &finance.Whole{}
				page.Answer.Hash = finance.Hash{1}
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

// TestWithheldRemovalsMakeItemsPartial: where so many lists of accounts are empty at once that the accounts stay, those
// items are partial, and what hangs on them too. A rerun that is shown the accounts again proves them.
func TestWithheldRemovalsMakeItemsPartial(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{}, banksim.Options{Customers: 6, Transactions: 20, Days: 20})
	l.importBank(6)
	var on atomic.Bool
	n := l.start(nodeOptions{wrap: func(c fetch.Connector) fetch.Connector { return hollow{c, &on} }})
	if r := l.run(n, money); r.Run.Verdict != queue.VerdictComplete {
		t.Fatalf("%s: %+v", r.Run.Verdict, r.NotComplete)
	}
	accounts := l.number("SELECT count(*) FROM accounts")
	on.Store(true)
	night := l.run(n, money)
	items := map[finance.Dataset]int{}
	for _, i := range night.NotComplete {
		if i.Outcome == finance.Partial && strings.Contains(i.Reason, write.RemovalsWithheld) {
			items[i.Dataset]++
		}
	}
	// Of six consents, all of the first three are too much: two lost theirs.
	if items[finance.Accounts] != 4 || items[finance.Transactions] != 4 || night.Run.Verdict != queue.VerdictPartial {
		t.Errorf("%s, %v: %+v", night.Run.Verdict, items, night.NotComplete)
	}
	if len(night.Guards) != 1 || night.Guards[0].WithheldOf != 4 || night.Guards[0].Consents != 2 {
		t.Errorf("guards: %+v", night.Guards)
	}
	on.Store(false)
	if rerun, root := l.rerun(n, night.Run, plan.Selection{}); root.Run.Verdict != queue.VerdictComplete {
		t.Errorf("the rerun is %s, the night %s: %+v", rerun.Run.Verdict, root.Run.Verdict, rerun.NotComplete)
	}
	if r := l.run(n, money); r.Run.Verdict != queue.VerdictComplete {
		t.Errorf("the next night is %s: %+v", r.Run.Verdict, r.NotComplete)
	}
	if alive := l.number("SELECT count(*) FROM accounts WHERE removed_at IS NULL"); alive != accounts {
		t.Errorf("%d accounts, %d before", alive, accounts)
	}
	if left := l.number("SELECT count(*) FROM absences"); left != 0 {
		t.Errorf("%d notes are left", left)
	}
}
