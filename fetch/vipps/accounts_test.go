package vipps

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
	vendor "syncer/sandbox/vipps"
)

// ledger is one as the vendor's documents have it.
const ledger = `{"ledgerId":"410001","currency":"NOK","payoutBankAccount":{"scheme":"BBAN:NO","id":"12345678903"},` +
	`"owner":{"scheme":"business:NO:ORG","id":"999888777"},"settlesForRecipientHandles":["api:700001"],` +
	`"salesUnits":[{"name":"Fjellheim Kaffe","recipientHandle":"api:700001","businessIdentifier":{"scheme":"business:NO:ORG","id":"999888777"}}]}`

func ledgers(cursor string, items ...string) []byte {
	return []byte(`{"items":[` + strings.Join(items, ",") + `],"cursor":` + cursor + `}`)
}

func TestLedger(t *testing.T) {
	const extra = `{"settlesForRecipientHandles":"api:700001","owner.id":"999888777","owner.scheme":"business:NO:ORG","payoutBankAccount.id":"12345678903","payoutBankAccount.scheme":"BBAN:NO"}`
	plain := finance.Account{ID: "410001", Number: "700001", Name: "Fjellheim Kaffe", Kind: "ledger", Currency: "NOK", Extra: []byte(extra)}
	for name, c := range map[string]struct {
		item string
		want func(*finance.Account)
	}{
		"as documented":      {ledger, nil},
		"a number for an id": {strings.Replace(ledger, `"410001"`, `410001`, 1), nil},
		"an older one, for two recipients": {strings.NewReplacer(`["api:700001"]`, `["NO:57860","api:700001"]`, `"salesUnits":[`,
			`"salesUnits":[{"name":"Other","recipientHandle":"NO:57860"},`).Replace(ledger), func(a *finance.Account) {
			a.Extra = []byte(strings.Replace(extra, `"api:700001"`, `"NO:57860 api:700001"`, 1))
		}},
		"no sales units": {ledger[:strings.Index(ledger, `,"salesUnits"`)] + "}", func(a *finance.Account) { a.Name = "" }},
		"nulls": {`{"ledgerId":"410001","currency":null,"owner":null,"payoutBankAccount":null,"salesUnits":null,"settlesForRecipientHandles":["api:700001"]}`, func(a *finance.Account) {
			a.Name, a.Currency, a.Extra = "", "", []byte(`{"settlesForRecipientHandles":"api:700001"}`)
		}},
		"fields of other times": {strings.Replace(ledger, `{"ledgerId"`, `{"firstPayout":"1","ledgerId"`, 1), func(a *finance.Account) {
			a.Extra = []byte(strings.Replace(extra, `{`, `{"firstPayout":"1",`, 1))
		}},
	} {
		want := plain
		if c.want != nil {
			c.want(&want)
		}
		page, _, err := decodeLedgers(ledgers(`""`, c.item), "api:700001", listing{V: 1})
		if err != nil || !page.Done || page.Whole == nil {
			t.Fatalf("%s: %+v %v", name, page, err)
		}
		if diff := cmp.Diff(finance.Records{Accounts: []finance.Account{want}}, page.Records); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestLedgerLists(t *testing.T) {
	other := strings.ReplaceAll(strings.Replace(ledger, "410001", "410002", 1), "api:700001", "api:700002")
	later := listing{V: 1, At: "MQ==", Some: true}
	for name, c := range map[string]struct {
		body  []byte
		at    listing
		ids   []string
		whole *finance.Whole
		next  string
		fails string
	}{
		"one page":               {ledgers(`""`, ledger), listing{V: 1}, []string{"410001"}, &finance.Whole{}, "", ""},
		"no cursor at all":       {[]byte(`{"items":[` + ledger + `]}`), listing{V: 1}, []string{"410001"}, &finance.Whole{}, "", ""},
		"a null cursor":          {ledgers(`null`, ledger), listing{V: 1}, []string{"410001"}, &finance.Whole{}, "", ""},
		"the first of two":       {ledgers(`"MQ=="`, ledger), listing{V: 1}, []string{"410001"}, nil, `{"v":1,"at":"MQ==","some":true}`, ""},
		"the last of two":        {ledgers(`""`, ledger), later, []string{"410001"}, &finance.Whole{}, "", ""},
		"an empty last page":     {ledgers(`""`), later, nil, &finance.Whole{}, "", ""},
		"an empty page again":    {ledgers(`"MQ=="`), later, nil, &finance.Whole{}, "", ""},
		"a broken one":           {ledgers(`""`, `{"ledgerId":[]}`, ledger), listing{V: 1}, []string{"410001"}, nil, "", ""},
		"of an earlier version":  {ledgers(`""`), listing{V: 1, At: "MQ==", Broken: true}, nil, &finance.Whole{}, "", ""},
		"a broken one, and more": {ledgers(`"MQ=="`, `{}`), listing{V: 1}, nil, nil, `{"v":1,"at":"MQ==","some":true}`, ""},
		"others among them":      {ledgers(`""`, other, ledger), listing{V: 1}, []string{"410001"}, &finance.Whole{}, "", ""},
		"others only":            {ledgers(`""`, other), listing{V: 1}, nil, nil, "", "wrong subject"},
		"none":                   {ledgers(`""`), listing{V: 1}, nil, nil, "", "the merchant has not granted access"},
		"a page again":           {ledgers(`"MQ=="`, ledger), later, []string{"410001"}, nil, "", ""},
		"no list":                {[]byte(`{"cursor":""}`), listing{V: 1}, nil, nil, "", "items are missing"},
		"cut":                    {ledgers(`""`, ledger)[:40], listing{V: 1}, nil, nil, "", "ends too early"},
	} {
		page, _, err := decodeLedgers(c.body, "api:700001", c.at)
		if c.fails != "" || err != nil {
			if err == nil || c.fails == "" || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var ids []string
		for _, a := range page.Records.Accounts {
			ids = append(ids, a.ID)
		}
		if diff := cmp.Diff(c.ids, ids) + cmp.Diff(c.whole, page.Whole) + cmp.Diff(c.next, page.Next); diff != "" || page.Done != (c.next == "") {
			t.Errorf("%s: done %t %s", name, page.Done, diff)
		}
	}
}

// TestManyLedgers: one recipient with several ledgers, over several pages, resumed in the middle.
func TestManyLedgers(t *testing.T) {
	second := strings.Replace(ledger, "410001", "410002", 1)
	s := &script{answers: []answer{page(string(ledgers(`"Mg=="`, ledger))), page(string(ledgers(`""`, second))), page(string(ledgers(`""`, second)))}}
	r := play(t, s, settings(nil))
	pages := r.mustRead(t, stream(""), "")
	again := r.mustRead(t, stream(""), pages[0].Next)
	if len(pages) != 2 || len(again) != 1 || !slices.Equal(pages[1].Whole.Earlier, []string{"410001"}) || pages[1].Next != "" {
		t.Errorf("%+v", pages)
	}
	const list = "/settlement/v1/ledgers?"
	want := []string{list + "settlesForRecipientHandles=api%3A700001", list + "cursor=Mg%3D%3D&settlesForRecipientHandles=api%3A700001",
		list + "cursor=Mg%3D%3D&settlesForRecipientHandles=api%3A700001"}
	if diff := cmp.Diff(want, s.data()); diff != "" {
		t.Error(diff)
	}
}

// TestAccessWithdrawn: a merchant takes the access back. What was read stays, and the item is excused.
func TestAccessWithdrawn(t *testing.T) {
	w := start(t, vendor.Options{}, settings(nil))
	r, consent := connect(t, w.conn), w.consent(1)
	accounts := fetch.Stream{Stream: finance.Stream{Dataset: finance.Accounts}, Task: calls.Task{Consent: &consent}, Today: today}
	rows := w.rows(1)
	rows.Task.Consent = &consent
	r.mustRead(t, accounts, "")
	w.sim.Grant(1, false)
	for _, s := range []fetch.Stream{accounts, rows} {
		pages, err := r.read(t, s, "")
		failure, _ := errors.AsType[*fetch.Error](err)
		if len(pages) > 0 || failure == nil || failure.Class != finance.Withheld || failure.Call.IsZero() || failure.Connection != "vipps" {
			t.Errorf("%s: %d pages, %v", s.Dataset, len(pages), err)
		}
	}
	calls := r.ledger.Calls()
	if last := calls[len(calls)-1]; last.Class != finance.Withheld || !strings.Contains(last.Reason, "No such ledgerId") {
		t.Errorf("the ledger was told %+v", last)
	}
}

func TestAConsentForNobody(t *testing.T) {
	s := stream("")
	s.Task.Consent = &finance.Consent{ID: 1, ExternalID: "13896698662"}
	script := &script{}
	if _, err := play(t, script, settings(nil)).read(t, s, ""); fetch.ClassOf(err) != finance.Rejected || len(script.data()) > 0 {
		t.Errorf("%v, calls %v", err, script.data())
	}
}
