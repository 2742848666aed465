package persist_test

import (
	"testing"
	"time"

	"syncer/finance"
	"syncer/persist/persisttest"
)

// A person's records may be several sets: what else is stored is asked for one of them.
func TestOthersOfASet(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	debts := finance.Stream{Consent: 1, Dataset: finance.Debts}
	owed := newPage(debts, "")
	owed.Records.Debts = []finance.Debt{{ID: "invoice-1"}, {ID: "invoice-2"}, {ID: "visit-1"}}
	accounts := finance.Stream{Consent: 1, Dataset: finance.Accounts}
	held := newPage(accounts, "")
	held.Records.Accounts = []finance.Account{{ID: "a"}, {ID: "b"}}
	rows := transactionsStream(1, "acc")
	commitAll(t, w, owed, held, transactionsPage(rows, "1", "recent-1", "coffee", "17", "rent"))
	reserved := transactionsStream(2, "acc")
	hold := transactionsPage(reserved, "1", "held", "petrol")
	hold.Records.Transactions[0].Status = finance.Pending
	var none finance.Date
	hold.Records.Transactions[0].BookedOn = none
	commitAll(t, w, hold)
	day := finance.DateOf(time.Now())
	for _, c := range []struct {
		stream finance.Stream
		set    finance.Extent
		ids    []string
		want   bool
	}{
		{debts, finance.Extent{}, []string{"invoice-1", "invoice-2"}, true},
		{debts, finance.Extent{Prefix: "invoice-"}, []string{"invoice-1", "invoice-2"}, false},
		{debts, finance.Extent{Prefix: "invoice-"}, []string{"invoice-1"}, true},
		{debts, finance.Extent{Prefix: "%"}, nil, false},
		{accounts, finance.Extent{}, []string{"a"}, true},
		{accounts, finance.Extent{}, []string{"a", "b"}, false},
		{accounts, finance.Extent{Prefix: "b"}, []string{"b"}, false},
		{rows, finance.Extent{}, nil, true},
		{rows, finance.Extent{Prefix: "recent-"}, []string{"recent-1"}, false},
		{rows, finance.Extent{Prefix: "recent-"}, nil, true},
		{rows, finance.Extent{Status: finance.Pending}, nil, false},
		{transactionsStream(1, "other"), finance.Extent{}, nil, false},
		{reserved, finance.Extent{Status: finance.Pending, From: day, To: day}, nil, true},
		{reserved, finance.Extent{Status: finance.Pending, From: day, To: day}, []string{"held"}, false},
	} {
		got, err := w.Others(t.Context(), c.stream, c.set, c.ids)
		if err != nil || got != c.want {
			t.Errorf("%s %+v without %q: %t, %v", c.stream.Dataset, c.set, c.ids, got, err)
		}
	}
}
