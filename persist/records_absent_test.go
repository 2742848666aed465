package persist_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/finance"
	"syncer/persist/persisttest"
	"syncer/persist/plan"
	"syncer/persist/write"
)

// debtsPage is a page of debts. whole is "one" for a set that one answer shows, "paged" for one that took several,
// and empty for a page that proves nothing.
func debtsPage(consent int64, whole string, ids ...string) write.PageWrite {
	p := newPage(finance.Stream{Consent: consent, Dataset: finance.Debts}, "")
	for i, id := range ids {
		d := finance.Debt{Lineage: finance.Lineage{Place: int32(i)}, ID: id, Creditor: "bank", TermsLeft: -1, CoBorrower: -1}
		p.Records.Debts = append(p.Records.Debts, d)
	}
	p.Facts.Records = len(ids)
	if whole != "" {
		p.Whole = &finance.Whole{Paged: whole == "paged"}
	}
	return p
}

// aliveDebts are the debts of a consent that are not removed, and those that are noted as missing, with a question
// mark.
func aliveDebts(t testing.TB, pool *pgxpool.Pool, consent int64) string {
	t.Helper()
	return strings.Join(queryAll(t, pool, `SELECT d.debt_id || CASE WHEN n.record_id IS NULL THEN '' ELSE '?' END FROM debts d
		LEFT JOIN absences n ON n.consent_id = d.consent_id AND n.kind = 'debts' AND n.record_id = d.debt_id
		WHERE d.consent_id = $1 AND d.removed_at IS NULL ORDER BY d.debt_id`, consent), " ")
}

// What a set of several answers lacks is removed when a second pass lacks it too, and not before.
func TestAbsentRowsWantASecondLook(t *testing.T) {
	t.Parallel()
	type pass struct {
		whole string
		shows string
		want  string // alive afterwards
	}
	for name, passes := range map[string][]pass{
		"one answer proves":   {{"one", "a", "a"}},
		"two passes prove":    {{"paged", "a", "a b? c?"}, {"paged", "a", "a"}},
		"only what both lack": {{"paged", "a b", "a b c?"}, {"paged", "a c", "a b? c"}, {"paged", "a c", "a c"}},
		"one answer confirms": {{"paged", "a", "a b? c?"}, {"one", "a b", "a b"}},
		"a page that proves nothing shows": {
			{"paged", "a", "a b? c?"}, {"", "b", "a b c?"}, {"paged", "a", "a b?"}, {"paged", "a", "a"},
		},
		"a changed row is there again": {{"paged", "a", "a b? c?"}, {"", "b c", "a b c"}},
		"a pass that proves nothing":   {{"", "a", "a b c"}, {"", "a", "a b c"}},
		"all back":                     {{"paged", "", "a? b? c?"}, {"paged", "a b c", "a b c"}, {"paged", "", "a? b? c?"}},
	} {
		t.Run(name, func(t *testing.T) {
			pool := persisttest.New(t)
			w := newWriter(pool)
			commitAll(t, w, debtsPage(1, "one", "a", "b", "c"), debtsPage(2, "one", "a", "b", "c"))
			for i, p := range passes {
				page := debtsPage(1, p.whole, strings.Fields(p.shows)...)
				commitAll(t, w, page)
				if got := aliveDebts(t, pool, 1); got != p.want {
					t.Errorf("after pass %d: %s, want %s", i+1, got, p.want)
				}
			}
			if got := aliveDebts(t, pool, 2); got != "a b c" {
				t.Errorf("another consent has %s", got)
			}
			if rest := queryAll(t, pool, `SELECT record_id FROM absences n WHERE NOT EXISTS (SELECT FROM debts d
				WHERE d.consent_id = n.consent_id AND d.debt_id = n.record_id AND d.removed_at IS NULL)`); len(rest) > 0 {
				t.Errorf("notes of rows that are not there: %s", rest)
			}
		})
	}
}

// Passes that are written in one transaction count as those that are not.
func TestAbsentRowsOfPassesWrittenTogether(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	commitAll(t, w, debtsPage(1, "one", "a", "b", "c", "d"),
		debtsPage(1, "paged", "a"), debtsPage(1, "", "b"), debtsPage(1, "paged", "a", "d"))
	if got, want := aliveDebts(t, pool, 1), "a b? d"; got != want {
		t.Errorf("alive: %s, want %s", got, want)
	}
}

// A page that is written again, as after a commit whose answer was lost, is no second look.
func TestAbsentRowsAreNotConfirmedByTheSameCall(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	commitAll(t, w, debtsPage(1, "one", "a", "b"))
	first := debtsPage(1, "paged", "a")
	if got := commitAll(t, w, first); got[0].Noted != 1 || got[0].Removed != 0 {
		t.Errorf("the first look: %+v", got[0])
	}
	first.Call.Durable = true // its row is there already
	commitAll(t, w, first, first)
	if got, want := aliveDebts(t, pool, 1), "a b?"; got != want {
		t.Errorf("alive: %s, want %s", got, want)
	}

	second := debtsPage(1, "paged", "a")
	if got := commitAll(t, w, second); got[0].Removed != 1 || got[0].Noted != 0 {
		t.Errorf("the second look: %+v", got[0])
	}
	removed := queryAll(t, pool, `SELECT d.debt_id, d.call_id = $1, d.place, d.removed_at = h.replaced_at, h.replaced_by = $1,
		h.removed_at IS NULL, d.first_seen_at = h.first_seen_at, d.changed_xid > h.changed_xid
		FROM debts d JOIN debts_history h USING (consent_id, debt_id)`, [16]byte(second.Call.ID))
	if diff := cmp.Diff([]string{"b true -1 true true true true true"}, removed); diff != "" {
		t.Error(diff)
	}
}

// The bytes of a page that lacks rows must be read again when they come again, or nothing would ever remove the rows.
func TestAbsentRowsKeepTheirPageFromBeingPassedOver(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	page := debtsPage(1, "one", "a", "b")
	page.Remember = true
	commitAll(t, w, page)
	short := debtsPage(1, "paged")
	short.Key, short.Remember = page.Key, true
	commitAll(t, w, short)
	if _, kept, err := w.StateAndKept(t.Context(), page.Stream); err != nil || len(kept) != 0 {
		t.Errorf("remembered: %v, %v", kept, err)
	}
	short = debtsPage(1, "paged")
	short.Key, short.Remember = page.Key, true
	commitAll(t, w, short)
	if _, kept, err := w.StateAndKept(t.Context(), page.Stream); err != nil || len(kept) != 1 {
		t.Errorf("remembered once nothing was missing: %v, %v", kept, err)
	}
}

func TestAbsentAccountsTakeTheirBalancesAlong(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	page := func(paged bool, ids ...string) write.PageWrite {
		p := newPage(finance.Stream{Consent: 1, Dataset: finance.Accounts}, "")
		for _, id := range ids {
			p.Records.Accounts = append(p.Records.Accounts, finance.Account{ID: id})
			b := finance.Balance{AccountID: id, Kind: "booked", Currency: "NOK"}
			b.Amount, _ = finance.ParseAmount("1")
			p.Records.Balances = append(p.Records.Balances, b)
		}
		p.Whole = &finance.Whole{Paged: paged}
		return p
	}
	alive := func() string {
		return strings.Join(queryAll(t, pool, `SELECT account_id FROM accounts WHERE removed_at IS NULL UNION ALL
			SELECT account_id || '/' || kind FROM balances WHERE removed_at IS NULL ORDER BY 1`), " ")
	}
	commitAll(t, w, page(false, "a", "b"))
	commitAll(t, w, page(true, "a"))
	if got, want := alive(), "a a/booked b b/booked"; got != want {
		t.Errorf("after one look: %s, want %s", got, want)
	}
	if n := queryInt(t, pool, "SELECT count(*) FROM absences"); n != 2 {
		t.Errorf("%d notes, want 2", n)
	}
	commitAll(t, w, page(true, "a"))
	if got, want := alive(), "a a/booked"; got != want {
		t.Errorf("after two looks: %s, want %s", got, want)
	}
}

// A reservation that came back booked needs no second look; as many as bookings came, and of the same money.
func TestAbsentReservationsThatWereBooked(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 1)
	s := transactionsStream(ids[0], "acc")
	w := newWriter(h.pool)
	amount := func(tx finance.Transaction, text string) finance.Transaction {
		tx.Amount, _ = finance.ParseAmount(text)
		return tx
	}
	first := newPage(s, "")
	for i, text := range []string{"-10", "-10", "-20"} {
		tx := amount(newTransaction("acc", []string{"p1", "p2", "p3"}[i], "x", i), text)
		tx.Status = finance.Pending
		first.Records.Transactions = append(first.Records.Transactions, tx)
	}
	first.Records.Transactions = append(first.Records.Transactions, amount(newTransaction("acc", "old", "x", 3), "-20"))
	commitAll(t, w, first)

	run, _ := h.plan(t, 1, finance.Transactions)
	last := newPage(s, "")
	last.Task.Run = run.ID
	last.Records.Transactions = []finance.Transaction{amount(newTransaction("acc", "b1", "x", 0), "-10")}
	last.Whole = &finance.Whole{Status: finance.Pending, Paged: true}
	commitAll(t, w, last)
	got := queryAll(t, h.pool, `SELECT transaction_id FROM transactions WHERE removed_at IS NULL ORDER BY 1`)
	if diff := cmp.Diff([]string{"b1", "old", "p2", "p3"}, got); diff != "" {
		t.Error(diff)
	}
	got = queryAll(t, h.pool, `SELECT record_id FROM absences WHERE run_id = $1 ORDER BY 1`, run.ID)
	if diff := cmp.Diff([]string{"p2", "p3"}, got); diff != "" {
		t.Error(diff)
	}

	// The booking may have come in the run, and the proof in its rerun.
	third := newPage(s, "")
	third.Records.Transactions = []finance.Transaction{amount(newTransaction("acc", "p4", "x", 0), "-30")}
	third.Records.Transactions[0].Status = finance.Pending
	commitAll(t, w, third)
	h.exec(t, `UPDATE transactions SET first_seen_at = first_seen_at - interval '1 day' WHERE transaction_id = 'p4'`)
	root, _ := h.plan(t, 1, finance.Transactions)
	booked := newPage(s, "")
	booked.Records.Transactions = []finance.Transaction{amount(newTransaction("acc", "b4", "x", 0), "-30")}
	commitAll(t, w, booked)
	h.exec(t, `UPDATE runs SET verdict = 'partial', settled_at = now() WHERE id = $1`, root.ID)
	rerun, _, err := h.Plan.Rerun(t.Context(), plan.RerunSpec{OfRun: root.ID, BatchSize: 1}, listBatches(new([]int64)))
	must(t, err)
	again := newPage(s, "")
	again.Task.Run = rerun.ID
	again.Whole = &finance.Whole{Status: finance.Pending, Prefix: "p4", Paged: true}
	if got := commitAll(t, w, again); got[0].Removed != 1 {
		t.Errorf("a reservation that was booked in the run before its rerun: %+v", got[0])
	}
}
