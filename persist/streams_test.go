package persist_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/streams"
	"syncer/persist/write"
)

// streamNames are the consents and accounts of the chosen streams, in their order.
func streamNames(t *testing.T, h *fixture, f streams.Filter) (names []finance.Stream) {
	t.Helper()
	list, err := h.Read.Streams(t.Context(), f)
	must(t, err)
	for _, s := range list {
		names = append(names, s.Stream)
	}
	return names
}

// A reset forgets the position and the pages of the chosen streams, of backfills too, and of no other. Rows stay.
func TestResetStreams(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 2)
	w := newWriter(h.pool)
	a, b, other := transactionsStream(ids[0], "a"), transactionsStream(ids[0], "b"), transactionsStream(ids[1], "a")
	span := a
	span.Span = "2026-01-01..2026-03-31"
	debt := finance.Stream{Consent: ids[0], Dataset: finance.Debts}
	var pages []write.PageWrite
	for _, s := range []finance.Stream{a, b, other, span, debt} {
		p := newPage(s, `{"v":1}`)
		if s.Dataset == finance.Transactions {
			p = transactionsPage(s, `{"v":1}`, "t1", "coffee")
		}
		p.Remember = s.Span == ""
		pages = append(pages, p)
	}
	pages[1].MidPass = true
	commitAll(t, w, pages...)
	h.exec(t, `UPDATE consents SET reads_per_day = 4 WHERE id = $1`, ids[0])

	want := []finance.Stream{debt, a, span, b, other}
	if diff := cmp.Diff(want, streamNames(t, h, streams.Filter{Connection: "bank"})); diff != "" {
		t.Fatal(diff)
	}
	list, err := h.Read.Streams(t.Context(), streams.Filter{Consent: ids[0], Account: "b"})
	must(t, err)
	if len(list) != 1 || !list[0].MidPass || list[0].Connection != "bank" || list[0].Position != `{"v":1}` {
		t.Errorf("%+v", list)
	}
	if diff := cmp.Diff([]finance.Stream{other}, streamNames(t, h, streams.Filter{After: ids[0], Limit: 1})); diff != "" {
		t.Error(diff)
	}

	f := streams.Filter{Connection: "bank", Consent: ids[0], Account: "a"}
	cost, err := h.Streams.ResetCost(t.Context(), f)
	must(t, err)
	if diff := cmp.Diff(streams.ResetCost{Streams: 2, Consents: 1, Calls: 1, Budgeted: 1}, cost); diff != "" {
		t.Error(diff)
	}
	did, err := h.Streams.ResetStreams(t.Context(), f)
	must(t, err)
	if diff := cmp.Diff(streams.ResetCost{Streams: 2, Consents: 1, Calls: 1, Budgeted: 1, Pages: 1}, did); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]finance.Stream{debt, b, other}, streamNames(t, h, streams.Filter{})); diff != "" {
		t.Error(diff)
	}
	for s, n := range map[finance.Stream]int{a: 0, b: 1, other: 1, debt: 1} {
		_, kept, err := w.StateAndKept(t.Context(), s)
		must(t, err)
		if len(kept) != n {
			t.Errorf("%d pages of %v are remembered, want %d", len(kept), s, n)
		}
	}
	if n := queryInt(t, h.pool, `SELECT count(*) FROM transactions WHERE removed_at IS NULL`); n != 3 {
		t.Errorf("%d rows are left of three", n)
	}
	none, err := h.Streams.ResetStreams(t.Context(), f)
	must(t, err)
	if none != (streams.ResetCost{}) {
		t.Errorf("a second reset did %+v", none)
	}
	if _, err := h.Streams.ResetStreams(t.Context(), streams.Filter{Consent: ids[0]}); err == nil {
		t.Error("reset without a connection")
	}
}

// A stream of an open item is not reset while its batch is worked, or the run would write its position over the reset.
// A holder that is dead by its lease is fenced off.
func TestAStreamThatIsReadIsNotReset(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 2)
	w := newWriter(h.pool)
	commitAll(t, w, transactionsPage(transactionsStream(ids[0], "a"), "p"), transactionsPage(transactionsStream(ids[1], "a"), "p"))
	run, batches := h.plan(t, 1, finance.Transactions)
	reader := h.sibling(t, time.Hour)
	c := claim(t, reader, batches[0]) // of the first consent
	all := streams.Filter{Connection: "bank"}
	busy := func(f streams.Filter) bool {
		t.Helper()
		_, err := h.Streams.ResetStreams(t.Context(), f)
		if e, ok := errors.AsType[*streams.StreamsBusyError](err); ok {
			return e.Run == run.ID
		}
		must(t, err)
		return false
	}
	if !busy(all) || len(streamNames(t, h, all)) != 2 {
		t.Error("reset while a run reads")
	}
	if !busy(streams.Filter{Connection: "bank", Dataset: finance.Accounts}) {
		t.Error("items of transactions read the list of accounts")
	}
	if busy(streams.Filter{Connection: "bank", Dataset: finance.Debts}) {
		t.Error("nobody reads debt")
	}
	if busy(streams.Filter{Connection: "bank", Consent: ids[1]}) {
		t.Error("nobody reads the other consent")
	}
	h.exec(t, `UPDATE workers SET expires_at = now() - interval '1 second' WHERE id = $1`, reader.Worker().ID)
	if busy(all) || len(streamNames(t, h, all)) != 0 {
		t.Error("kept from resetting by a dead reader")
	}
	err := reader.Queue.Finish(t.Context(), c.ID, c.Fence)
	if !errors.Is(err, pg.ErrFenced) {
		t.Errorf("the dead reader woke up and wrote: %v", err)
	}
}

// Without its position the feed is as one that was never read.
func TestResetFeed(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 1)
	h.exec(t, `UPDATE consents SET created_at = now() - interval '30 days'`)
	if _, err := h.Consents.ApplyEvents(t.Context(), "bank", "17", nil); err != nil {
		t.Fatal(err)
	}
	must(t, h.Consents.ResetFeed(t.Context(), "bank"))
	c, err := h.Connections.ByName(t.Context(), "bank")
	must(t, err)
	age, err := h.Consents.FeedAge(t.Context(), "bank")
	must(t, err)
	if c.FeedPosition != "" || !c.FeedReadAt.IsZero() || age < 29*24*time.Hour {
		t.Errorf("%+v, read %s ago", c, age)
	}
	if err := h.Consents.ResetFeed(t.Context(), "nobody"); !errors.Is(err, pg.ErrNotFound) {
		t.Errorf("an unknown connection: %v", err)
	}
}
