package persist_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist"
	"syncer/persist/consents"
	"syncer/persist/plan"
	"syncer/persist/queue"
)

func finalSpec(datasets ...finance.Dataset) plan.FinalSpec {
	return plan.FinalSpec{Job: "nightly", Connection: "bank", Datasets: datasets, BatchSize: 2,
		Before: time.Now().Add(3 * time.Hour), Lead: 6 * time.Hour, Again: time.Hour}
}

func endsIn(d time.Duration) func(*consents.Import) {
	return func(c *consents.Import) {
		c.ValidFrom, c.ValidUntil = time.Now().Add(-30*24*time.Hour), time.Now().Add(d)
	}
}

// pulled writes cursors as a pass that ended so long ago leaves them.
func (h *fixture) pulled(t *testing.T, consent int64, dataset finance.Dataset, account, ago string, midPass bool) {
	t.Helper()
	h.exec(t, `INSERT INTO cursors (consent_id, dataset, account_id, position, mid_pass, moved_at)
		VALUES ($1, $2, $3, 'p', $4, now() - $5::interval)`, consent, string(dataset), account, midPass, ago)
}

// planFinal plans a final run and gives the consents in it.
func (h *fixture) planFinal(t *testing.T, s *persist.Store, f plan.FinalSpec) (run queue.Run, consents []int64) {
	t.Helper()
	run, created, err := s.Plan.Final(t.Context(), f, func(context.Context, pgx.Tx, []plan.BatchRef) error { return nil })
	must(t, err)
	if !created {
		return run, nil
	}
	rows, err := h.pool.Query(t.Context(), "SELECT DISTINCT i.consent_id FROM items i JOIN batches b ON b.id = i.batch_id WHERE b.run_id = $1 ORDER BY 1", run.ID)
	consents, err = collect[int64](rows, err)
	must(t, err)
	return run, consents
}

func TestWhoIsDueForTheFinalPull(t *testing.T) {
	t.Parallel()
	both := []finance.Dataset{finance.Accounts, finance.Transactions}
	for _, test := range []struct {
		name     string
		ends     time.Duration
		arrange  func(t *testing.T, h *fixture, id int64)
		datasets []finance.Dataset
		due      bool
	}{
		{"never read", time.Hour, nil, nil, true},
		{"ends after the next firing", 4 * time.Hour, nil, nil, false},
		{"ends beyond the lead", 7 * time.Hour, nil, nil, false},
		{"has ended", time.Hour, func(t *testing.T, h *fixture, id int64) {
			_, err := h.Consents.End(t.Context(), id, finance.ConsentRevoked, "gone", consents.FromFeed, finance.CallID{})
			must(t, err)
		}, nil, false},
		{"is open-ended", time.Hour, func(t *testing.T, h *fixture, id int64) {
			h.exec(t, "UPDATE consents SET valid_until = NULL WHERE id = $1", id)
		}, nil, false},
		{"read within the lead", time.Hour, func(t *testing.T, h *fixture, id int64) {
			h.pulled(t, id, finance.Debts, "", "4 hours", false)
		}, nil, false},
		{"read before the lead", time.Hour, func(t *testing.T, h *fixture, id int64) {
			h.pulled(t, id, finance.Debts, "", "6 hours", false)
		}, nil, true},
		{"read to the middle", time.Hour, func(t *testing.T, h *fixture, id int64) {
			h.pulled(t, id, finance.Debts, "", "1 hour", true)
		}, nil, true},
		{"one dataset of two", time.Hour, func(t *testing.T, h *fixture, id int64) {
			h.pulled(t, id, finance.Accounts, "", "1 hour", false)
		}, both, true},
		{"one account of two", time.Hour, func(t *testing.T, h *fixture, id int64) {
			h.account(t, id, "a", "b")
			h.pulled(t, id, finance.Accounts, "", "1 hour", false)
			h.pulled(t, id, finance.Transactions, "a", "1 hour", false)
			h.pulled(t, id, finance.Transactions, "b", "8 hours", false)
		}, both, true},
		{"both accounts, and one that is no more", time.Hour, func(t *testing.T, h *fixture, id int64) {
			h.account(t, id, "a", "b")
			h.pulled(t, id, finance.Accounts, "", "1 hour", false)
			h.pulled(t, id, finance.Transactions, "a", "1 hour", false)
			h.pulled(t, id, finance.Transactions, "b", "1 hour", false)
			h.pulled(t, id, finance.Transactions, "gone", "8 hours", false)
		}, both, false},
		{"a run that is going will come to it", time.Hour, func(t *testing.T, h *fixture, _ int64) { h.plan(t, 10) }, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newFixture(t)
			id := h.consents(t, 1, endsIn(test.ends))[0]
			if test.arrange != nil {
				test.arrange(t, h, id)
			}
			if test.datasets == nil {
				test.datasets = []finance.Dataset{finance.Debts}
			}
			f := finalSpec(test.datasets...)
			due, err := h.Plan.FinalDue(t.Context(), f)
			must(t, err)
			run, got := h.planFinal(t, h.Store, f)
			if due != test.due || (len(got) == 1) != test.due {
				t.Errorf("due %v and planned %v, want %v", due, got, test.due)
			}
			if test.due && (run.Kind != queue.Final || run.Expected != len(test.datasets) || run.Skipped != 0) {
				t.Errorf("the run: %+v", run)
			}
		})
	}
}

func (h *fixture) account(t *testing.T, consent int64, ids ...string) {
	t.Helper()
	for _, id := range ids {
		h.exec(t, "INSERT INTO accounts (consent_id, account_id, content_hash, call_id, place) VALUES ($1, $2, '\\x00', gen_random_uuid(), 0)", consent, id)
	}
}

// Replicas that look at the same time plan each consent once for its end. A rival's clock does not matter.
func TestFinalPullIsPlannedOnce(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 30, endsIn(time.Hour))
	var mu sync.Mutex
	var all []int64
	var wg sync.WaitGroup
	for i := range 8 {
		s := h.sibling(t, time.Hour)
		wg.Go(func() {
			f := finalSpec(finance.Debts)
			f.Before = f.Before.Add(time.Duration(i) * time.Minute)
			_, got := h.planFinal(t, s, f)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, got...)
		})
	}
	wg.Wait()
	slices.Sort(all)
	if diff := cmp.Diff(ids, all); diff != "" {
		t.Errorf("consents in all runs (-want +got):\n%s", diff)
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM runs WHERE expected = 0"); n != 0 {
		t.Errorf("%d empty runs were made", n)
	}
}

// A final pull that has failed is made again after a while, one that brought something is not, and a consent that is
// prolonged has another end.
func TestFinalPullIsMadeAgain(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 3, endsIn(2*time.Hour))
	f := finalSpec(finance.Debts)
	var batches []int64
	run, created, err := h.Plan.Final(t.Context(), f, listBatches(&batches))
	if err != nil || !created {
		t.Fatalf("created %v, %v", created, err)
	}
	h.work(t, batches[0], finance.Failed, finance.Rows)
	h.work(t, batches[1], finance.Excused)
	if _, _, err := h.Queue.Settle(t.Context(), run.ID); err != nil {
		t.Fatal(err)
	}
	if _, got := h.planFinal(t, h.Store, f); got != nil {
		t.Errorf("at once again: %v", got)
	}
	h.exec(t, "UPDATE final_pulls SET planned_at = planned_at - interval '61 minutes'")
	if _, got := h.planFinal(t, h.Store, f); !slices.Equal(got, []int64{ids[0], ids[2]}) {
		t.Errorf("an hour later: %v, want %d, which has failed, and %d, which was refused", got, ids[0], ids[2])
	}
	h.exec(t, "UPDATE consents SET valid_until = valid_until + interval '10 minutes' WHERE id = $1", ids[1])
	if _, got := h.planFinal(t, h.Store, f); !slices.Equal(got, ids[1:2]) {
		t.Errorf("after a prolongation: %v, want %d", got, ids[1])
	}
}
