package persist_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/plan"
	"syncer/persist/queue"
)

// Of twenty who ask for a run of one job at once one plans it, and all others go on with that one.
func TestManyWhoAskForARunAtOnce(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 3)
	for try := 1; try <= 10; try++ {
		came := time.Now()
		got := make([]plan.Going, 20)
		errs := make([]error, len(got))
		var all sync.WaitGroup
		for i := range got {
			all.Go(func() {
				var batches []int64
				s := spec(time.Now(), 10, finance.Debts)
				s.Kind, s.Beside = queue.Manual, time.Now().Add(-time.Hour)
				got[i], errs[i] = h.Plan.RunOrGoOn(t.Context(), s, time.Since(came), listBatches(&batches))
			})
		}
		all.Wait()
		made := int64(0)
		for i, g := range got {
			must(t, errs[i])
			if g.Created {
				made = g.Run.ID
			}
		}
		for _, g := range got {
			if !g.Created && (len(g.Open) != 1 || g.Open[0].ID != made) {
				t.Errorf("try %d: run %d was planned, and somebody goes on with %+v", try, made, g.Open)
			}
		}
		if n := queryInt(t, h.pool, "SELECT count(*) FROM runs"); n != int64(try) {
			t.Fatalf("%d runs after %d tries", n, try)
		}
		if n := queryInt(t, h.pool, "SELECT count(*) FROM items WHERE outcome IS NULL"); n != 3 {
			t.Errorf("try %d: %d items are to be read, want 3", try, n)
		}
		h.exec(t, "UPDATE items SET outcome = 'rows', finished_at = now()")
		h.exec(t, "UPDATE batches SET state = 'done', finished_at = now()")
		h.exec(t, "UPDATE runs SET verdict = 'complete', settled_at = clock_timestamp()")
	}
}

// A run that is settled after another one was asked for is what he asked for; one that was settled before is not.
func TestARunThatIsSettledWhileItIsAskedFor(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 2)
	run, batches := h.plan(t, 2)
	h.work(t, batches[0], finance.Rows, finance.Rows)
	_, settled, err := h.Queue.Settle(t.Context(), run.ID)
	if err != nil || !settled {
		t.Fatal(settled, err)
	}
	ask := func(ago time.Duration) plan.Going {
		t.Helper()
		var batches []int64
		s := spec(time.Now(), 10, finance.Debts)
		s.Kind, s.Beside = queue.Manual, time.Now().Add(-time.Hour)
		g, err := h.Plan.RunOrGoOn(t.Context(), s, ago, listBatches(&batches))
		must(t, err)
		return g
	}
	if g := ask(time.Minute); g.Created || len(g.Open) != 1 || g.Open[0].ID != run.ID {
		t.Errorf("asked for before it was settled: %+v", g)
	}
	if g := ask(0); !g.Created || g.Run.Expected != 2 {
		t.Errorf("asked for afterwards: %+v", g)
	}
}

// Imports of one list side by side take turns: none meets a row of another, or makes the same consent. So does whoever sets
// the reads a day of the connection, which changes the same rows.
func TestImportsOfOneListSideBySide(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	list := make([]consents.Import, 400)
	for i := range list {
		list[i].ExternalID = fmt.Sprintf("c-%03d", i)
	}
	errs := make(chan error, 16)
	for i := range cap(errs) {
		go func() {
			mine := slices.Clone(list)
			for j := range mine {
				mine[j].Purpose = fmt.Sprint(i)
			}
			rand.Shuffle(len(mine), func(a, b int) { mine[a], mine[b] = mine[b], mine[a] })
			_, err := h.Consents.Import(t.Context(), "bank", mine)
			errs <- errors.Join(err, h.Consents.BoundReads(t.Context(), "bank", 1+i))
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM consents"); n != int64(len(list)) {
		t.Errorf("%d consents, want %d", n, len(list))
	}
}
