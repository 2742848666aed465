package fetch_test

import (
	"strings"
	"testing"

	"syncer/fetch"
	"syncer/finance"
)

// A currency has three letters, in every record that has one: a number of a person that stands there is not stored.
func TestACurrencyHasThreeLetters(t *testing.T) {
	const number = "15088512909"
	for code, stored := range map[string]bool{
		"NOK": true, "sek": true, "": true,
		number: false, "NO": false, "NOKK": false, "N0K": false, "578": false, " NOK": false, "ÆØÅ": false, "kr.": false,
	} {
		pages := map[string]fetch.Page{
			"account":     {Records: finance.Records{Accounts: []finance.Account{{ID: "a", Currency: code}}}},
			"transaction": {Records: finance.Records{Transactions: []finance.Transaction{{AccountID: "a", ID: "a", Currency: code}}}},
			"original": {Records: finance.Records{Transactions: []finance.Transaction{
				{AccountID: "a", ID: "a", Currency: "NOK", OriginalCurrency: code},
			}}},
			"debt": {Records: finance.Records{Debts: []finance.Debt{{ID: "a", Currency: code}}}},
			"figure": {Records: finance.Records{
				Accounts: []finance.Account{{ID: "a", Lineage: finance.Lineage{Place: 4}}},
				Balances: []finance.Balance{{AccountID: "a", Lineage: finance.Lineage{Place: 4}, Kind: "booked", Currency: code}},
			}},
		}
		for name, page := range pages {
			before := page.Records.Len()
			page.Vet()
			if got := page.Records.Len() == before; got != stored {
				t.Errorf("%s with the currency %q: stored %v, want %v", name, code, got, stored)
			}
			if stored != (len(page.Rejects) == 0) {
				t.Errorf("%s with the currency %q: %d rejects", name, code, len(page.Rejects))
			}
			for _, r := range page.Rejects {
				if !strings.Contains(r.Reason, "currency: want the three letters") || strings.Contains(r.Reason, number) {
					t.Errorf("%s: %s", name, r.Reason)
				}
			}
		}
	}
}
