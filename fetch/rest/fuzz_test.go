package rest

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"syncer/fetch"
	"syncer/finance"
)

// FuzzParse reads anything as a description. It must not panic, every problem must have a place and a message of one
// line, and what it accepts must compile.
func FuzzParse(f *testing.F) {
	f.Add(minimal)
	f.Add(bankish)
	f.Add(faulty + minimal)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse([]byte(text), "x.yaml")
		if err != nil {
			problems, ok := errors.AsType[Problems](err)
			if !ok || len(problems) == 0 {
				t.Fatalf("an error without problems: %v", err)
			}
			for _, p := range problems {
				if p.File != "x.yaml" || p.Message == "" || p.Line < 0 {
					t.Errorf("%#v", p)
				}
			}
			return
		}
		readings, err := compile(d, versionOf([]byte(text)))
		if err != nil {
			t.Fatalf("accepted, but does not compile: %v", err)
		}
		newFaults(d, readings)
	})
}

// FuzzAnswer reads anything as an answer of the two examples. It must not panic; records have ids, and amounts where a
// store demands them; errors and reasons repeat nothing of the answer; and no number of a person is kept.
func FuzzAnswer(f *testing.F) {
	f.Add(0, `{"accounts":[{"resourceId":"1","currency":"NOK","balances":[{"balanceType":"closingBooked","balanceAmount":{"currency":"NOK","amount":"1.00"}}]}]}`)
	f.Add(1, `{"account":{"resourceId":"acc-1"},"transactions":{"booked":[{"transactionId":"1","bookingDate":"2026-11-20","transactionAmount":{"currency":"NOK","amount":"-1.50"}}],"pending":[{"valueDate":"2026-11-20","transactionAmount":{"currency":"NOK","amount":"2"}}]}}`)
	f.Add(2, `{"mandate_id":"c-1","debtor":{"national_id":"14842249091"},"claims":[{"claim_id":null,"principal_ore":100,"sign":"C","outstanding_ore":"5"}],"paging":{"total":1}}`)
	var readings []*compiledReading
	for _, file := range []string{"fjordbank.yaml", "nordvik.yaml"} {
		text, err := fs.ReadFile(Examples(), file)
		if err != nil {
			f.Fatal(err)
		}
		d, err := Parse(text, file)
		if err != nil {
			f.Fatal(err)
		}
		all, err := compile(d, versionOf(text))
		if err != nil {
			f.Fatal(err)
		}
		for _, dataset := range []finance.Dataset{finance.Accounts, finance.Transactions, finance.Debts} {
			if p := all[dataset]; p != nil {
				readings = append(readings, p)
			}
		}
	}
	f.Fuzz(func(t *testing.T, which int, body string) {
		p := readings[uint(which)%uint(len(readings))]
		s := stream()
		s.Dataset, s.Account = p.dataset, "acc-1"
		walk := &pass{
			compiledReading: p, stream: &s, ends: &ends{}, asked: map[string]string{forConsent: "c-1", forAccount: "acc-1"},
			resolve: func(string, fetch.Follow) (fetch.Link, error) { return fetch.Link{Path: "x", Address: "/x"}, nil },
		}
		walk.list, walk.led = newReading(true, len(p.Records)), &fetch.Tonight{}
		walk.others = func(finance.Extent, []string) (bool, error) { return false, nil }
		walk.at = walk.begin()
		page, err := walk.decode(&fetch.Answer{Status: 200, Body: []byte(body)})
		if err != nil {
			silent(t, body, err.Error())
			return
		}
		for _, r := range page.Rejects {
			silent(t, body, r.Reason)
		}
		sound(t, &page.Records)
		if !page.Done {
			if _, err := p.readCursor(page.Next, today); err != nil {
				t.Errorf("its own cursor is refused: %v", err)
			}
		}
	})
}

// silent fails if a long enough word of the answer stands in a text.
func silent(t *testing.T, body, text string) {
	for _, word := range strings.FieldsFunc(body, func(r rune) bool { return strings.ContainsRune(" \t\r\n\"{}[]:,", r) }) {
		if len(word) > 11 && strings.IndexFunc(word, func(r rune) bool { return r >= '0' && r <= '9' }) >= 0 && strings.Contains(text, word) {
			t.Errorf("%q repeats %q", text, word)
		}
	}
}

func sound(t *testing.T, r *finance.Records) {
	kept := ""
	for _, a := range r.Accounts {
		if kept += string(a.Extra); a.ID == "" || a.Currency == "" {
			t.Errorf("%+v", a)
		}
	}
	for _, b := range r.Balances {
		if b.AccountID == "" || !b.Amount.Valid || b.Currency == "" {
			t.Errorf("%+v", b)
		}
	}
	for _, x := range r.Transactions {
		if kept += string(x.Extra); x.ID == "" || x.AccountID == "" || !x.Amount.Valid || x.Currency == "" || x.Status == "" {
			t.Errorf("%+v", x)
		}
	}
	for _, d := range r.Debts {
		if kept += string(d.Extra); d.ID == "" {
			t.Errorf("%+v", d)
		}
	}
	if strings.Contains(kept, "14842249091") {
		t.Errorf("a person's number is in extra: %s", kept)
	}
}
