package rest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"syncer/fetch"
	"syncer/finance"
)

// decoded reads one answer by a description of debts.
func decoded(t *testing.T, description, body string) (fetch.Page, error) {
	t.Helper()
	return decodedAs(t, finance.Debts, description, body)
}

func decodedAs(t *testing.T, dataset finance.Dataset, description, body string) (fetch.Page, error) {
	t.Helper()
	d, err := Parse([]byte(description), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	readings, err := compile(d, versionOf([]byte(description)))
	if err != nil {
		t.Fatal(err)
	}
	s := stream()
	s.Dataset, s.Account = dataset, "acc-1"
	p := &pass{compiledReading: readings[dataset], stream: &s, ends: &ends{}, asked: map[string]string{forConsent: "c-1", forAccount: "acc-1"}}
	p.list, p.led = newReading(true, len(p.Records)), &fetch.Tonight{}
	p.list.asked = 1
	p.others = func(finance.Extent, []string) (bool, error) { return false, nil }
	return p.decode(&fetch.Answer{Status: 200, Body: []byte(body)})
}

func amount(t *testing.T, text string) finance.Amount {
	t.Helper()
	a, err := finance.ParseAmount(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var exactly = cmp.Comparer(finance.Amount.Equal)

func TestHowAColumnIsFilled(t *testing.T) {
	none := finance.Debt{ID: "1", TermsLeft: -1, CoBorrower: -1}
	with := func(set func(*finance.Debt)) finance.Debt { d := none; set(&d); return d }
	at := time.Date(2026, 11, 20, 10, 30, 0, 0, time.UTC)
	for _, c := range []struct {
		name, fields, record string
		want                 finance.Debt
	}{
		{"a path", "creditor: a.b", `"a":{"b":"X"}`, with(func(d *finance.Debt) { d.Creditor = "X" })},
		{"a place", "creditor: a.1.b", `"a":[null,{"b":"X"}]`, with(func(d *finance.Debt) { d.Creditor = "X" })},
		{"the first that is there", "creditor: [a, b, c]", `"c":"Z","b":"Y","a":null`, with(func(d *finance.Debt) { d.Creditor = "Y" })},
		{"a constant", "currency: { const: NOK }", ``, with(func(d *finance.Debt) { d.Currency = "NOK" })},
		{"a default", "currency: { path: c, default: NOK }", `"c":null`, with(func(d *finance.Debt) { d.Currency = "NOK" })},
		{"no default", "currency: { path: c, default: NOK }", `"c":"SEK"`, with(func(d *finance.Debt) { d.Currency = "SEK" })},
		{"a map", "kind: { path: k, map: { '1': loan, A: card } }", `"k":1`, with(func(d *finance.Debt) { d.Kind = "loan" })},
		{"a word not in the map", "kind: { path: k, map: { A: card } }", `"k":"B"`, with(func(d *finance.Debt) { d.Kind = "B" })},
		{"escapes", "kind: k", `"k":"a\u00e6\n\"b"`, with(func(d *finance.Debt) { d.Kind = "aæ\n\"b" })},
		{"a number as text", "kind: k", `"k":0070`, finance.Debt{}}, // no JSON
		{"digits as they stand", "kind: k", `"k":7.10`, with(func(d *finance.Debt) { d.Kind = "7.10" })},
		{"an amount", "balance: a", `"a":-58.000`, with(func(d *finance.Debt) { d.Balance = amount(t, "-58") })},
		{"an amount in quotes", "balance: a", `"a":"0.29"`, with(func(d *finance.Debt) { d.Balance = amount(t, "0.29") })},
		{"minor units", "balance: { path: a, minor_units: 2 }", `"a":29`, with(func(d *finance.Debt) { d.Balance = amount(t, "0.29") })},
		{"minor units in quotes", "balance: { path: a, minor_units: 3 }", `"a":"-1500"`, with(func(d *finance.Debt) { d.Balance = amount(t, "-1.5") })},
		{"a flag that turns", "balance: { path: a, negate_when: { path: f, is: [C, CR] } }", `"a":10,"f":"CR"`, with(func(d *finance.Debt) { d.Balance = amount(t, "-10") })},
		{"a flag that doesn't", "balance: { path: a, negate_when: { path: f, is: C } }", `"a":10,"f":"D"`, with(func(d *finance.Debt) { d.Balance = amount(t, "10") })},
		{"a flag of true", "balance: { path: a, negate_when: { path: f, is: true } }", `"f":true,"a":"10"`, with(func(d *finance.Debt) { d.Balance = amount(t, "-10") })},
		{"a plus", "balance: a", `"a":"+50.00"`, with(func(d *finance.Debt) { d.Balance = amount(t, "50") })},
		{"a plus before minor units", "balance: { path: a, minor_units: 2 }", `"a":"+5000"`, with(func(d *finance.Debt) { d.Balance = amount(t, "50") })},
		{"a comma", "balance: { path: a, decimal: comma }", `"a":"575,40"`, with(func(d *finance.Debt) { d.Balance = amount(t, "575.4") })},
		{"a comma and thousands", "balance: { path: a, decimal: ',' }", `"a":"-1.234.567,50"`, with(func(d *finance.Debt) { d.Balance = amount(t, "-1234567.5") })},
		{"a comma and a number", "balance: { path: a, decimal: comma }", `"a":575.40`, with(func(d *finance.Debt) { d.Balance = amount(t, "575.4") })},
		{"a point and thousands", "balance: { path: a, decimal: point }", `"a":"1,234.50"`, with(func(d *finance.Debt) { d.Balance = amount(t, "1234.5") })},
		{"a comma and a flag", "balance: { path: a, decimal: comma, negate_when: { path: f, is: D } }", `"a":"10,5","f":"D"`, with(func(d *finance.Debt) { d.Balance = amount(t, "-10.5") })},
		{"a sign that is told twice", "balance: { path: a, negate_when: { path: f, is: D } }", `"a":"-10","f":"D"`, with(func(d *finance.Debt) { d.Balance = amount(t, "-10") })},
		{"twice in minor units", "balance: { path: a, minor_units: 2, negate_when: { path: f, is: D } }", `"a":-1000,"f":"D"`, with(func(d *finance.Debt) { d.Balance = amount(t, "-10") })},
		{"a sign of the number's own", "balance: { path: a, negate_when: { path: f, is: D } }", `"a":-10,"f":"C"`, with(func(d *finance.Debt) { d.Balance = amount(t, "-10") })},
		{"an offset without a colon", "reported_at: { path: a, format: rfc3339 }", `"a":"2026-11-20T10:30:00.000+0000"`, with(func(d *finance.Debt) { d.ReportedAt = at })},
		{"an offset of hours", "reported_at: a", `"a":"2026-11-20T12:30:00+02"`, with(func(d *finance.Debt) { d.ReportedAt = at })},
		{"a blank for the T", "reported_at: a", `"a":"2026-11-20 12:30:00+0200"`, with(func(d *finance.Debt) { d.ReportedAt = at })},
		{"a pattern with an offset", "reported_at: { path: a, format: 'DD.MM.YYYY hh:mm:ss Z' }", `"a":"20.11.2026 12:30:00 +0200"`, with(func(d *finance.Debt) { d.ReportedAt = at })},
		{"a pattern with a colon in its offset", "reported_at: { path: a, format: 'YYYY/MM/DD hh:mmZ' }", `"a":"2026/11/20 12:30+02:00"`, with(func(d *finance.Debt) { d.ReportedAt = at })},
		{"a pattern with Z for an offset", "reported_at: { path: a, format: 'YYYY/MM/DD hh:mmZ' }", `"a":"2026/11/20 10:30Z"`, with(func(d *finance.Debt) { d.ReportedAt = at })},
		{"seconds with decimals", "reported_at: { path: a, format: unix }", `"a":1795170600.250`, with(func(d *finance.Debt) { d.ReportedAt = at.Add(250 * time.Millisecond) })},
		{"seconds with many decimals", "reported_at: { path: a, format: unix }", `"a":"1795170600.0000012345"`, with(func(d *finance.Debt) { d.ReportedAt = at.Add(1234) })},
		{"milliseconds with decimals", "reported_at: { path: a, format: unix_ms }", `"a":1795170600000.5`, with(func(d *finance.Debt) { d.ReportedAt = at.Add(500 * time.Microsecond) })},
		{"seconds before 1970", "reported_at: { path: a, format: unix }", `"a":-0.5`, with(func(d *finance.Debt) { d.ReportedAt = time.Unix(0, -5e8).UTC() })},
		{"an instant", "reported_at: a", `"a":"2026-11-20T12:30:00+02:00"`, with(func(d *finance.Debt) { d.ReportedAt = at })},
		{"seconds", "reported_at: { path: a, format: unix }", `"a":1795170600`, with(func(d *finance.Debt) { d.ReportedAt = at })},
		{"milliseconds in quotes", "reported_at: { path: a, format: unix_ms }", `"a":"1795170600000"`, with(func(d *finance.Debt) { d.ReportedAt = at })},
		{"a pattern", "reported_at: { path: a, format: 'DD.MM.YYYY hh:mm' }", `"a":"20.11.2026 11:30"`, with(func(d *finance.Debt) { d.ReportedAt = at })}, // in Oslo
		{"seconds of a double", "reported_at: { path: a, format: unix }", `"a":1.7951706E9`, with(func(d *finance.Debt) { d.ReportedAt = at })},
		{"seconds of a large double", "reported_at: { path: a, format: unix }", `"a":"179517060025e-2"`, with(func(d *finance.Debt) { d.ReportedAt = at.Add(250 * time.Millisecond) })},
		{"milliseconds of a double", "reported_at: { path: a, format: unix_ms }", `"a":1.795170600123E12`, with(func(d *finance.Debt) { d.ReportedAt = at.Add(123 * time.Millisecond) })},
		{"a double before 1970", "reported_at: { path: a, format: unix }", `"a":-5E-1`, with(func(d *finance.Debt) { d.ReportedAt = time.Unix(0, -5e8).UTC() })},
		{"no time at all", "reported_at: a", `"a":"0001-01-01T00:00:00Z"`, none},
		{"no time at all, east of Greenwich", "reported_at: a", `"a":"0001-01-01T00:00:00+0100"`, none},
		{"the end of time, west of Greenwich", "reported_at: a", `"a":"9999-12-31T23:59:59-01:00"`, none},
		{"no time at all in a pattern", "reported_at: { path: a, format: 'YYYY-MM-DD hh:mm' }", `"a":"0001-01-01 00:00"`, none},
		{"a count", "terms_left: a", `"a":0`, with(func(d *finance.Debt) { d.TermsLeft = 0 })},
		{"a count from a map", "co_borrower: { path: a, map: { SOLE: '0', JOINT: '2' } }", `"a":"JOINT"`, with(func(d *finance.Debt) { d.CoBorrower = 2 })},
		{"null", "terms_left: a", `"a":null`, none},
		{"extra", "creditor: a.b", `"z":[1, 2],"a":{"b":"X","c":{"d":null}},"n":null,"m":1.50`, with(func(d *finance.Debt) {
			d.Creditor, d.Extra = "X", []byte(`{"a.c":{"d":null},"m":1.50,"z":[1,2]}`)
		})},
		{"what is left of a list", "creditor: a.1", `"a":["W","X",null,{"y":1}]`, with(func(d *finance.Debt) { d.Creditor, d.Extra = "X", []byte(`{"a":["W",{"y":1}]}`) })},
		{"a path that leads through a text", "creditor: a.b", `"a":"x"`, with(func(d *finance.Debt) { d.Extra = []byte(`{"a":"x"}`) })},
		{"a whole and a part", "creditor: a.b\n      kind: [a.k]", `"a":{"b":"X","k":"K"}`, with(func(d *finance.Debt) { d.Creditor, d.Kind = "X", "K" })},
	} {
		description := "time_zone: Europe/Oslo\n" + changed(t, "      creditor: name\n      balance: owed\n", "      "+c.fields+"\n")
		page, err := decoded(t, description, `{"rows":[{"id":"1"`+strings.TrimSuffix(","+c.record, ",")+`}]}`)
		if c.want.ID == "" {
			if err == nil && len(page.Rejects) == 0 {
				t.Errorf("%s: %+v", c.name, page.Records)
			}
			continue
		}
		if err != nil || len(page.Rejects) > 0 || len(page.Records.Debts) != 1 {
			t.Errorf("%s: %v %v", c.name, err, page.Rejects)
			continue
		}
		if diff := cmp.Diff(c.want, page.Records.Debts[0], exactly); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// What is said of all amounts counts where a field says nothing else, and never for whole numbers of minor
// units.
func TestOneDecimalForAllAmounts(t *testing.T) {
	description := "decimal: comma\n" + changed(t, "      creditor: name\n      balance: owed\n", `      balance: a
      credit_limit: { path: b, decimal: point }
      nominal_rate: { path: c, minor_units: 2 }
      interest_bearing: d
`)
	page, err := decoded(t, description, `{"rows":[{"id":"1","a":"1.234,50","b":"1,234.50","c":"1250","d":7.5}]}`)
	if err != nil || len(page.Records.Debts) != 1 {
		t.Fatal(page.Rejects, err)
	}
	d := page.Records.Debts[0]
	got := []string{d.Balance.String(), d.CreditLimit.String(), d.NominalRate.String(), d.InterestBearing.String()}
	if diff := cmp.Diff([]string{"1234.5", "1234.5", "12.5", "7.5"}, got); diff != "" {
		t.Error(diff)
	}
}

// unhashed compares rejects without the hashes of their bytes.
var unhashed = cmpopts.IgnoreFields(finance.Reject{}, "Body")

func TestARecordThatCannotBeReadIsRefusedAlone(t *testing.T) {
	for _, c := range []struct{ fields, record, want string }{
		{"balance: owed", `"id":"1","owed":"1,50"`, "balance (owed): not an amount as JSON writes it, and there is a comma in it: describe it with decimal"},
		{"balance: owed", `"id":"1","owed":"+-1"`, "balance (owed): not an exact amount of at most 19 digits"},
		{"balance: owed", `"id":"1","owed":"+"`, "balance (owed): not an exact amount of at most 19 digits"},
		{"balance: { path: owed, decimal: comma }", `"id":"1","owed":"575.40"`, "balance (owed): not an exact amount of at most 19 digits"},
		{"balance: { path: owed, decimal: comma }", `"id":"1","owed":"1.23,50"`, "balance (owed): not an exact amount of at most 19 digits"},
		{"balance: { path: owed, decimal: comma }", `"id":"1","owed":"12,"`, "balance (owed): not an exact amount of at most 19 digits"},
		{"balance: { path: owed, decimal: point }", `"id":"1","owed":"1,50"`, "balance (owed): not an exact amount of at most 19 digits"},
		{"reported_at: { path: at, format: unix }", `"id":"1","at":"1795170600.1x"`, "reported_at (at): not an instant of the described format"},
		{"reported_at: { path: at, format: 'YYYY/MM/DD hh:mmZ' }", `"id":"1","at":"2026/11/20 10:30"`, "reported_at (at): not an instant of the described format"},
		{"reported_at: at", `"id":"1","at":"2026-11-20T10:30:00"`, "reported_at (at): not an instant of the described format"},
		{"balance: owed", `"id":"1","owed":1e400`, "balance (owed): not an exact amount of at most 19 digits"},
		{"balance: owed", `"id":"1","owed":{}`, "balance (owed): not an exact amount of at most 19 digits"},
		{"balance: { path: owed, minor_units: 2 }", `"id":"1","owed":1.5`, "balance (owed): not a whole number of minor units"},
		{"balance: { path: owed, required: true }", `"id":"1","x":1`, "balance (owed): missing"},
		{"reported_at: at", `"id":"1","at":"yesterday"`, "reported_at (at): not an instant of the described format"},
		{"reported_at: at", `"id":"1","at":"0000-06-01T00:00:00Z"`, "reported_at (at): not an instant of the described format"},
		{"reported_at: { path: at, format: unix }", `"id":"1","at":1e99999999`, "reported_at (at): not an instant of the described format"},
		{"reported_at: { path: at, format: unix }", `"id":"1","at":"1.E9"`, "reported_at (at): not an instant of the described format"},
		{"reported_at: { path: at, format: unix }", `"id":"1","at":1e20`, "reported_at (at): not an instant of the described format"},
		{"reported_at: { path: at, format: unix }", `"id":"1","at":9007199254740992`, "reported_at (at): not an instant of the described format"},
		{"terms_left: n", `"id":"1","n":-1`, "terms_left (n): not a count"},
		{"creditor: a", `"id":"1","a":["x"]`, "creditor (a): not a text"},
		{"creditor: a", `"a":"x"`, "id: missing"},
		{"creditor: a", `"id":"14842249091"`, "id: it is the person's national identity number, which must not be a key"},
		{"creditor: a", `"id":"1","id":"2"`, "id: the same key twice"},
		{"creditor: a", `"id":"\u200b \u00a0"`, "id: missing"},
		{"creditor: a", `"id":"` + strings.Repeat("x", 1001) + `"`, "id: longer than 1000 bytes"},
		{"creditor: a", `"id":"1","x":1e1001`, "a number that is too large or too small to be stored"},
		{"creditor: a", "\"id\":\"1\",\"a\":\"b\nc\"", "a: a control character in a string"},
	} {
		key := ""
		if strings.HasPrefix(c.record, `"id":"1",`) && !strings.Contains(c.want, "twice") {
			key = "1"
		}

		description := changed(t, "      creditor: name\n      balance: owed\n", "      "+c.fields+"\n")
		good := `{"id":"0","owed":1}`
		if strings.Contains(c.fields, "required") || strings.Contains(c.fields, "minor") {
			good = `{"id":"0","owed":100}`
		}
		page, err := decoded(t, strings.Replace(description, "records: rows", "records: rows\n    whole: true", 1), `{"rows":[`+good+`,{`+c.record+`}]}`)
		if err != nil || len(page.Records.Debts) != 1 || len(page.Rejects) != 1 || (page.Whole != nil) != (key != "") {
			t.Errorf("%s: %v, rejects %v, whole %v", c.record, err, page.Rejects, page.Whole)
			continue
		}
		if diff := cmp.Diff(finance.Reject{Place: 1, Reason: c.want, Key: key}, page.Rejects[0], unhashed); diff != "" {
			t.Errorf("%s: %s", c.record, diff)
		}
	}
}

func TestWhoseAnswerItIs(t *testing.T) {
	const own, other = "14842249091", "29868099311"
	envelope := changed(t, "records: rows", "records: rows\n    subject: who.nin")
	record := changed(t, "records: rows", "records: rows\n    record_subject: nin")
	echo := changed(t, "records: rows", "records: rows\n    echoes: { ask.id: '{consent}' }")
	for _, c := range []struct {
		description, body string
		fails             bool
	}{
		{envelope, `{"who":{"nin":"` + own + `"},"rows":[{"id":"1"}]}`, false},
		{envelope, `{"rows":[{"id":"1"}],"who":{"nin":"148422-49091"}}`, false},
		{envelope, `{"who":{"nin":"` + other + `"},"rows":[{"id":"1"}]}`, true},
		{envelope, `{"who":{},"rows":[]}`, true},
		{envelope, `{"rows":[]}`, true},
		{record, `{"rows":[{"id":"1","nin":"` + own + `"},{"id":"2","nin":14842249091}]}`, false},
		{record, `{"rows":[{"id":"1","nin":"` + own + `"},{"id":"2","nin":"` + other + `"}]}`, true},
		{record, `{"rows":[{"id":"1"}]}`, true},
		{echo, `{"ask":{"id":"c-1"},"rows":[{"id":"1"}]}`, false},
		{echo, `{"ask":{"id":"c-2"},"rows":[{"id":"1"}]}`, true},
		{echo, `{"rows":[{"id":"1"}]}`, true},
	} {
		page, err := decoded(t, c.description, c.body)
		if (err != nil) != c.fails {
			t.Errorf("%s: %v", c.body, err)
			continue
		}
		if c.fails != strings.HasPrefix(errText(err), "wrong subject: ") || strings.Contains(errText(err), other) {
			t.Errorf("%s: %v", c.body, err)
		}
		for _, d := range page.Records.Debts {
			if strings.Contains(string(d.Extra), own) {
				t.Errorf("%s: the number is in extra: %s", c.body, d.Extra)
			}
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestPersonalNumbersAreNotKept(t *testing.T) {
	description := changed(t, "records: rows", "records: rows\n    drop: [secret, co.nin]")
	page, err := decoded(t, description, `{"rows":[{"id":"1","secret":"x","co":{"nin":"1","name":"y"},
		"own":"14842249091","spaced":"148422 49091","dated":"2026-11-20 14842249091 x","behind":"1 148422-49091","deep":{"a":[{"b":"ref 29868099311"}]},"number":29868099311,"fine":"12345678901","long":"298680993112"}]}`)
	if err != nil || len(page.Records.Debts) != 1 {
		t.Fatal(err, page.Rejects)
	}
	if got, want := string(page.Records.Debts[0].Extra), `{"co.name":"y","fine":"12345678901","long":"298680993112"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestMadeIDs(t *testing.T) {
	description := changed(t, "id: id", "id: { path: id, hash: [creditor] }")
	ids := func(body string) (out []string) {
		page, err := decoded(t, description, body)
		if err != nil || len(page.Rejects) > 0 {
			t.Fatal(err, page.Rejects)
		}
		for _, d := range page.Records.Debts {
			out = append(out, d.ID)
		}
		return out
	}
	one := ids(`{"rows":[{"name":"A","owed":1},{"name":"B","owed":2},{"name":"A","owed":3},{"id":"own","name":"A"}]}`)
	if one[0] == one[1] || one[0] == one[2] || one[3] != "own" || len(one[0]) != 26 {
		t.Errorf("the ids are %q", one)
	}
	two := ids(`{"rows":[{"name":"A","owed":99},{"name":"A","owed":3},{"name":"B","owed":2}]}`)
	if two[0] != one[0] || two[1] != one[2] || two[2] != one[1] {
		t.Errorf("another balance, another order: %q became %q", one, two)
	}
}

const bankish = `base_url: https://api.example/v1
token: { dialect: none }
check: { path: ping }
datasets:
  accounts:
    request: { path: accounts, headers: { C: "{consent}" } }
    records: .
    whole: true
    fields: { id: id, currency: cur }
    balances: { list: figures, kind: { path: t, map: { A: available, B: booked } }, amount: { path: v, minor_units: 2 }, currency: c }
  transactions:
    request: { path: "accounts/{account}/tx" }
    records: [{ path: b, status: booked }, { path: p, status: pending, optional: true }, { path: x, optional: true }]
    whole_pending: true
    fields:
      id: id
      status: { path: s, map: { DONE: booked } }
      amount: a
      currency: { path: c, default: NOK }
      booked_on: { path: d, format: YYYYMMDD }
`

// One id with two contents in one answer: nothing is stored of it unless something orders the two.
func TestOneIDTwice(t *testing.T) {
	const description = `
title: Twice
base_url: https://api.example/v1
token: { dialect: none }
check: { path: ping }
datasets:
  transactions:
    request: { path: "{consent}/tx" }
    records: [{ path: b, status: booked }, { path: p, status: pending }]
    fields: { id: id, account: acc, amount: a, currency: { const: NOK }, booked_on: d, version: v }
`
	row := func(members string) string { return `{"id":"1","acc":"A","d":"2026-11-05",` + members + `}` }
	for name, c := range map[string]struct {
		booked, pending string
		kept            string
		rejects         int
	}{
		"the very same":               {row(`"a":1`) + "," + row(`"a":1.00`), "", "1", 0},
		"two contents":                {row(`"a":1`) + "," + row(`"a":2`), "", "", 2},
		"three contents":              {row(`"a":1`) + "," + row(`"a":2`) + "," + row(`"a":3`), "", "", 3},
		"the second is the newer":     {row(`"a":1,"v":1`) + "," + row(`"a":2,"v":2`), "", "2", 0},
		"the first is the newer":      {row(`"a":1,"v":"2026-11-06"`) + "," + row(`"a":2,"v":"2026-11-05"`), "", "1", 0},
		"by an instant":               {row(`"a":1,"v":"2026-11-06T10:00:00Z"`) + "," + row(`"a":2,"v":"2026-11-06T11:00:00+02:00"`), "", "1", 0},
		"versions that are equal":     {row(`"a":1,"v":2`) + "," + row(`"a":2,"v":2`), "", "", 2},
		"versions that begin with 0":  {row(`"a":1,"v":0`) + "," + row(`"a":2,"v":1`), "", "2", 0},
		"back to version 0":           {row(`"a":1,"v":1`) + "," + row(`"a":2,"v":0`), "", "1", 0},
		"version 0 twice":             {row(`"a":1,"v":0`) + "," + row(`"a":2,"v":0`), "", "", 2},
		"version 0 and none":          {row(`"a":1,"v":0`) + "," + row(`"a":2`), "", "", 2},
		"valid for ever":              {row(`"a":1,"v":"9999-12-31"`) + "," + row(`"a":2,"v":"2026-11-05"`), "", "1", 0},
		"valid for ever, an instant":  {row(`"a":1,"v":"2026-11-05T00:00:00Z"`) + "," + row(`"a":2,"v":"9999-12-31T23:59:59-01:00"`), "", "2", 0},
		"the first day of year 1":     {row(`"a":1,"v":"0001-01-01T00:00:00+01:00"`) + "," + row(`"a":2,"v":"2026-11-05"`), "", "", 2},
		"numbers with parts":          {row(`"a":1,"v":"1.9"`) + "," + row(`"a":2,"v":"1.10"`), "", "", 2},
		"only one has a version":      {row(`"a":1,"v":2`) + "," + row(`"a":2`), "", "", 2},
		"booked and pending":          {row(`"a":1`), row(`"a":1`), "1", 0},
		"booked with another amount":  {row(`"a":2`), row(`"a":1`), "2", 0},
		"pending twice":               {"", row(`"a":1`) + "," + row(`"a":2`), "", 2},
		"one id of two accounts":      {row(`"a":1`) + "," + strings.Replace(row(`"a":2`), `"A"`, `"B"`, 1), "", "1 2", 0},
		"blank ids are no ids at all": {strings.Replace(row(`"a":1`), `"1"`, `" "`, 1) + "," + strings.Replace(row(`"a":2`), `"1"`, `""`, 1), "", "", 2},
	} {
		page, err := decodedAs(t, finance.Transactions, description, `{"b":[`+c.booked+`],"p":[`+c.pending+`]}`)
		var kept []string
		for _, x := range page.Records.Transactions {
			kept = append(kept, x.Amount.String())
		}
		if got := strings.Join(kept, " "); err != nil || got != c.kept || len(page.Rejects) != c.rejects {
			t.Errorf("%s: kept %q, %d refused, error %v; want %q, %d", name, got, len(page.Rejects), err, c.kept, c.rejects)
		}
	}
}

// A debt without a version is ordered by when it was reported.
func TestTheDebtReportedLastCounts(t *testing.T) {
	for name, c := range map[string]struct{ first, second, want string }{
		"the second":          {`"2026-11-05T10:00:00Z"`, `"2026-11-05T10:00:00.5Z"`, "2"},
		"after the year 2262": {`"9999-12-31T23:59:59Z"`, `"2026-11-05T10:00:00Z"`, "1"},
		"in 1970":             {`"1970-01-01T00:00:00Z"`, `"2026-11-05T10:00:00Z"`, "2"},
		"none is told":        {`null`, `"0001-01-01T00:00:00+01:00"`, ""},
	} {
		page, err := decoded(t, changed(t, "creditor: name", "reported_at: at"),
			`{"rows":[{"id":"1","owed":1,"at":`+c.first+`},{"id":"1","owed":2,"at":`+c.second+`}]}`)
		got := errText(err)
		for _, d := range page.Records.Debts {
			got += d.Balance.String()
		}
		if got != c.want {
			t.Errorf("%s: %q; want %q", name, got, c.want)
		}
	}
}

// What is written in year 1 or 9999 can lie in another year in UTC, or in the API's calendar.
func TestDaysAtTheEndsOfTheCalendar(t *testing.T) {
	for _, c := range []struct{ zone, format, day, want string }{
		{"UTC", "rfc3339", "0001-01-01T00:00:00Z", "booked_on (d): missing"},
		{"UTC", "rfc3339", "0001-01-01T00:00:00+01:00", "booked_on (d): missing"},
		{"America/New_York", "rfc3339", "0001-01-01T00:00:00Z", "booked_on (d): missing"},
		{"America/New_York", "unix", "-62135596800", "booked_on (d): missing"},
		{"Europe/Oslo", "rfc3339", "9999-12-31T23:59:59Z", "booked_on (d): not a day of the described format"},
		{"Europe/Oslo", "unix", "253402300799", "booked_on (d): not a day of the described format"},
		{"UTC", "rfc3339", "9999-12-31T23:59:59-01:00", "booked_on (d): not a day of the described format"},
		{"America/New_York", "rfc3339", "9999-12-31T23:59:59Z", "9999-12-31"},
		{"UTC", "rfc3339", "0001-01-02T00:00:00Z", "0001-01-02"},
	} {
		description := "time_zone: " + c.zone + `
title: Ends
base_url: https://api.example/v1
token: { dialect: none }
check: { path: ping }
datasets:
  transactions:
    request: { path: "{consent}/tx" }
    records: { path: b, status: booked }
    fields: { id: id, account: acc, amount: a, currency: { const: NOK }, booked_on: { path: d, format: ` + c.format + ` } }
`
		page, err := decodedAs(t, finance.Transactions, description, `{"b":[{"id":"1","acc":"A","a":1,"d":"`+c.day+`"}]}`)
		got := errText(err)
		for _, x := range page.Records.Transactions {
			got += x.BookedOn.String()
		}
		for _, r := range page.Rejects {
			got += r.Reason
		}
		if got != c.want {
			t.Errorf("%s in %s: %s; want %s", c.day, c.zone, got, c.want)
		}
	}
}

// Of several figures of one kind the newest counts, and each currency has its own.
func TestTheNewestFigureCounts(t *testing.T) {
	dated := strings.Replace(bankish, "currency: c }", "currency: c, reference_date: r }", 1)
	inOslo := "time_zone: Europe/Oslo\n" + dated
	for name, c := range map[string]struct{ description, figures, want string }{
		"the newest is the last":  {dated, `{"t":"B","v":100,"r":"2026-11-01"},{"t":"B","v":200,"r":"2026-11-02"}`, "booked 2 NOK"},
		"the newest is the first": {dated, `{"t":"B","v":200,"r":"2026-11-02"},{"t":"B","v":100,"r":"2026-11-01"}`, "booked 2 NOK"},
		"by an instant":           {dated, `{"t":"B","v":100,"r":"2026-11-02T08:00:00Z"},{"t":"B","v":200,"r":"2026-11-02T09:00:00Z"}`, "booked 2 NOK"},
		"by a local time":         {dated, `{"t":"B","v":100,"r":"2026-11-29T08:00:00"},{"t":"B","v":200,"r":"2026-11-29T09:00:00"}`, "booked 2 NOK"},
		"with a blank for the T":  {dated, `{"t":"B","v":100,"r":"2026-11-29 08:00:00"},{"t":"B","v":200,"r":"2026-11-29 08:00:00.5"}`, "booked 2 NOK"},
		"without seconds":         {dated, `{"t":"B","v":100,"r":"2026-11-29T08:00"},{"t":"B","v":200,"r":"2026-11-29 08:01"}`, "booked 2 NOK"},
		"in the API's time zone":  {inOslo, `{"t":"B","v":100,"r":"2026-11-29T08:30:00Z"},{"t":"B","v":200,"r":"2026-11-29T09:00:00"}`, "booked 1 NOK"},
		"a day begins there":      {inOslo, `{"t":"B","v":100,"r":"2026-11-29"},{"t":"B","v":200,"r":"2026-11-29T00:30"}`, "booked 2 NOK"},
		"seconds with decimals":   {dated, `{"t":"B","v":100,"r":1764000000.25},{"t":"B","v":200,"r":1764000000.75}`, "booked 2 NOK"},
		"seconds, once a double":  {dated, `{"t":"B","v":100,"r":1764000000},{"t":"B","v":200,"r":1.76400000025E9}`, "booked 2 NOK"},
		"after the year 2262":     {dated, `{"t":"B","v":100,"r":"2026-11-29"},{"t":"B","v":200,"r":"9999-12-31"}`, "booked 2 NOK"},
		"one has no date":         {dated, `{"t":"B","v":100},{"t":"B","v":200,"r":"2026-11-02"}`, "booked 2 NOK"},
		"none has":                {dated, `{"t":"B","v":100},{"t":"B","v":200}`, "booked 1 NOK"},
		"no date is described":    {bankish, `{"t":"B","v":100,"r":"2026-11-01"},{"t":"B","v":200,"r":"2026-11-02"}`, "booked 1 NOK"},
		"one of each currency": {dated, `{"t":"B","v":100,"r":"2026-11-02"},{"t":"B","v":300,"c":"EUR","r":"2026-11-01"},
			{"t":"B","v":400,"c":"EUR","r":"2026-11-03"}`, "booked 1 NOK, booked 4 EUR"},
		"and of each kind": {dated, `{"t":"B","v":100,"r":"2026-11-02"},{"t":"A","v":300,"r":"2026-11-01"}`,
			"booked 1 NOK, available 3 NOK"},
	} {
		page, err := decodedAs(t, finance.Accounts, c.description, `[{"id":"1","cur":"NOK","figures":[`+c.figures+`]}]`)
		var got []string
		for _, b := range page.Records.Balances {
			got = append(got, b.Kind+" "+b.Amount.String()+" "+b.Currency)
		}
		if err != nil || strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %v, error %v; want %s", name, got, err, c.want)
		}
	}
}

func TestBalances(t *testing.T) {
	page, err := decodedAs(t, finance.Accounts, bankish, `[
		{"id":"1","cur":"NOK","figures":[{"t":"A","v":150},{"t":"B","v":"200","c":"EUR"},{"t":"Z","v":1},{"t":"A","v":9}]},
		{"id":"2","cur":"NOK","figures":null},{"id":"3","figures":[{"t":"A","v":1}]},{"id":"4","cur":"SEK","figures":{}}]`)
	if err != nil {
		t.Fatal(err)
	}
	want := finance.Records{
		Accounts: []finance.Account{
			{ID: "1", Currency: "NOK", Extra: []byte(`{"figures":[{"t":"Z","v":1},{"t":"A","v":9}]}`)}, {Lineage: finance.Lineage{Place: 1}, ID: "2", Currency: "NOK"},
		},
		Balances: []finance.Balance{
			{AccountID: "1", Kind: "available", Amount: amount(t, "1.5"), Currency: "NOK"}, {AccountID: "1", Kind: "booked", Amount: amount(t, "2"), Currency: "EUR"},
		},
	}
	if diff := cmp.Diff(want, page.Records, exactly); diff != "" {
		t.Error(diff)
	}
	rejects := []finance.Reject{
		{Place: 2, Reason: "balances.currency: missing", Key: "3"}, {Place: 3, Reason: "balances (figures): not a list", Key: "4"},
	}
	if diff := cmp.Diff(rejects, page.Rejects, unhashed); diff != "" {
		t.Error(diff)
	}
}

func TestSeveralLists(t *testing.T) {
	page, err := decodedAs(t, finance.Transactions, bankish, `{"p":[{"id":"2","a":"-1","d":null}],"b":[{"id":"1","a":1,"d":"20261105"}],
		"x":[{"id":"3","a":2,"s":"DONE","d":"20261106"},{"id":"6","a":2,"s":"DONE"},{"id":"4","a":2,"s":"MAYBE"},{"id":"5","s":"DONE"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := []finance.Transaction{
		{AccountID: "acc-1", ID: "2", Status: "pending", Amount: amount(t, "-1"), Currency: "NOK"},
		{Lineage: finance.Lineage{Place: 1}, AccountID: "acc-1", ID: "1", Status: "booked", Amount: amount(t, "1"), Currency: "NOK", BookedOn: finance.NewDate(2026, 11, 5)},
		{Lineage: finance.Lineage{Place: 2}, AccountID: "acc-1", ID: "3", Status: "booked", Amount: amount(t, "2"), Currency: "NOK", BookedOn: finance.NewDate(2026, 11, 6)},
	}
	if diff := cmp.Diff(want, page.Records.Transactions, exactly); diff != "" {
		t.Error(diff)
	}
	rejects := []finance.Reject{
		{Place: 3, Reason: "booked_on (d): missing", Key: "6"},
		{Place: 4, Reason: "status: neither booked nor pending: add it to the map", Key: "4"},
		{Place: 5, Reason: "amount (a): missing", Key: "5"},
	}
	if diff := cmp.Diff(rejects, page.Rejects, unhashed); diff != "" || page.Whole == nil {
		t.Error(diff, page.Whole)
	}
	for body, want := range map[string]*finance.Whole{
		`{"b":[],"p":[],"x":[]}`:   {Status: finance.Pending},
		`{"b":[]}`:                 nil, // a list that is not shown proves nothing
		`{"b":[],"p":null,"x":[]}`: nil,
	} {
		page, err := decodedAs(t, finance.Transactions, bankish, body)
		if diff := cmp.Diff(want, page.Whole); err != nil || diff != "" {
			t.Error(body, err, diff)
		}
	}
}

func TestPartial(t *testing.T) {
	description := changed(t, "records: rows", "records: rows\n    whole: true\n    partial: [{ path: n, above: 1, says: are late }, { path: ok, is: [no, false], says: the list is not whole }]")
	for body, want := range map[string]string{
		`{"rows":[],"n":1,"ok":true}`:  "",
		`{"rows":[],"n":"2"}`:          "2 are late",
		`{"rows":[],"ok":false}`:       "the list is not whole",
		`{"rows":[],"n":null,"ok":{}}`: "",
	} {
		page, err := decoded(t, description, body)
		if err != nil || page.Partial != want || (page.Whole == nil) != (want != "") {
			t.Errorf("%s: partial %q, whole %v, error %v", body, page.Partial, page.Whole, err)
		}
	}
	if _, err := decoded(t, description, `{"rows":[],"n":"some"}`); err == nil {
		t.Error("a number in words was taken")
	}
}

func TestAnAnswerOfAnotherShapeIsNotEmpty(t *testing.T) {
	for _, body := range []string{`{}`, `{"rows":null}`, `{"rows":{}}`, `[]`, `"rows"`, `{"Rows":[]}`, `{"rows":[]}x`, `{"rows":[`, "{\"rows\":[],\"a\":\"\xff\"}"} {
		if page, err := decoded(t, minimal, body); err == nil {
			t.Errorf("%s was read as %d records", body, page.Records.Len())
		}
	}
	page, err := decoded(t, minimal, " ")
	if err != nil || !page.Done || page.Records.Len() != 0 {
		t.Errorf("nothing at all: %v", err)
	}
}
