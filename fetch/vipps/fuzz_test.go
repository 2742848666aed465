package vipps

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"syncer/fetch"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

// longNumber is what no error may hold: it could be somebody's. Offsets in answers of the fuzzer are shorter.
var longNumber = regexp.MustCompile(`\d{7}`)

func silent(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if longNumber.MatchString(text) || len(text) > 300 {
			t.Errorf("an error holds a piece of the answer: %.300q", text)
		}
	}
}

func silentPage(t *testing.T, p *fetch.Page, err error) {
	t.Helper()
	if err != nil {
		silent(t, err.Error())
	}
	for _, r := range p.Rejects {
		silent(t, r.Reason)
	}
}

func object(t *testing.T, extra []byte) map[string]json.RawMessage {
	t.Helper()
	var members map[string]json.RawMessage
	if extra != nil && (json.Unmarshal(extra, &members) != nil || len(members) == 0) {
		t.Errorf("extra %q is no object with members", extra)
	}
	return members
}

// FuzzReport: whatever comes, a row that is kept can be booked, has the amount that its answer says, and a key that no
// other row has; and nothing that tells who has paid is left where it was not asked for.
func FuzzReport(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte, gdpr bool) {
		r := &rowReader{s: jsonread.Scan(body), ledger: "410001", topic: funds, gdpr: gdpr}
		got, err := readReport(r, chain{}, 0)
		if err != nil {
			silentPage(t, &fetch.Page{}, err)
			return
		}
		silentPage(t, &got.page, nil)
		var truth struct {
			Items []json.RawMessage `json:"items"`
		}
		switch err := json.Unmarshal(body, &truth); {
		case err != nil && len(got.page.Rejects) > 0:
			return // a row that is no JSON was refused, and its neighbours were read
		case err != nil || len(truth.Items) != got.items:
			t.Fatalf("%d items were read, error %v", got.items, err)
		}
		seen := map[string]bool{}
		for _, x := range got.page.Records.Transactions {
			if x.BookedOn.IsZero() || !x.Amount.Valid || x.Currency == "" || seen[x.ID] {
				t.Errorf("row %+v", x)
			}
			seen[x.ID] = true
			written := object(t, truth.Items[x.Place])["amount"]
			minor, err := strconv.ParseInt(string(written), 10, 64)
			want, err2 := finance.MinorUnits(minor, decimals[x.Currency])
			if err != nil || err2 != nil || !want.Equal(x.Amount) {
				t.Errorf("%s was read as %s %s", written, x.Amount, x.Currency)
			}
			for key := range object(t, x.Extra) {
				if !gdpr && personal.MatchString(key) {
					t.Errorf("extra holds %s", key)
				}
			}
			if !gdpr && x.CounterpartyName+x.Text != "" {
				t.Error("the payer's name or message was kept")
			}
		}
	})
}

// FuzzLedgers: every ledger that is kept has an id and settles for the recipient.
func FuzzLedgers(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		page, _, err := decodeLedgers(body, "api:700001", listing{V: 1})
		silentPage(t, &page, err)
		if err != nil {
			return
		}
		if page.Done == (page.Next != "") || page.Whole != nil && len(page.Rejects) > 0 {
			t.Errorf("done %t, next %q, whole %v beside %d rejects", page.Done, page.Next, page.Whole, len(page.Rejects))
		}
		for _, a := range page.Records.Accounts {
			if a.ID == "" || !strings.Contains(strings.ToLower(string(object(t, a.Extra)["settlesForRecipientHandles"])), "api:700001") {
				t.Errorf("ledger %+v", a)
			}
		}
		if page.Next != "" {
			if _, err := readListing(page.Next); err != nil {
				t.Error(err)
			}
		}
	})
}

// FuzzClassify: no body makes an error look like data, or a pause negative.
func FuzzClassify(f *testing.F) {
	f.Fuzz(func(t *testing.T, status int, body []byte, retryAfter string) {
		a := &fetch.Answer{Status: status, Body: body, Header: map[string][]string{"Retry-After": {retryAfter}}}
		v := classify(&fetch.Request{Template: "/settlement/v1/ledgers"}, a)
		if v.Class == "" || v.RetryAfter < 0 || v.Class == finance.OK && (status < 200 || status > 299) {
			t.Errorf("status %d: %+v", status, v)
		}
	})
}

// FuzzCursor: what is accepted as a stored position is a whole one, and comes back as it was.
func FuzzCursor(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string, dates bool) {
		by := byFeed
		if dates {
			by = byDates
		}
		c, err := readCursor(text, by, today-30, today)
		if err != nil {
			silent(t, err.Error())
			return
		}
		again, err := readCursor(cursorText(c), by, today-30, today)
		if err != nil || cursorText(again) != cursorText(c) || c.By != by || c.Topic != funds && c.Topic != fees {
			t.Errorf("%+v, %+v, %v", c, again, err)
		}
	})
}
