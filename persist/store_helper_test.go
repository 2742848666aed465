package persist_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/finance"
	"syncer/persist"
	"syncer/persist/connections"
	"syncer/persist/consents"
	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/persist/plan"
	"syncer/persist/queue"
	"syncer/persist/seal"
)

// fixture is a migrated database with the connection bank, and one store on it.
type fixture struct {
	*persist.Store
	pool   *pgxpool.Pool
	sealer *seal.Sealer
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.OpenSealer(keys)
	if err != nil {
		t.Fatal(err)
	}
	h := &fixture{pool: persisttest.New(t), sealer: sealer}
	h.Store = h.sibling(t, time.Hour)
	must(t, h.Connections.Use(t.Context(), "bank", connections.Endpoint{Provider: "sbanken"}))
	return h
}

// sibling is the store of another process, which lives for the lease; 0: it was never heard of.
func (h *fixture) sibling(t testing.TB, lease time.Duration) *persist.Store {
	t.Helper()
	w := pg.Worker{Host: "test", PID: 1}
	_, _ = rand.Read(w.ID[:])
	s := persist.NewStore(h.pool, h.sealer, w)
	if lease > 0 {
		must(t, s.Workers.Heartbeat(t.Context(), lease))
	}
	return s
}

// consents imports n consents and gives their ids.
func (h *fixture) consents(t testing.TB, n int, change ...func(*consents.Import)) []int64 {
	t.Helper()
	start := queryInt(t, h.pool, "SELECT count(*) FROM consents")
	list := make([]consents.Import, n)
	for i := range list {
		list[i] = consents.Import{ExternalID: fmt.Sprintf("consent-%d", start+int64(i)), ValidFrom: time.Now().Add(-time.Hour)}
		for _, f := range change {
			f(&list[i])
		}
	}
	if _, err := h.Consents.Import(t.Context(), "bank", list); err != nil {
		t.Fatal(err)
	}
	rows, err := h.pool.Query(t.Context(), "SELECT id FROM consents ORDER BY id DESC LIMIT $1", n)
	ids, err := collect[int64](rows, err)
	must(t, err)
	for i, j := 0, len(ids)-1; i < j; i, j = i+1, j-1 {
		ids[i], ids[j] = ids[j], ids[i]
	}
	return ids
}

func collect[T any](rows pgx.Rows, err error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[T])
}

// plan makes a run of all consents in batches of size and gives its batches.
func (h *fixture) plan(t testing.TB, size int, datasets ...finance.Dataset) (queue.Run, []int64) {
	t.Helper()
	if len(datasets) == 0 {
		datasets = []finance.Dataset{finance.Debts}
	}
	var batches []int64
	run, created, err := h.Plan.Run(t.Context(), plan.RunSpec{Job: "nightly", Connection: "bank", Kind: queue.Manual,
		ScheduledFor: time.Now(), Datasets: datasets, BatchSize: size}, listBatches(&batches))
	if err != nil || !created {
		t.Fatalf("plan: created %v, %v", created, err)
	}
	return run, batches
}

func listBatches(list *[]int64) plan.Enqueue {
	return func(_ context.Context, _ pgx.Tx, batches []plan.BatchRef) error {
		for _, b := range batches {
			*list = append(*list, b.ID)
		}
		return nil
	}
}

func claim(t testing.TB, s *persist.Store, batch int64) queue.Claimed {
	t.Helper()
	c, ok, err := s.Queue.Claim(t.Context(), batch)
	if err != nil || !ok {
		t.Fatalf("claim batch %d: ok %v, %v", batch, ok, err)
	}
	return c
}

// work claims a batch, decides its items by their order as told, and finishes it.
func (h *fixture) work(t testing.TB, batch int64, outcomes ...finance.Outcome) {
	t.Helper()
	c := claim(t, h.Store, batch)
	items, err := h.Queue.Items(t.Context(), batch)
	must(t, err)
	if len(items) != len(outcomes) {
		t.Fatalf("batch %d has %d items, the test decides %d", batch, len(items), len(outcomes))
	}
	for i, item := range items {
		must(t, h.Queue.DecideItem(t.Context(), batch, c.Fence, item.Consent.ID, item.Dataset, decision(outcomes[i])))
	}
	must(t, h.Queue.Finish(t.Context(), batch, c.Fence))
}

func decision(o finance.Outcome) queue.Decision {
	d := queue.Decision{Outcome: o, Correlation: "corr-1"}
	switch o {
	case finance.Failed:
		d.Class, d.Reason = finance.Rejected, "the provider said no"
	case finance.Partial:
		d.Reason = "a creditor did not answer"
	case finance.Excused:
		d.Class, d.Reason = finance.Refused, "consent ended: revoked"
	}
	return d
}

func (h *fixture) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := h.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
