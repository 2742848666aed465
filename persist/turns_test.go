package persist_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"syncer/finance"
	"syncer/persist/queue"
)

// Of two batches at one stream that two processes claim at the same time one is claimed, round after round, and the other
// stands in line. So it is of the list of accounts, which the items of transactions read too; batches at other datasets do
// not wait.
func TestTwoClaimsAtOneStreamTakeTurns(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		one, other finance.Dataset
		both       bool // may be worked at once
	}{
		"one dataset":                 {finance.Debts, finance.Debts, false},
		"transactions and their list": {finance.Transactions, finance.Accounts, false},
		"two that share nothing":      {finance.Debts, finance.Transactions, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rounds := 100
			if testing.Short() {
				rounds = 40
			}
			h := newFixture(t)
			h.consents(t, 3)
			var batches []int64
			for job, d := range map[string]finance.Dataset{"one": tt.one, "other": tt.other} {
				s := spec(time.Now(), 10, d)
				s.Job = job
				var of []int64
				_, _, err := h.Plan.Run(t.Context(), s, listBatches(&of))
				must(t, err)
				batches = append(batches, of...)
			}
			stores := [2]*queue.Store{h.sibling(t, time.Hour).Queue, h.sibling(t, time.Hour).Queue}
			for round := range rounds {
				var won [2]bool
				var both sync.WaitGroup
				start := make(chan struct{})
				for i, s := range stores {
					both.Go(func() {
						<-start
						var err error
						if _, won[i], err = s.Claim(t.Context(), batches[(i+round)%2]); err != nil {
							t.Error(err)
						}
					})
				}
				close(start)
				both.Wait()
				if n := len(slices.DeleteFunc(slices.Clone(won[:]), func(ok bool) bool { return !ok })); (n == 2) != tt.both || n == 0 {
					t.Fatalf("round %d: %d of the two were claimed", round, n)
				}
				h.exec(t, `UPDATE batches SET state = 'pending', holder = NULL, asked_at = NULL, wake_at = now() - interval '1 minute', park_reason = ''`)
			}
		})
	}
}
