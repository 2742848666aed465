package persist_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/streams"
	"syncer/persist/write"
)

// guardedFixture is a fixture whose consents have debts already, and a writer whose log is kept.
type guardedFixture struct {
	*fixture
	writer     *write.Writer
	writerPool *pgxpool.Pool
	log        *syncBuffer
	ids        []int64
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// alerts are the error lines.
func (s *syncBuffer) alerts() (lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range strings.Lines(s.b.String()) {
		if strings.Contains(l, `"level":"error"`) {
			lines = append(lines, l)
		}
	}
	return lines
}

// newGuardedFixture gives each of n consents so many debts, as of an earlier night.
func newGuardedFixture(t *testing.T, n, debts int) *guardedFixture {
	t.Helper()
	h := &guardedFixture{fixture: newFixture(t), log: &syncBuffer{}}
	opt := pg.Options{MaxConns: 8, Log: zerolog.New(h.log)}
	pool, err := pg.Open(t.Context(), h.pool.Config().ConnString(), opt)
	must(t, err)
	t.Cleanup(pool.Close)
	h.writerPool = pool
	h.writer = newWriter(pool)
	h.ids = h.consents(t, n)
	night := h.night(t)
	for chunk := range slices.Chunk(h.ids, 100) {
		var pages []write.PageWrite
		for _, id := range chunk {
			pages = append(pages, night.page(id, debtNames(debts)...))
		}
		commitAll(t, h.writer, pages...)
	}
	return h
}

func debtNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("d%d", i))
	}
	return names
}

// guardedNight is a run over all consents.
type guardedNight struct {
	run     int64
	fence   int64
	batches map[int64]int64 // of each consent
}

func (h *guardedFixture) night(t *testing.T) *guardedNight {
	t.Helper()
	run, batches := h.plan(t, 1000)
	return h.begin(t, run.ID, batches)
}

func (h *guardedFixture) begin(t *testing.T, run int64, batches []int64) *guardedNight {
	t.Helper()
	n := &guardedNight{run: run, batches: map[int64]int64{}}
	h.decideAll(t)
	for _, b := range batches {
		h.exec(t, `UPDATE batches SET state = 'done', holder = NULL, finished_at = now() WHERE state = 'working'`)
		n.fence = claim(t, h.Store, b).Fence
		for _, i := range queryAll(t, h.pool, `SELECT consent_id FROM items WHERE batch_id = $1`, b) {
			var id int64
			_, _ = fmt.Sscan(i, &id)
			n.batches[id] = b
		}
	}
	h.exec(t, `UPDATE batches SET state = 'working', holder = gen_random_uuid(), finished_at = NULL
		WHERE run_id = $1`, run)
	return n
}

// decideAll decides what was worked, as jobs would.
func (h *guardedFixture) decideAll(t *testing.T) {
	t.Helper()
	h.exec(t, `UPDATE items i SET finished_at = now(), reason = i.partial,
		outcome = CASE WHEN i.partial <> '' THEN 'partial' WHEN i.records > 0 THEN 'rows' ELSE 'empty' END
		FROM batches b WHERE b.id = i.batch_id AND b.state = 'working' AND i.outcome IS NULL`)
}

// page is one answer that shows all debts of a consent.
func (n *guardedNight) page(consent int64, names ...string) write.PageWrite {
	p := debtsPage(consent, "one", names...)
	p.Task = calls.Task{Run: n.run, Batch: n.batches[consent], Fence: n.fence, Dataset: finance.Debts}
	p.Call.Task.Run = n.run
	return p
}

// guardState is what a night has come to: how many records are alive, noted as withheld, and removed.
func (h *guardedFixture) state(t *testing.T) string {
	t.Helper()
	return strings.Join(queryAll(t, h.pool, `SELECT
		(SELECT count(*) FROM debts WHERE removed_at IS NULL) || ' alive, ' ||
		(SELECT count(*) FROM absences WHERE withheld_by IS NOT NULL) || ' withheld, ' ||
		(SELECT count(*) FROM debts WHERE removed_at IS NOT NULL) || ' removed'`), "")
}

// What closes the guard, and what does not. Pages are written one by one, in order.
func TestRemovalGuardCloses(t *testing.T) {
	t.Parallel()
	all := func(n int) []int { return slices.Repeat([]int{0}, n) }
	for name, c := range map[string]struct {
		consents, debts int
		shows           []int // how many debts each consent still shows; those behind show all
		want            string
		reason          string
	}{
		"a fifth may go": {50, 2, all(10), "80 alive, 0 withheld, 20 removed", ""},
		"more than a fifth": {50, 2, all(14), "80 alive, 8 withheld, 20 removed",
			"11 of 50 consents that had records have none left"},
		"everybody": {50, 2, all(50), "80 alive, 80 withheld, 20 removed",
			"11 of 50 consents that had records have none left"},
		"four of many are few": {
			consents: 25, debts: 1, shows: all(4), want: "21 alive, 0 withheld, 4 removed"},
		"a handful, all": {10, 1, all(10), "8 alive, 8 withheld, 2 removed",
			"all 3 consents that were answered so far have no records left"},
		"a handful, one has kept": {10, 1, []int{1, 0, 0, 0, 0}, "6 alive, 0 withheld, 4 removed", ""},
		"a handful, one has kept, and too many": {10, 1, []int{1, 0, 0, 0, 0, 0, 0}, "6 alive, 2 withheld, 4 removed",
			"5 of 10 consents that had records have none left"},
		"two": {2, 1, all(2), "0 alive, 0 withheld, 2 removed", ""},
		"a leading member that moved": {30, 7, slices.Repeat([]int{2}, 30), "170 alive, 110 withheld, 40 removed",
			"45 of 210 records are missing, from 9 consents"},
		"much of few consents": {30, 7, []int{1, 1, 1, 1}, "186 alive, 0 withheld, 24 removed", ""},
		"few records":          {30, 2, slices.Repeat([]int{1}, 19), "41 alive, 0 withheld, 19 removed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newGuardedFixture(t, c.consents, c.debts)
			night := h.night(t)
			for i, id := range h.ids {
				shown := c.debts
				if i < len(c.shows) {
					shown = c.shows[i]
				}
				commitAll(t, h.writer, night.page(id, debtNames(shown)...))
			}
			if got := h.state(t); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			got := strings.Join(queryAll(t, h.pool, `SELECT reason FROM removal_guards
				WHERE run_id = $1 AND closed_at IS NOT NULL`, night.run), "\n")
			if got != c.reason {
				t.Errorf("closed because %q, want %q", got, c.reason)
			}
			if n := len(h.log.alerts()); n != min(len(c.reason), 1) {
				t.Errorf("%d alerts: %s", n, h.log.alerts())
			}
			partial := queryInt(t, h.pool, `SELECT count(*) FROM items WHERE partial = $1`, write.RemovalsWithheld)
			if with := queryInt(t, h.pool, `SELECT count(DISTINCT consent_id) FROM absences`); partial != with {
				t.Errorf("%d items say that removals are withheld, of %d consents", partial, with)
			}
			if broken, err := h.Read.Verify(t.Context()); err != nil || len(broken) > 0 {
				t.Errorf("verify: %v, %v", broken, err)
			}
		})
	}
}

// write puts a page into the night.
func (n *guardedNight) write(p write.PageWrite) write.PageWrite {
	p.Task = calls.Task{Run: n.run, Batch: n.batches[p.Stream.Consent], Fence: n.fence, Dataset: p.Stream.Dataset}
	p.Call.Task.Run = n.run
	return p
}

// begun is a night of some datasets over all consents.
func (h *guardedFixture) begun(t *testing.T, datasets ...finance.Dataset) *guardedNight {
	t.Helper()
	run, batches := h.plan(t, 1000, datasets...)
	return h.begin(t, run.ID, batches)
}

// Reservations that go were booked or have expired, so they never count. A consent has lost all when its last account
// has.
func TestRemovalGuardOfTransactions(t *testing.T) {
	t.Parallel()
	h := newGuardedFixture(t, 10, 0)
	accounts := []string{"one", "two"}
	page := func(n *guardedNight, id int64, account string, booked, pending int) write.PageWrite {
		p := newPage(transactionsStream(id, account), "")
		for i := range booked + pending {
			tx := newTransaction(account, fmt.Sprintf("t%d", i), "x", i)
			if i >= booked {
				tx.ID, tx.Status = fmt.Sprintf("p%d", i-booked), finance.Pending
			}
			p.Records.Transactions = append(p.Records.Transactions, tx)
		}
		p.Whole = &finance.Whole{}
		return n.write(p)
	}
	night := func(booked, pending int) *guardedNight {
		n := h.begun(t, finance.Transactions)
		for _, id := range h.ids {
			for _, account := range accounts {
				commitAll(t, h.writer, page(n, id, account, booked, pending))
			}
		}
		return n
	}
	state := func() string {
		return strings.Join(queryAll(t, h.pool, `SELECT
			(SELECT count(*) FROM transactions WHERE removed_at IS NULL AND status = 'booked') || ' booked, ' ||
			(SELECT count(*) FROM transactions WHERE removed_at IS NULL AND status = 'pending') || ' pending, ' ||
			(SELECT count(*) FROM absences) || ' withheld, guards ' ||
			(SELECT count(*) FROM removal_guards) || ', closed ' ||
			(SELECT count(*) FROM removal_guards WHERE closed_at IS NOT NULL)`), "")
	}
	night(3, 2)
	night(3, 0)
	if got, want := state(), "60 booked, 0 pending, 0 withheld, guards 0, closed 0"; got != want {
		t.Errorf("all reservations gone: %s, want %s", got, want)
	}
	night(3, 2)
	night(0, 0)
	if got, want := state(), "45 booked, 30 pending, 75 withheld, guards 1, closed 1"; got != want {
		// Two consents have lost all, and the third its first account: with the second it would have been the third consent.
		t.Errorf("all gone: %s, want %s", got, want)
	}
}

// Accounts count, and their balances follow them.
func TestRemovalGuardOfAccounts(t *testing.T) {
	t.Parallel()
	h := newGuardedFixture(t, 10, 0)
	page := func(n *guardedNight, id int64, accounts ...string) write.PageWrite {
		p := newPage(finance.Stream{Consent: id, Dataset: finance.Accounts}, "")
		for i, a := range accounts {
			at := finance.Lineage{Place: int32(i)}
			p.Records.Accounts = append(p.Records.Accounts, finance.Account{Lineage: at, ID: a})
			for _, kind := range []string{"booked", "available"} {
				b := finance.Balance{Lineage: at, AccountID: a, Kind: kind, Currency: "NOK"}
				b.Amount, _ = finance.ParseAmount("1")
				p.Records.Balances = append(p.Records.Balances, b)
			}
		}
		p.Whole = &finance.Whole{}
		return n.write(p)
	}
	lines := func() string {
		return strings.Join(queryAll(t, h.pool, `SELECT
			(SELECT count(*) FROM accounts WHERE removed_at IS NULL) || ' accounts, ' ||
			(SELECT count(*) FROM balances WHERE removed_at IS NULL) || ' balances, ' ||
			(SELECT count(*) FROM absences WHERE kind = 'accounts') || ' and ' ||
			(SELECT count(*) FROM absences WHERE kind = 'balances') || ' withheld'`), "")
	}
	first := h.begun(t, finance.Accounts)
	for _, id := range h.ids {
		commitAll(t, h.writer, page(first, id, "a", "b"))
	}
	before := queryAll(t, h.pool, `SELECT consent_id, account_id, kind, first_seen_at::text, call_id::text, place
		FROM balances ORDER BY 1, 2, 3`)
	night := h.begun(t, finance.Accounts)
	for _, id := range h.ids {
		commitAll(t, h.writer, page(night, id))
	}
	if got, want := lines(), "16 accounts, 32 balances, 16 and 32 withheld"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	did, err := h.Streams.UndoRemovals(t.Context(), night.run)
	if err != nil || did != (streams.RemovalChange{Consents: 2, Records: 4}) {
		t.Errorf("undo: %+v, %v", did, err)
	}
	after := queryAll(t, h.pool, `SELECT consent_id, account_id, kind, first_seen_at::text, call_id::text, place
		FROM balances WHERE removed_at IS NULL ORDER BY 1, 2, 3`)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error(diff)
	}
	did, err = h.Streams.AcceptRemovals(t.Context(), night.run)
	if err != nil || did != (streams.RemovalChange{Consents: 8, Records: 16}) {
		t.Errorf("accept: %+v, %v", did, err)
	}
	if got, want := lines(), "4 accounts, 8 balances, 0 and 0 withheld"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Writers with pages of several datasets, in any order, lock the guards in one order.
func TestRemovalGuardsAreLockedInOneOrder(t *testing.T) {
	t.Parallel()
	h := newGuardedFixture(t, 60, 1)
	both := h.begun(t, finance.Accounts, finance.Debts)
	accountsPage := func(n *guardedNight, id int64, accounts ...string) write.PageWrite {
		p := newPage(finance.Stream{Consent: id, Dataset: finance.Accounts}, "")
		for _, a := range accounts {
			p.Records.Accounts = append(p.Records.Accounts, finance.Account{ID: a})
		}
		p.Whole = &finance.Whole{}
		return n.write(p)
	}
	for _, id := range h.ids {
		commitAll(t, h.writer, accountsPage(both, id, "a"), both.page(id, "d0"))
	}
	night := h.begun(t, finance.Accounts, finance.Debts)
	var repeated atomic.Int64 // transactions that were begun and not committed
	watched := write.NewWriter(h.writerPool, plainArchive{}, write.WriterOptions{Step: func(name string) {
		switch name {
		case "commit.fenced":
			repeated.Add(1)
		case "commit.done":
			repeated.Add(-1)
		}
	}})
	c := write.StartCommitter(t.Context(), watched, 6)
	var readers sync.WaitGroup
	for i, id := range h.ids {
		readers.Go(func() {
			pages := []write.PageWrite{accountsPage(night, id), night.page(id)}
			if i%2 == 0 {
				slices.Reverse(pages)
			}
			for _, p := range pages {
				if err := c.Line(0).Hand(t.Context(), p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	readers.Wait()
	got := queryAll(t, h.pool, `SELECT dataset, consents, lost, closed_at IS NOT NULL FROM removal_guards ORDER BY 1`)
	if diff := cmp.Diff([]string{"accounts 12 12 true", "debt 12 12 true"}, got); diff != "" {
		t.Error(diff)
	}
	if n := repeated.Load(); n != 0 {
		t.Errorf("%d transactions were begun again: a deadlock, or a wait of seconds for a lock", n)
	}
	if alerts := h.log.alerts(); len(alerts) != 2 {
		t.Errorf("%d alerts, want one for each dataset: %s", len(alerts), alerts)
	}
}

// A process that closed the guard and was killed before it could tell leaves that to the next.
func TestRemovalGuardIsToldByTheNext(t *testing.T) {
	t.Parallel()
	h := newGuardedFixture(t, 10, 1)
	night := h.night(t)
	for _, id := range h.ids[:3] {
		commitAll(t, h.writer, night.page(id))
	}
	h.exec(t, `UPDATE removal_guards SET told_at = NULL`)
	for _, id := range h.ids[3:] {
		commitAll(t, h.writer, night.page(id))
	}
	if n := len(h.log.alerts()); n != 2 {
		t.Errorf("%d alerts, want the one before and the one of the next", n)
	}
}

// What there was before a run is counted where it is needed: rows of an earlier time, of the run's consents.
func TestRemovalGuardCountsWhatWasThereBefore(t *testing.T) {
	t.Parallel()
	h := newGuardedFixture(t, 30, 2)
	fresh := h.consents(t, 30)
	night := h.night(t)
	for _, id := range fresh { // they had nothing before this night
		commitAll(t, h.writer, night.page(id, "d0", "d1", "d2"))
	}
	for _, id := range h.ids {
		commitAll(t, h.writer, night.page(id))
	}
	got := queryAll(t, h.pool, `SELECT lost, asked, asked_records, reason FROM removal_guards`)
	want := "6 30 <nil> 7 of 30 consents that had records have none left"
	if diff := cmp.Diff([]string{want}, got); diff != "" {
		t.Error(diff)
	}
}
