package vipps

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/fetch/jsonread"
	"syncer/finance"
)

// capture is a row as the vendor's documents have it.
const capture = `{"pspReference":"7100000001","time":"2026-01-05T08:10:11.120000Z","ledgerDate":"2026-01-05","entryType":"capture",` +
	`"reference":"fk-ordre-0001","currency":"NOK","amount":12900,"balanceBefore":0,"balanceAfter":12900,"recipientHandle":"api:700001"}`

// changed is the row with some members replaced; an empty value takes the member out.
func changed(row string, pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		begin := strings.Index(row, `"`+pairs[i]+`":`)
		if begin < 0 {
			row = strings.TrimSuffix(row, "}") + `,"` + pairs[i] + `":` + pairs[i+1] + "}"
			continue
		}
		end := begin + strings.IndexAny(row[begin:], ",}")
		member := `"` + pairs[i] + `":` + pairs[i+1]
		if pairs[i+1] == "" {
			member, end = "", end+1
		}
		row = row[:begin] + member + row[end:]
	}
	return row
}

func report1(t *testing.T, r rowReader, rows ...string) *report {
	t.Helper()
	r.s = jsonread.Scan([]byte(`{"items":[` + strings.Join(rows, ",") + `]}`))
	if r.topic == "" {
		r.topic = funds
	}
	got, err := readReport(&r, chain{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func amount(text string) finance.Amount {
	a, err := finance.ParseAmount(text)
	if err != nil {
		panic(err)
	}
	return a
}

const captureExtra = `{"balanceAfter":"12900","balanceBefore":"0","pspReference":"7100000001","recipientHandle":"api:700001","time":"2026-01-05T08:10:11.12Z"}`

// plainRow is what the capture is read as.
func plainRow() finance.Transaction {
	return finance.Transaction{
		AccountID: "410001", Status: finance.Booked, BookedOn: finance.NewDate(2026, time.January, 5), Amount: amount("129"),
		Currency: "NOK", Kind: "capture", Code: funds, Reference: "fk-ordre-0001", Extra: []byte(captureExtra),
	}
}

func TestRow(t *testing.T) {
	sixth := finance.NewDate(2026, time.January, 6)
	withGDPR := changed(capture, "name", `"Kari Prøve"`, "message", `"Takk 🎂"`, "maskedPhoneNo", `"xxxx 1234"`)
	cases := map[string]struct {
		row    string
		reader rowReader
		want   func(*finance.Transaction)
	}{
		"as documented":             {capture, rowReader{}, nil},
		"keys in other order":       {`{"recipientHandle":"api:700001","amount":12900,"currency":"NOK","balanceAfter":12900,` + capture[1:strings.Index(capture, `"currency"`)] + `"balanceBefore":0}`, rowReader{}, nil},
		"an offset without a colon": {changed(capture, "time", `"2026-01-05T10:10:11.120000+0200"`), rowReader{}, nil},
		"an offset with a colon":    {changed(capture, "time", `"2026-01-05T09:10:11.12+01:00"`), rowReader{}, nil},
		"a type's former name": {changed(capture, "entryType", `"scheduled-for-payout"`), rowReader{}, func(x *finance.Transaction) {
			x.Kind = "payout-scheduled"
			x.Extra = []byte(strings.Replace(captureExtra, `"pspRef`, `"entryType":"scheduled-for-payout","pspRef`, 1))
		}},
		"a type of tomorrow": {changed(capture, "entryType", `"loyalty-bonus"`), rowReader{}, func(x *finance.Transaction) { x.Kind = "loyalty-bonus" }},
		"money out":          {changed(capture, "amount", "-2905"), rowReader{}, func(x *finance.Transaction) { x.Amount = amount("-29.05") }},
		"beyond 32 bits":     {changed(capture, "amount", "5000000001"), rowReader{}, func(x *finance.Transaction) { x.Amount = amount("50000000.01") }},
		"euro":               {changed(capture, "currency", `"EUR"`), rowReader{}, func(x *finance.Transaction) { x.Currency = "EUR" }},
		"no reference":       {changed(capture, "reference", "null"), rowReader{}, func(x *finance.Transaction) { x.Reference = "" }},
		"old data without balances and recipient": {changed(capture, "balanceBefore", "null", "balanceAfter", "null", "recipientHandle", "null"), rowReader{}, func(x *finance.Transaction) {
			x.Extra = []byte(`{"pspReference":"7100000001","time":"2026-01-05T08:10:11.12Z"}`)
		}},
		"the fees":                  {capture, rowReader{topic: fees}, func(x *finance.Transaction) { x.Code = fees }},
		"no ledger date, for a day": {changed(capture, "ledgerDate", ""), rowReader{on: sixth}, func(x *finance.Transaction) { x.BookedOn = sixth }},
		"no ledger date, in the feed": {changed(capture, "ledgerDate", "null", "time", `"2026-01-06T00:30:00+0200"`), rowReader{}, func(x *finance.Transaction) {
			x.BookedOn = sixth
			x.Extra = []byte(strings.Replace(captureExtra, "2026-01-05T08:10:11.12Z", "2026-01-05T22:30:00Z", 1))
		}},
		"a time that is none": {changed(capture, "time", `"0001-01-01T00:00:00+0100"`), rowReader{}, func(x *finance.Transaction) {
			x.Extra = []byte(strings.Replace(captureExtra, `,"time":"2026-01-05T08:10:11.12Z"`, "", 1))
		}},
		"a field of tomorrow": {changed(capture, "zone", `{"a":[1,  2]}`), rowReader{}, func(x *finance.Transaction) {
			x.Extra = []byte(captureExtra[:len(captureExtra)-1] + `,"zone":{"a":[1,2]}}`)
		}},
		"personal data nobody asked":   {withGDPR, rowReader{}, nil},
		"personal data under new keys": {changed(capture, "senderPhoneNumber", `"1"`, "payerName", `"x"`, "payment", `{"a":{"payerName":"x"}}`, "list", `[{"eMail":"x"}]`), rowReader{}, nil},
		"personal data, asked for": {withGDPR, rowReader{gdpr: true}, func(x *finance.Transaction) {
			x.CounterpartyName, x.Text = "Kari Prøve", "Takk 🎂"
			x.Extra = []byte(strings.Replace(captureExtra, `"pspRef`, `"maskedPhoneNo":"xxxx 1234","pspRef`, 1))
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.reader.ledger = "410001"
			got := report1(t, c.reader, c.row)
			if len(got.page.Rejects) > 0 {
				t.Fatal(got.page.Rejects)
			}
			want := plainRow()
			if c.want != nil {
				c.want(&want)
			}
			x := got.page.Records.Transactions[0]
			if !strings.HasPrefix(x.ID, want.Code+"-") {
				t.Errorf("id %s", x.ID)
			}
			want.ID = x.ID
			if diff := cmp.Diff(want, x, cmp.Comparer(finance.Amount.Equal)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRowsThatCantBeBooked(t *testing.T) {
	for why, row := range map[string]string{
		"amount: not a number":                                            changed(capture, "amount", `"12900"`),
		"amount: not a whole number of at most 18 digits":                 changed(capture, "amount", "129.5"),
		"recipientHandle: a row without an amount":                        changed(capture, "amount", "null"),
		"recipientHandle: a row whose currency's minor unit is not known": changed(capture, "currency", `"BHD"`),
		"time: not an instant":                                            changed(capture, "time", `"05.01.2026 08:10"`),
		"ledgerDate: not a date":                                          changed(capture, "ledgerDate", `"2026-31-12"`),
		"recipientHandle: a row without a ledger date and a time":         changed(capture, "ledgerDate", "null", "time", "null"),
		"balanceAfter: not a whole number of at most 18 digits":           changed(capture, "balanceAfter", "1e3"),
		"pspReference: the same key twice":                                `{"pspReference":"1",` + capture[1:],
		"recipientHandle: not an object":                                  `[]`,
		"entryType: a string is not valid UTF-8":                          changed(capture, "entryType", "\"capt\xff\""),
	} {
		got := report1(t, rowReader{ledger: "410001"}, capture, row, changed(capture, "pspReference", `"7100000002"`, "balanceBefore", "1"))
		rejects := got.page.Rejects
		if len(rejects) != 1 || rejects[0].Place != 1 || rejects[0].Reason != why || len(got.page.Records.Transactions) != 2 {
			t.Errorf("want %q: %v, %d rows", why, rejects, len(got.page.Records.Transactions))
		}
	}
}

func TestAnswersThatAreNoReports(t *testing.T) {
	for name, body := range map[string]string{
		"an error": `{"code":"Unauthorized","message":"x"}`, "cut": `{"items":[` + capture, "a list": `[]`, "more behind it": `{"items":[]} {}`,
		"items of another kind": `{"items":{}}`, "a number for tryLater": `{"items":[],"tryLater":1}`,
	} {
		got, err := readReport(&rowReader{s: jsonread.Scan([]byte(body)), topic: funds}, chain{}, 0)
		if err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for name, body := range map[string]string{
		"no rows": `{"items":[],"tryLater":true}`, "null rows": `{"items":null,"tryLater":true,"hasMore":null,"cursor":null}`,
		"a text for tryLater": `{"tryLater":"true","items":[],"next":{}}`,
	} {
		got, err := readReport(&rowReader{s: jsonread.Scan([]byte(body)), topic: funds}, chain{}, 0)
		if err != nil || !got.tryLater || got.items > 0 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
