package persist_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/queue"
	"syncer/persist/write"
)

// Two runs never read a stream side by side: the one that comes second waits until the first has decided its items or
// let go of them. Others are not kept waiting.
func TestOneRunAtAStream(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 4)
	_, first := h.plan(t, 2, finance.Accounts, finance.Debts)
	_, second := h.plan(t, 2, finance.Transactions)
	_, third := h.plan(t, 2, finance.Debts)
	c := claim(t, h.Store, first[0])
	claim(t, h.Store, second[1]) // other consents
	refused := func(batch int64, want bool) {
		t.Helper()
		h.exec(t, "UPDATE batches SET wake_at = now() - interval '1 second' WHERE id = $1", batch)
		if _, ok, err := h.Queue.Claim(t.Context(), batch); ok == want || err != nil {
			t.Errorf("claim batch %d: %v, %v", batch, ok, err)
		}
	}
	refused(second[0], true) // transactions read the list of accounts
	refused(third[0], true)
	if reason := queryText(t, h.pool, fmt.Sprintf("SELECT park_reason FROM batches WHERE id = %d AND wake_at > now()", third[0])); reason != "run 1 is at the same consents" {
		t.Errorf("it waits because %q", reason)
	}
	items, err := h.Queue.Items(t.Context(), first[0])
	must(t, err)
	for _, i := range items {
		if i.Dataset == finance.Debts {
			must(t, h.Queue.DecideItem(t.Context(), c.ID, c.Fence, i.Consent.ID, i.Dataset, decision(finance.Rows)))
		}
	}
	refused(third[0], false)
	refused(second[0], true)
	must(t, h.Queue.Park(t.Context(), c.ID, c.Fence, queue.Parking{For: time.Hour, Reason: "a gate"}))
	refused(second[0], false)
}

// A holder who is dead by its lease does not keep a stream from others, and when it wakes up it writes nothing into it.
func TestADeadHolderOfAStreamIsFencedOff(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	id := h.consents(t, 1)[0]
	_, first := h.plan(t, 2, finance.Transactions)
	_, second := h.plan(t, 2, finance.Transactions)
	frozen := claim(t, h.sibling(t, time.Hour), first[0])
	if _, ok, err := h.Queue.Claim(t.Context(), second[0]); ok || err != nil {
		t.Fatalf("beside a living holder: %v, %v", ok, err)
	}
	h.exec(t, "UPDATE workers SET expires_at = now() - interval '1 second' WHERE id <> $1", h.Worker().ID)
	h.exec(t, "UPDATE batches SET wake_at = now() - interval '1 second'")
	c := claim(t, h.Store, second[0])
	page := func(c queue.Claimed, position string) write.PageWrite {
		p := transactionsPage(transactionsStream(id, "acc"), position, "t1", position)
		p.Task = calls.Task{Run: c.Run, Batch: c.ID, Fence: c.Fence, Dataset: finance.Transactions, Consent: &finance.Consent{ID: id}}
		return p
	}
	w := newWriter(h.pool)
	commitAll(t, w, page(c, "new"))
	if err := w.Commit(t.Context(), []write.PageWrite{page(frozen, "old")})[0].Err; !errors.Is(err, pg.ErrFenced) {
		t.Errorf("the frozen one wrote: %v", err)
	}
	if at := queryText(t, h.pool, "SELECT position FROM cursors"); at != "new" {
		t.Errorf("the cursor stands at %q", at)
	}
}

func queryText(t testing.TB, pool *pgxpool.Pool, sql string) (text string) {
	t.Helper()
	must(t, pool.QueryRow(t.Context(), sql).Scan(&text))
	return text
}
