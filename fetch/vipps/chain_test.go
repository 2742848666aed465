package vipps

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/fetch/jsonread"
	"syncer/finance"
)

// move is a row that takes a balance from one figure to another.
func move(psp string, before, amount, after int) string {
	return changed(capture, "pspReference", fmt.Sprintf("%q", psp), "amount", fmt.Sprint(amount),
		"balanceBefore", fmt.Sprint(before), "balanceAfter", fmt.Sprint(after))
}

func TestBalanceChain(t *testing.T) {
	hundred := int64(100)
	const broken = "the running balance of funds breaks %d times, first at row %d of its answer, booked 2026-01-05: rows may be missing or doubled; all rows were kept"
	for name, c := range map[string]struct {
		behind  chain
		rows    []string
		partial string
	}{
		"whole":                              {chain{}, []string{move("a", 0, 5, 5), move("b", 5, -7, -2), move("c", -2, 0, -2)}, ""},
		"goes on from the page before":       {chain{Balance: &hundred}, []string{move("a", 100, 5, 105)}, ""},
		"a row is missing between two pages": {chain{Balance: &hundred}, []string{move("a", 90, 5, 95)}, fmt.Sprintf(broken, 1, 0)},
		"a row is missing":                   {chain{}, []string{move("a", 0, 5, 5), move("b", 6, 1, 7), move("c", 7, 1, 8)}, fmt.Sprintf(broken, 1, 1)},
		"a row is there twice":               {chain{}, []string{move("a", 0, 5, 5), move("a", 0, 5, 5)}, fmt.Sprintf(broken, 1, 1)},
		"a row does not add up":              {chain{}, []string{move("a", 0, 5, 6), move("b", 6, 1, 7)}, fmt.Sprintf(broken, 1, 0)},
		"two breaks":                         {chain{}, []string{move("a", 0, 5, 5), move("b", 6, 1, 7), move("c", 8, 1, 9)}, fmt.Sprintf(broken, 2, 1)},
		"rows without balances": {chain{Balance: &hundred}, []string{
			changed(capture, "balanceBefore", "null", "balanceAfter", "null"), move("b", 6, 1, 7)}, ""},
		"behind a row that can't be read": {chain{Balance: &hundred}, []string{changed(capture, "amount", "true"), move("b", 6, 1, 7)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := &rowReader{s: jsonread.Scan([]byte(`{"items":[` + strings.Join(c.rows, ",") + `]}`)), topic: funds}
			got, err := readReport(r, c.behind, 0)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.partial, got.page.Partial); diff != "" {
				t.Error(diff)
			}
			if kept := len(got.page.Records.Transactions) + len(got.page.Rejects); kept != len(c.rows) {
				t.Errorf("%d of %d rows were kept", kept, len(c.rows))
			}
		})
	}
}

// TestKeys: the same row has the same key however it was written, and no other row has it.
func TestKeys(t *testing.T) {
	key := func(row string) string { return report1(t, rowReader{}, row).page.Records.Transactions[0].ID }
	own := key(capture)
	for name, row := range map[string]string{
		"the time in another form": changed(capture, "time", `"2026-01-05T10:10:11.120000+0200"`),
		"no ledger date":           changed(capture, "ledgerDate", "null"),
		"another order reference":  changed(capture, "reference", `"x"`),
		"personal data":            changed(capture, "name", `"Kari Prøve"`),
	} {
		if got := key(row); got != own {
			t.Errorf("%s: the key changes from %s to %s", name, own, got)
		}
	}
	for name, row := range map[string]string{
		"the movement": changed(capture, "pspReference", `"7100000002"`), "the type": changed(capture, "entryType", `"capture-fee"`),
		"the moment": changed(capture, "time", `"2026-01-05T08:10:11.120001Z"`), "the amount": changed(capture, "amount", "12901"),
		"the balance": changed(capture, "balanceAfter", "12901"), "no balance": changed(capture, "balanceAfter", "null"),
	} {
		if key(row) == own {
			t.Errorf("%s makes no difference to the key", name)
		}
	}
	old, now := changed(capture, "entryType", `"scheduled-for-payout"`), changed(capture, "entryType", `"payout-scheduled"`)
	if key(old) != key(now) {
		t.Error("a renamed type makes a new row")
	}
	undated := changed(capture, "time", "null")
	if key(undated) == key(changed(undated, "ledgerDate", `"2026-01-06"`)) {
		t.Error("rows of two days without a time have one key")
	}
}

// TestTwinsStayApart: a capture retained, returned and retained again within one moment makes two rows that are alike
// in everything. They keep their keys wherever a page ends.
func TestTwinsStayApart(t *testing.T) {
	rows := []string{move("x", 0, 90, 90), move("a", 90, -50, 40), move("a", 40, 50, 90), move("a", 90, -50, 40), move("a", 40, 50, 90), move("y", 90, 1, 91)}
	keys := func(split int) (ids []string) {
		behind := chain{}
		for _, part := range [][]string{rows[:split], rows[split:]} {
			r := &rowReader{s: jsonread.Scan([]byte(`{"items":[` + strings.Join(part, ",") + `]}`)), topic: fees}
			got, err := readReport(r, behind, 0)
			if err != nil || got.page.Partial != "" {
				t.Fatal(err, got.page.Partial)
			}
			for _, x := range got.page.Records.Transactions {
				ids = append(ids, x.ID)
			}
			behind = got.chain
		}
		return ids
	}
	whole := keys(0)
	seen := map[string]bool{}
	for _, id := range whole {
		seen[id] = true
	}
	if len(seen) != len(rows) {
		t.Errorf("%d rows have %d keys", len(rows), len(seen))
	}
	for split := range rows {
		if diff := cmp.Diff(whole, keys(split)); diff != "" {
			t.Errorf("split behind row %d: %s", split, diff)
		}
	}
}

func TestTheTailIsBounded(t *testing.T) {
	k := newChecker(funds, chain{})
	for i := range 1000 {
		k.row(&entry{Transaction: finance.Transaction{BookedOn: today}, minor: int64(i)}, int32(i))
	}
	if n := len(k.after().Tail); n != tailLength || len(k.Tail) > 4*tailLength {
		t.Errorf("%d marks, %d held", n, len(k.Tail))
	}
}
