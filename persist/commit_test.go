package persist_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/persist/write"
)

func TestCommitWritesThePageWithItsCallAndCursor(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	s := transactionsStream(7, "acc")
	batch := newBatch(t, pool, s)
	p := transactionsPage(s, "next", "a", "one", "b", "two")
	p.Task.Batch, p.Task.Fence, p.MidPass, p.Remember, p.Partial = batch, 1, true, true, "creditors 3 missing"
	p.Rejects = []finance.Reject{{Place: 2, Reason: "no date"}}

	got := commitAll(t, w, p)
	if diff := cmp.Diff([]write.Written{{Inserted: 2}}, got); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct{ sql, want string }{
		{"SELECT count(*) FROM transactions t JOIN calls c ON c.id = t.call_id WHERE t.amount = -123.45", "2"},
		{"SELECT count(*) FROM transactions WHERE booked_on = '2026-03-29' AND changed_xid IS NOT NULL AND removed_at IS NULL", "2"},
		{"SELECT place, text FROM transactions WHERE transaction_id = 'b'", "1 two"},
		{"SELECT count(*) FROM answers a JOIN calls c ON c.id = a.call_id AND a.consent_id = 7 AND a.bytes = 36", "1"},
		{"SELECT position, mid_pass, version, run_id FROM cursors", "next true 1 1"},
		{"SELECT place, reason FROM quarantine", "2 no date"},
		{"SELECT pages, records, inserted, updated, removed, quarantined, partial FROM items", "1 2 2 0 0 1 creditors 3 missing"},
	} {
		if got := strings.Join(queryAll(t, pool, c.sql), "|"); got != c.want {
			t.Errorf("%s: got %q, want %q", c.sql, got, c.want)
		}
	}
	_, kept, err := w.StateAndKept(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	want := map[finance.PageKey]finance.Kept{p.Key: {Body: p.Hash, Call: p.Call.ID, Facts: p.Facts}}
	if diff := cmp.Diff(want, kept); diff != "" {
		t.Error(diff)
	}
	if position, mid, ok, err := w.Cursor(t.Context(), s); position != "next" || !mid || !ok || err != nil {
		t.Errorf("cursor %q %v %v %v", position, mid, ok, err)
	}
	if _, _, ok, err := w.Cursor(t.Context(), transactionsStream(8, "")); ok || err != nil {
		t.Errorf("a cursor that never was: %v %v", ok, err)
	}
}

// The same page again is no new row version, whether it is read again or known by its hash.
func TestCommitOfTheSamePageChangesNothing(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	s := transactionsStream(7, "acc")
	first := transactionsPage(s, "1", "a", "one", "b", "two")
	first.Remember = true
	commitAll(t, w, first)
	versions := "SELECT transaction_id, xmin::text, xmax::text, ctid::text, changed_xid::text FROM transactions ORDER BY 1"
	before := queryAll(t, pool, versions)

	again := transactionsPage(s, "2", "a", "one", "b", "two")
	unchanged := newPage(s, "3")
	unchanged.Unchanged, unchanged.KeptCall, unchanged.Facts.Records = true, first.Call.ID, 2
	got := commitAll(t, w, again, unchanged)
	if diff := cmp.Diff([]write.Written{{Unchanged: 2}, {Unchanged: 2}}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, queryAll(t, pool, versions)); diff != "" {
		t.Error("rows were touched:", diff)
	}
	for sql, want := range map[string]int64{
		"SELECT count(*) FROM transactions_history":                       0,
		"SELECT count(*) FROM calls":                                      3,
		"SELECT count(*) FROM answers":                                    1,
		"SELECT count(*) FROM calls c JOIN calls k ON k.id = c.answer_id": 1,
		"SELECT version FROM cursors WHERE position = '3'":                2,
	} {
		if got := queryInt(t, pool, sql); got != want {
			t.Errorf("%s: got %d, want %d", sql, got, want)
		}
	}
}

func TestCommitMovesTheOldVersionToTheHistory(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	s := transactionsStream(7, "acc")
	first, second := transactionsPage(s, "1", "a", "one", "b", "same"), transactionsPage(s, "2", "b", "same", "a", "uno", "c", "new")
	commitAll(t, w, first)
	got := commitAll(t, w, second)
	if diff := cmp.Diff([]write.Written{{Inserted: 1, Updated: 1, Unchanged: 1}}, got); diff != "" {
		t.Error(diff)
	}
	n := queryInt(t, pool, `SELECT count(*) FROM transactions t JOIN transactions_history h USING (consent_id, account_id, transaction_id)
		WHERE t.transaction_id = 'a' AND t.text = 'uno' AND h.text = 'one' AND t.call_id = $1 AND h.call_id = $2
		AND h.replaced_by = $1 AND t.place = 1 AND h.place = 0 AND t.first_seen_at = h.first_seen_at
		AND t.first_seen_at = h.changed_at AND t.changed_at > h.changed_at AND h.replaced_at = t.changed_at
		AND t.changed_xid > h.changed_xid`, [16]byte(second.Call.ID), [16]byte(first.Call.ID))
	if n != 1 {
		t.Errorf("history of a: %v", queryAll(t, pool, "SELECT * FROM transactions_history"))
	}
	if n := queryInt(t, pool, "SELECT count(*) FROM transactions_history"); n != 1 {
		t.Errorf("%d rows of history, want 1", n)
	}
}

// Pages of one stream in one transaction have the effect of one after the other.
func TestCommitOfAGroupKeepsTheOrderOfItsPages(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	s := transactionsStream(7, "acc")
	whole := transactionsPage(s, "3", "b", "two")
	whole.Whole = &finance.Whole{}
	got := commitAll(t, w,
		transactionsPage(s, "1", "a", "one", "b", "two", "a", "one"),
		transactionsPage(s, "2", "a", "uno", "b", "two", "c", "x", "c", "y"),
		whole,
		transactionsPage(s, "4", "a", "back"))
	want := []write.Written{
		{Inserted: 2, Unchanged: 1},
		{Inserted: 1, Updated: 1, Unchanged: 1, Clashes: 1, Contested: 1},
		{Unchanged: 1, Removed: 2},
		{Updated: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	rows := queryAll(t, pool, "SELECT transaction_id, text, removed_at IS NOT NULL FROM transactions ORDER BY 1")
	if diff := cmp.Diff([]string{"a back false", "b two false", "c y true"}, rows); diff != "" {
		t.Error(diff)
	}
	history := queryAll(t, pool, "SELECT transaction_id, text, removed_at IS NOT NULL FROM transactions_history ORDER BY 1, 2, 3")
	if diff := cmp.Diff([]string{"a one false", "a uno false", "a uno true", "c y false"}, history); diff != "" {
		t.Error(diff)
	}
	lost := []string{"2 the record at place 3 of the same answer has the same key in transactions and other content: that one was kept"}
	if diff := cmp.Diff(lost, queryAll(t, pool, "SELECT place, reason FROM quarantine")); diff != "" {
		t.Error("a record that another of its page replaces does not vanish silently:", diff)
	}
	if diff := cmp.Diff([]string{"4 1"}, queryAll(t, pool, "SELECT position, version FROM cursors")); diff != "" {
		t.Error("the cursor moves once a transaction:", diff)
	}
}

// A provider that gives one id to two records shows both each night, on two pages: the row is the one or the other by turns.
// The first night may be a list that moved while it was read. The next one is not.
func TestAKeyOfTwoContentsOnTwoPages(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	s := transactionsStream(7, "acc")
	quarantined := func() []string {
		t.Helper()
		return queryAll(t, pool, "SELECT place, times, reason, resolved_at IS NULL FROM quarantine")
	}
	night := func(run int64, texts ...string) (last write.Written) {
		t.Helper()
		for i, text := range texts {
			p := transactionsPage(s, fmt.Sprint(i), "a", text)
			p.Task.Run = run
			p.Call.Task.Run = run
			last = commitAll(t, w, p)[0]
		}
		return last
	}
	night(1, "one", "uno")
	if got := quarantined(); len(got) > 0 {
		t.Errorf("in quarantine after a night in which the record may have changed: %s", got)
	}
	why := "an earlier answer of the same run has the same key in transactions and other content, and not for the first time: this one was kept"
	for times := 1; times <= 2; times++ {
		got := night(int64(times+1), "one", "uno")
		if diff := cmp.Diff(write.Written{Updated: 1, Contested: 1}, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{fmt.Sprintf("0 %d %s true", times, why)}, quarantined()); diff != "" {
			t.Error(diff)
		}
	}
	// One that has been so for long, and is another one for a page, is none the first time.
	s = transactionsStream(9, "acc")
	night(1, "one")
	if got := night(2, "uno", "one"); got.Contested > 0 {
		t.Errorf("the first time: %+v", got)
	}
	if got := night(3, "uno", "one"); got.Contested != 1 {
		t.Errorf("the second time: %+v", got)
	}
	// One that changes from night to night, and back, is none.
	other := transactionsStream(8, "acc")
	for run := range 4 {
		p := transactionsPage(other, "1", "a", []string{"one", "uno"}[run%2])
		p.Task.Run = int64(run + 1)
		p.Call.Task.Run = int64(run + 1)
		if got := commitAll(t, w, p)[0]; got.Contested > 0 {
			t.Errorf("run %d: %+v", run+1, got)
		}
	}
}

func TestCommitTrustsANewStreamOnlyUntilARowIsThere(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	s := transactionsStream(7, "acc")
	commitAll(t, w, transactionsPage(s, "1", "a", "one", "b", "two"))
	p := transactionsPage(s, "2", "a", "one", "b", "dos", "c", "three")
	p.NewStream = true
	got := commitAll(t, w, p)
	if diff := cmp.Diff([]write.Written{{Inserted: 1, Updated: 1, Unchanged: 1}}, got); diff != "" {
		t.Error(diff)
	}
	if n := queryInt(t, pool, "SELECT count(*) FROM calls"); n != 2 {
		t.Errorf("%d calls, want 2", n)
	}
}

func TestCommitLeavesOutAFencedBatch(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	mine, taken := transactionsStream(1, "acc"), transactionsStream(2, "acc")
	good, lostBatch := newBatch(t, pool, mine), newBatch(t, pool, taken)
	p, q := transactionsPage(mine, "1", "a", "one"), transactionsPage(taken, "1", "b", "two")
	p.Task.Batch, p.Task.Fence = good, 1
	q.Task.Batch, q.Task.Fence = lostBatch, 1
	if _, err := pool.Exec(t.Context(), "UPDATE batches SET fence = 2 WHERE id = $1", lostBatch); err != nil {
		t.Fatal(err)
	}
	results := w.Commit(t.Context(), []write.PageWrite{q, p})
	if !errors.Is(results[0].Err, pg.ErrFenced) || results[1].Err != nil {
		t.Fatalf("got %v", results)
	}
	for _, table := range []string{"transactions", "calls", "answers", "cursors"} {
		if diff := cmp.Diff([]string{"1"}, queryAll(t, pool, "SELECT count(*) FROM "+table)); diff != "" {
			t.Error(table, diff)
		}
	}
	if n := queryInt(t, pool, "SELECT count(*) FROM transactions WHERE consent_id = 2"); n != 0 {
		t.Error("the fenced page was written")
	}
	results = w.Commit(t.Context(), []write.PageWrite{q})
	if !errors.Is(results[0].Err, pg.ErrFenced) {
		t.Errorf("alone: got %v", results[0].Err)
	}
}

// A claim waits for a commit under way, so that a page can't slip in after the fence was raised.
func TestCommitHoldsItsBatchAgainstAClaim(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	s := transactionsStream(1, "acc")
	batch := newBatch(t, pool, s)
	claimed := make(chan error, 1)
	w := write.NewWriter(pool, plainArchive{}, write.WriterOptions{Step: func(name string) {
		if name != "commit.ready" {
			return
		}
		_, err := pool.Exec(t.Context(), "SET lock_timeout = '50ms'; UPDATE batches SET fence = fence + 1; RESET lock_timeout")
		claimed <- err
	}})
	p := transactionsPage(s, "1", "a", "one")
	p.Task.Batch, p.Task.Fence = batch, 1
	commitAll(t, w, p)
	if err := <-claimed; err == nil || !strings.Contains(err.Error(), "55P03") {
		t.Errorf("the claim did not wait: %v", err)
	}
}

func TestCommitOfAWholeSetRemovesWhatVanished(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	booked, other := transactionsStream(1, "acc"), transactionsStream(1, "other")
	pending := transactionsPage(booked, "2", "p:1", "x", "p:2", "y")
	for i := range pending.Records.Transactions {
		pending.Records.Transactions[i].Status = finance.Pending
	}
	commitAll(t, w, transactionsPage(booked, "1", "a", "one", "b", "two"), pending, transactionsPage(other, "1", "p:1", "x"))

	next := newPage(booked, "3")
	next.Whole = &finance.Whole{Status: finance.Pending, Prefix: "p:", Earlier: []string{"p:2"}}
	got := commitAll(t, w, next)
	if diff := cmp.Diff([]write.Written{{Removed: 1}}, got); diff != "" {
		t.Error(diff)
	}
	removed := queryAll(t, pool, `SELECT t.account_id, t.transaction_id, t.removed_at = h.replaced_at, t.place, h.removed_at IS NULL
		FROM transactions t JOIN transactions_history h USING (consent_id, account_id, transaction_id)
		WHERE t.call_id = h.replaced_by AND t.changed_xid > h.changed_xid AND t.call_id = $1`, [16]byte(next.Call.ID))
	if diff := cmp.Diff([]string{"acc p:1 true -1 true"}, removed); diff != "" {
		t.Error(diff)
	}
	if n := queryInt(t, pool, "SELECT count(*) FROM transactions WHERE removed_at IS NOT NULL"); n != 1 {
		t.Errorf("%d rows removed, want 1", n)
	}
	again := newPage(booked, "4")
	again.Whole = next.Whole
	if got := commitAll(t, w, again); got[0].Removed != 0 {
		t.Error("removed twice")
	}
}

func TestCommitOfAllAccountsCoversTheirBalances(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	s := finance.Stream{Consent: 1, Dataset: finance.Accounts}
	page := func(ids ...string) write.PageWrite {
		p := newPage(s, "")
		for i, id := range ids {
			l := finance.Lineage{Place: int32(i)}
			p.Records.Accounts = append(p.Records.Accounts, finance.Account{Lineage: l, ID: id, Extra: []byte(`{"a": 1}`)})
			for _, kind := range []string{"booked", "available"} {
				b := finance.Balance{Lineage: l, AccountID: id, Kind: kind, Currency: "NOK"}
				b.Amount, _ = finance.ParseAmount("0.10")
				p.Records.Balances = append(p.Records.Balances, b)
			}
		}
		return p
	}
	commitAll(t, w, page("a", "b", "c", "d"))
	next := page("a", "b")
	next.Records.Balances = next.Records.Balances[:3] // b has no available balance any more
	next.Whole = &finance.Whole{Earlier: []string{"d"}}
	got := commitAll(t, w, next)
	if diff := cmp.Diff([]write.Written{{Unchanged: 5, Removed: 4}}, got); diff != "" {
		t.Error(diff)
	}
	gone := queryAll(t, pool, "SELECT account_id, kind FROM balances WHERE removed_at IS NOT NULL ORDER BY 1, 2")
	if diff := cmp.Diff([]string{"b available", "c available", "c booked"}, gone); diff != "" {
		t.Error(diff)
	}
	live, err := w.Accounts(t.Context(), 1, 0)
	if diff := cmp.Diff([]string{"a", "b", "d"}, live); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestCommitOfDebts(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	s := finance.Stream{Consent: 1, Dataset: finance.Debts}
	p := newPage(s, "")
	p.Records.Debts = []finance.Debt{
		{ID: "a", Creditor: "x", TermsLeft: -1, CoBorrower: 0, ReportedAt: time.Date(2026, 3, 1, 2, 3, 4, 5000, time.UTC)},
		{ID: "b", Creditor: "y", TermsLeft: 12, CoBorrower: -1},
	}
	p.Records.Debts[0].NominalRate, _ = finance.ParseAmount("7.1250")
	commitAll(t, w, p)
	got := queryAll(t, pool, "SELECT debt_id, terms_left, co_borrower, (reported_at AT TIME ZONE 'UTC')::text, nominal_rate::text, balance FROM debts ORDER BY 1")
	if diff := cmp.Diff([]string{"a <nil> 0 2026-03-01 02:03:04.000005 7.125 <nil>", "b 12 <nil> <nil> <nil> <nil>"}, got); diff != "" {
		t.Error(diff)
	}
	empty := newPage(s, "")
	empty.Whole = &finance.Whole{}
	if got := commitAll(t, w, empty); got[0].Removed != 2 {
		t.Errorf("a proven emptiness removed %d debts, want 2", got[0].Removed)
	}
}

// A page that is not to be skipped next time must not leave an older hash behind: the rows have moved on.
func TestCommitForgetsAPageThatIsNotRemembered(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	s := transactionsStream(7, "acc")
	p := transactionsPage(s, "1", "a", "one")
	p.Remember = true
	commitAll(t, w, p)
	q := transactionsPage(s, "1", "a", "uno")
	q.Key = p.Key
	commitAll(t, w, q)
	if _, kept, err := w.StateAndKept(t.Context(), s); len(kept) != 0 || err != nil {
		t.Errorf("still kept: %v %v", kept, err)
	}
}

// A record that Postgres refuses, or would refuse, goes to quarantine. The page is stored without it, and so is what follows.
func TestCommitSetsAsideTheRecordThatCantBeStored(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*finance.Transaction)
		sql   string // of an administrator
		key   string
	}{
		"a NUL":               {func(r *finance.Transaction) { r.Text = "secret\x00" }, "", "c"},
		"invalid UTF-8":       {func(r *finance.Transaction) { r.CounterpartyName = "secret\xff" }, "", "c"},
		"NUL in the key":      {func(r *finance.Transaction) { r.ID = "secret\x00" }, "", "<nil>"},
		"a key that is long":  {func(r *finance.Transaction) { r.ID = random(3200) }, "", "<nil>"},
		"not JSON":            {func(r *finance.Transaction) { r.Extra = []byte(`{"secret`) }, "", "c"},
		"a NUL in JSON":       {func(r *finance.Transaction) { r.Extra = []byte(`{"a":"secret\u0000"}`) }, "", "c"},
		"half a character":    {func(r *finance.Transaction) { r.Extra = []byte(`{"a":"secret\ud800"}`) }, "", "c"},
		"a number too large":  {func(r *finance.Transaction) { r.Extra = []byte(`{"a":1e400000}`) }, "", "c"},
		"no day":              {func(r *finance.Transaction) { r.BookedOn = 0 }, "", "c"},
		"no amount":           {func(r *finance.Transaction) { r.Amount = finance.Amount{} }, "", "c"},
		"an unknown status":   {func(r *finance.Transaction) { r.Status = "secret" }, "", "c"},
		"a made key":          {func(r *finance.Transaction) { r.Status, r.Made = "secret", true }, "", "<nil>"},
		"a check of our own":  {func(r *finance.Transaction) { r.Text = "secret" }, `ALTER TABLE transactions ADD CHECK (text <> 'secret')`, "c"},
		"an index of our own": {func(r *finance.Transaction) { r.Text = random(3200) }, `CREATE INDEX ON transactions (text)`, "c"},
		"a unique index":      {func(r *finance.Transaction) { r.Reference = "b" }, `CREATE UNIQUE INDEX ON transactions (reference)`, "c"},
		"a trigger": {func(r *finance.Transaction) { r.Text = "secret" },
			`CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN IF NEW.text = 'secret' THEN RAISE 'not %', NEW.text; END IF; RETURN NEW; END $$;
			CREATE TRIGGER no BEFORE INSERT ON transactions FOR EACH ROW EXECUTE FUNCTION no()`, "c"},
		"a trigger at the end": {func(r *finance.Transaction) { r.Text = "secret" },
			`CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN IF EXISTS (SELECT FROM transactions WHERE text = 'secret') THEN RAISE 'not this one'; END IF; RETURN NULL; END $$;
			CREATE TRIGGER no AFTER INSERT ON transactions FOR EACH STATEMENT EXECUTE FUNCTION no()`, "c"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := persisttest.New(t)
			if _, err := pool.Exec(t.Context(), c.sql); err != nil {
				t.Fatal(err)
			}
			w := newWriter(pool)
			s, other := transactionsStream(7, "acc"), transactionsStream(8, "acc")
			bad := transactionsPage(s, "2", "b", "x", "c", "x", "e", "x")
			bad.Records.Transactions[0].Reference = "b"
			c.spoil(&bad.Records.Transactions[1])
			got := commitAll(t, w, transactionsPage(s, "1", "a", "x"), bad, transactionsPage(s, "3", "d", "x"),
				transactionsPage(other, "1", "a", "x"))
			want := []write.Written{{Inserted: 1}, {Inserted: 2, Aside: 1}, {Inserted: 1}, {Inserted: 1}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			rows := queryAll(t, pool, "SELECT consent_id, transaction_id FROM transactions ORDER BY 1, 2")
			if diff := cmp.Diff([]string{"7 a", "7 b", "7 d", "7 e", "8 a"}, rows); diff != "" {
				t.Error(diff)
			}
			aside := queryAll(t, pool, "SELECT place, record_id, held FROM quarantine")
			if diff := cmp.Diff([]string{"1 " + c.key + " false"}, aside); diff != "" {
				t.Error(diff)
			}
			if why := queryAll(t, pool, "SELECT reason FROM quarantine")[0]; !strings.HasPrefix(why, "can't be stored: ") ||
				strings.Contains(why, "secret") {
				t.Errorf("the reason is %q", why)
			}
			if diff := cmp.Diff([]string{"7 3", "8 1"}, queryAll(t, pool, "SELECT consent_id, position FROM cursors ORDER BY 1")); diff != "" {
				t.Error(diff)
			}
			if _, kept, err := w.StateAndKept(t.Context(), s); err != nil || len(kept) != 0 {
				t.Errorf("the page is remembered: %v, %v", kept, err)
			}
		})
	}
}

// Two records that Postgres refuses are two, whatever else than their keys is the same.
func TestRefusedRecordsOfOneContentAreTwo(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	if _, err := pool.Exec(t.Context(), `ALTER TABLE transactions ADD CHECK (text <> 'secret')`); err != nil {
		t.Fatal(err)
	}
	s := transactionsStream(7, "acc")
	got := commitAll(t, newWriter(pool), transactionsPage(s, "1", "a", "x", "b", "secret", "c", "x", "d", "secret", "e", "x"))
	if diff := cmp.Diff([]write.Written{{Inserted: 3, Aside: 2}}, got); diff != "" {
		t.Error(diff)
	}
	aside := queryAll(t, pool, "SELECT record_id FROM quarantine ORDER BY 1")
	if diff := cmp.Diff([]string{"b", "d"}, aside); diff != "" {
		t.Error(diff)
	}
}

// random is a text that Postgres can't compress.
func random(n int) string {
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "%x", rand.Uint64())
	}
	return b.String()[:n]
}

// A page whose trouble is no record is not taken, and neither is one of which most records are refused.
func TestCommitRefusesAPageThatNoRecordIsToBlameFor(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"nobody may write":       `CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$; CREATE TRIGGER no BEFORE INSERT ON calls FOR EACH ROW EXECUTE FUNCTION no()`,
		"most are refused":       `ALTER TABLE transactions ADD CHECK (transaction_id < 'd')`,
		"all are refused":        `ALTER TABLE transactions ADD CHECK (transaction_id < 'a')`,
		"the table is not there": `ALTER TABLE transactions RENAME TO gone`,
		"only all together":      `CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (SELECT count(*) FROM transactions) > 7 THEN RAISE 'no'; END IF; RETURN NULL; END $$; CREATE TRIGGER no AFTER INSERT ON transactions FOR EACH STATEMENT EXECUTE FUNCTION no()`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := persisttest.New(t)
			if _, err := pool.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
			page := transactionsPage(transactionsStream(7, "acc"), "1",
				"a", "x", "b", "x", "c", "x", "d", "x", "e", "x", "f", "x", "g", "x", "h", "x", "i", "x", "j", "x")
			result := newWriter(pool).Commit(t.Context(), []write.PageWrite{page})[0]
			if _, ok := errors.AsType[*write.UnstorableError](result.Err); !ok {
				t.Errorf("the page: %v", result.Err)
			}
			if n := queryInt(t, pool, "SELECT (SELECT count(*) FROM cursors) + (SELECT count(*) FROM quarantine)"); n != 0 {
				t.Errorf("%d rows of a page that was not taken", n)
			}
		})
	}
}

// The call of a single-use consent is committed before its page, and its stored answer may be read twice.
func TestCommitOfADurableCall(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	s := transactionsStream(7, "acc")
	first := transactionsPage(s, "1", "a", "one")
	commitAll(t, w, first)
	second := transactionsPage(s, "2", "a", "uno")
	second.Call = first.Call
	second.Call.Durable = true
	commitAll(t, w, second)
	if n := queryInt(t, pool, "SELECT count(*) FROM answers, calls, transactions WHERE text = 'uno'"); n != 1 {
		t.Errorf("got %d, want one answer, one call, one row", n)
	}
}
