package rest

import (
	"strings"
	"testing"

	"syncer/finance"
)

// What makes a key counts, and nothing else does.
func TestTheFingerprintIsOfWhatMakesAKey(t *testing.T) {
	of := func(text string) map[finance.Dataset]string {
		t.Helper()
		d, err := Parse([]byte(text), "keys.yaml")
		if err != nil {
			t.Fatal(err)
		}
		readings, err := compile(d, "v")
		if err != nil {
			t.Fatal(err)
		}
		a := &api{Description: d, readings: readings}
		made := map[finance.Dataset]string{}
		for dataset := range readings {
			made[dataset] = a.keys(dataset).Made
		}
		return made
	}
	const accounts, transactions = finance.Accounts, finance.Transactions
	before := of(keysDescription)
	if before[accounts] == before[transactions] || before[accounts] == "" {
		t.Errorf("fingerprints %v: want one for each dataset", before)
	}
	// An update of the program must not change them: every night of every described API would be refused.
	if before[accounts] != "6ade7f64c2f9" || before[transactions] != "55b00319b0fd" {
		t.Errorf("fingerprints %v are not those of the versions before", before)
	}
	for _, c := range []struct {
		what, from, to         string
		accounts, transactions bool // that they change
	}{
		{"a title", "title: Bank", "title: Banque", false, false},
		{"a column that is no part of a key", "text: memo", "text: note", false, false},
		{"a new column", "text: memo", "text: memo\n      reference: ref", false, false},
		{"the place of the records", "path: list}", "path: items}", false, false},
		{"the order of hashed columns", "hash: [booked_on, amount]", "hash: [amount, booked_on]", false, false},
		{"the path of an account's key", "id: {path: uid}", "id: {path: number}", true, true},
		{"an account's key that is made", "id: {path: uid}", "id: {hash: [name]}", true, true},
		{"a hash of other columns", "hash: [booked_on, amount]", "hash: [booked_on, amount, currency]", false, true},
		{"the path of a hashed column", "amount: sum", "amount: value", false, true},
		{"how a hashed amount is read", "amount: sum", "amount: {path: sum, minor_units: 2}", false, true},
		{"an id beside the hash", "id: {hash: [", "id: {path: ref, hash: [", false, true},
	} {
		text := strings.Replace(keysDescription, c.from, c.to, 1)
		if text == keysDescription {
			t.Fatalf("%s: nothing was replaced", c.what)
		}
		after := of(text)
		if got := after[accounts] != before[accounts]; got != c.accounts {
			t.Errorf("%s: the accounts' keys changed: %v, want %v", c.what, got, c.accounts)
		}
		if got := after[transactions] != before[transactions]; got != c.transactions {
			t.Errorf("%s: the transactions' keys changed: %v, want %v", c.what, got, c.transactions)
		}
	}
}

const keysDescription = `
title: Bank
base_url: https://api.example/v1
token: {dialect: none}
check: {path: ping}
datasets:
  accounts:
    request: {path: "accounts/{consent}"}
    records: list
    fields:
      id: {path: uid}
      name: name
  transactions:
    request: {path: "accounts/{account}/transactions"}
    records: [{path: list}]
    fields:
      id: {hash: [booked_on, amount]}
      booked_on: day
      amount: sum
      currency: cur
      text: memo
`
