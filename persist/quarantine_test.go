package persist_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/persist/read"
	"syncer/persist/streams"
	"syncer/persist/write"
)

// broken is a record that could not be read: its key and its bytes.
func broken(key, body string) finance.Reject {
	r := finance.Reject{Place: 3, Reason: "not a date", Key: key}
	copy(r.Body[:], body)
	return r
}

// A record in quarantine is there once, however often it comes, until something resolves it.
func TestQuarantineHoldsARecordOnce(t *testing.T) {
	t.Parallel()
	type pass struct {
		run     int64
		midPass bool
		covers  bool
		rejects []finance.Reject
		shows   string // ids of good records
		want    string // key, times, whether the position waits, how it is resolved
	}
	met := func(key, body string) []finance.Reject { return []finance.Reject{broken(key, body)} }
	known := func(key, body string) []finance.Reject {
		r := broken(key, body)
		r.Known = true
		return []finance.Reject{r}
	}
	for name, passes := range map[string][]pass{
		"counted once a run": {
			{1, true, false, met("k", "a"), "", "k 1 true <nil>"},
			{1, false, false, met("k", "a"), "", "k 1 true <nil>"},
			{2, false, false, known("k", "a"), "", "k 2 false <nil>"},
			{3, false, false, known("k", "a"), "", "k 3 false <nil>"},
		},
		"read well by its key": {
			{1, false, false, met("k", "a"), "", "k 1 true <nil>"},
			{2, false, false, known("k", "a"), "", "k 2 false <nil>"},
			{3, false, false, nil, "x k", "k 2 false read"},
		},
		"not met where the position waited": {
			{1, false, false, met("", "a"), "", "<nil> 1 true <nil>"},
			{2, true, false, nil, "x", "<nil> 1 true <nil>"},
			{2, false, false, nil, "y", "<nil> 1 false gone"},
		},
		"not met where no position waits": {
			{1, false, false, met("", "a"), "", "<nil> 1 true <nil>"},
			{2, false, false, known("", "a"), "", "<nil> 2 false <nil>"},
			{3, false, false, nil, "x", "<nil> 2 false <nil>"},
			{4, false, true, nil, "x", "<nil> 2 false gone"},
		},
		"met earlier in the same pass": {
			{1, false, false, met("", "a"), "", "<nil> 1 true <nil>"},
			{2, true, false, known("", "a"), "", "<nil> 2 false <nil>"},
			{3, false, true, nil, "x", "<nil> 2 false <nil>"},
		},
		"comes again": {
			{1, false, false, met("k", "a"), "", "k 1 true <nil>"},
			{2, false, false, nil, "k", "k 1 false read"},
			{3, false, false, met("k", "a"), "", "k 1 true <nil>"},
		},
		"other bytes under its key": {
			{1, false, false, met("k", "a"), "", "k 1 true <nil>"},
			{2, false, false, met("k", "b"), "", "k 1 false replaced, k 1 true <nil>"},
		},
		"two contents of one key": {
			{1, false, false, append(met("k", "a"), met("k", "b")...), "", "k 1 true <nil>, k 1 true <nil>"},
			{2, false, false, append(known("k", "a"), known("k", "b")...), "", "k 2 false <nil>, k 2 false <nil>"},
		},
		"the same bytes twice on a page": {
			{1, false, false, append(met("k", "a"), met("k", "a")...), "", "k 1 true <nil>"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := persisttest.New(t)
			w := newWriter(pool)
			s := transactionsStream(7, "acc")
			for i, c := range passes {
				p := newPage(s, "on")
				p.Task.Run, p.MidPass, p.Covers, p.Rejects = c.run, c.midPass, c.covers, c.rejects
				p.Isolated = true
				for _, id := range strings.Fields(c.shows) {
					p.Records.Transactions = append(p.Records.Transactions, newTransaction("acc", id, "x", 0))
				}
				commitAll(t, w, p)
				rows := queryAll(t, pool, `SELECT record_id, times, held, resolved_as FROM quarantine ORDER BY id`)
				if got := strings.Join(rows, ", "); got != c.want {
					t.Errorf("pass %d: %s, want %s", i+1, got, c.want)
				}
			}
		})
	}
}

// What is accepted stays so while it comes with the same bytes.
func TestQuarantineIsAccepted(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	w := newWriter(h.pool)
	consent := h.consents(t, 1)[0]
	s := transactionsStream(consent, "acc")
	p := newPage(s, "on")
	p.Rejects = []finance.Reject{broken("k", "a")}
	commitAll(t, w, p)
	list, err := h.Read.Quarantine(t.Context(), read.QuarantineFilter{Connection: "bank"})
	if err != nil || len(list) != 1 || list[0].Key != "k" || list[0].Consent != consent || list[0].Call != p.Call.ID {
		t.Fatalf("%+v, %v", list, err)
	}
	id := list[0].ID
	asked := []finance.Hash{p.Rejects[0].Body, broken("", "b").Body}
	known := func(run int64, want map[finance.Hash]finance.Met) {
		t.Helper()
		got, err := w.Quarantined(t.Context(), s, run, asked)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
	known(1, map[finance.Hash]finance.Met{})
	known(2, map[finance.Hash]finance.Met{asked[0]: {}})
	if n, err := w.OpenQuarantine(t.Context(), s, 2); err != nil || n != 1 {
		t.Errorf("%d are open, %v", n, err)
	}
	must(t, h.Streams.AcceptQuarantined(t.Context(), id, "the bank will not mend it"))
	known(1, map[finance.Hash]finance.Met{asked[0]: {Accepted: true}})
	if err := h.Streams.AcceptQuarantined(t.Context(), id, "again"); !errors.Is(err, streams.ErrResolved) {
		t.Errorf("accepted twice: %v", err)
	}
	if err := h.Streams.AcceptQuarantined(t.Context(), id+1, "no such"); !errors.Is(err, pg.ErrNotFound) {
		t.Errorf("accepted what is not there: %v", err)
	}
	again := newPage(s, "on")
	again.Task.Run = 2
	again.Rejects = []finance.Reject{broken("k", "a")}
	again.Rejects[0].Known, again.Rejects[0].Accepted = true, true
	commitAll(t, w, again)
	if n, err := w.OpenQuarantine(t.Context(), s, 2); err != nil || n != 0 {
		t.Errorf("%d are open after what was accepted came again, %v", n, err)
	}
	if at, err := w.StreamState(t.Context(), s); err != nil || at.Missing != "" {
		t.Errorf("%+v, %v", at, err)
	}
	all, err := h.Read.Quarantine(t.Context(), read.QuarantineFilter{Resolved: true})
	if err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	if r := all[0]; r.ResolvedAs != "accepted" || r.Note != "the bank will not mend it" || r.Times != 2 {
		t.Errorf("%+v", r)
	}
}

// A record that could not be read and whose key is known counts as seen: its row stays when the set is whole.
func TestUnreadRecordsCountAsSeen(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	commitAll(t, w, debtsPage(1, "one", "a", "b", "c"))
	page := debtsPage(1, "one", "a")
	page.Rejects = []finance.Reject{broken("b", "b")}
	commitAll(t, w, page)
	if got, want := aliveDebts(t, pool, 1), "a b"; got != want {
		t.Errorf("alive: %s, want %s", got, want)
	}
}

// The figures of an account are told apart by kind and currency.
func TestBalancesInSeveralCurrencies(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	page := func(paged bool, currencies ...string) write.PageWrite {
		p := newPage(finance.Stream{Consent: 1, Dataset: finance.Accounts}, "")
		p.Records.Accounts = []finance.Account{{ID: "a"}}
		for _, currency := range currencies {
			b := finance.Balance{AccountID: "a", Kind: "booked", Currency: currency}
			b.Amount, _ = finance.ParseAmount("1")
			p.Records.Balances = append(p.Records.Balances, b)
		}
		p.Whole = &finance.Whole{Paged: paged}
		return p
	}
	alive := func() string {
		return strings.Join(queryAll(t, pool, `SELECT b.currency || CASE WHEN n.record_id IS NULL THEN '' ELSE '?' END
			FROM balances b LEFT JOIN absences n ON n.kind = 'balances' AND n.record_id = b.kind || ' ' || b.currency
			WHERE b.removed_at IS NULL ORDER BY 1`), " ")
	}
	for i, c := range []struct {
		page write.PageWrite
		want string
	}{
		{page(false, "NOK", "EUR"), "EUR NOK"},
		{page(true, "NOK"), "EUR? NOK"},
		{page(true, "NOK", "EUR"), "EUR NOK"},
		{page(true, "EUR"), "EUR NOK?"},
		{page(true, "EUR"), "EUR"},
		{page(false, "NOK", "EUR"), "EUR NOK"},
		{page(false, "NOK"), "NOK"},
	} {
		commitAll(t, w, c.page)
		if got := alive(); got != c.want {
			t.Errorf("after page %d: %s, want %s", i+1, got, c.want)
		}
	}
}

// Which consents of a batch have records in quarantine is asked for all of them at once.
func TestIsolatedConsentsOfABatch(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 3)
	_, batches := h.plan(t, 3)
	w := newWriter(h.pool)
	for _, id := range ids[:2] {
		p := newPage(debtStream(id), "on")
		p.Rejects = []finance.Reject{broken("k", "a")}
		commitAll(t, w, p)
	}
	if _, err := h.pool.Exec(t.Context(), `UPDATE quarantine
		SET resolved_at = now(), resolved_as = 'read'
		WHERE consent_id = $1`, ids[1]); err != nil {
		t.Fatal(err)
	}
	isolated, err := h.Streams.Isolated(t.Context(), batches[0])
	if diff := cmp.Diff(map[int64]bool{ids[0]: true}, isolated); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}
