package persist_test

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/govalues/decimal"

	"syncer/finance"
	"syncer/persist/persisttest"
)

// An amount is the same number in Postgres, to the last digit, whatever its size and scale.
func TestCommitKeepsAmountsExactly(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	s := transactionsStream(1, "acc")
	page := newPage(s, "")
	want := map[string]string{}
	add := func(id string, d decimal.Decimal) {
		r := newTransaction("acc", id, "x", 0)
		r.Amount = finance.Amount{Decimal: d, Valid: true}
		page.Records.Transactions = append(page.Records.Transactions, r)
		want[id] = d.String()
	}
	for scale := range 20 {
		for _, n := range []int64{0, 1, -1, 9999, 10000, -10001, 100000000, 123456789, math.MaxInt64, math.MinInt64 + 1} {
			if d, err := decimal.New(n, scale); err == nil {
				add(big.NewInt(int64(len(want))).String(), d)
			}
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		d, err := decimal.New(rapid.Int64().Draw(rt, "coefficient"), rapid.IntRange(0, 19).Draw(rt, "scale"))
		if err == nil {
			add(big.NewInt(int64(len(want))).String(), d)
		}
	})
	commitAll(t, w, page)
	rows, err := pool.Query(t.Context(), "SELECT transaction_id, amount::text FROM transactions")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var id, got string
		if err := rows.Scan(&id, &got); err != nil {
			t.Fatal(err)
		}
		if got != want[id] {
			t.Errorf("got %s, want %s", got, want[id])
		}
	}
	if n != len(want) || n < 200 {
		t.Errorf("%d amounts came back of %d", n, len(want))
	}
}
