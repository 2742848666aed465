package sbanken

import (
	"encoding/json"
	"net/http"
	"regexp"
	"testing"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// longNumber is what no error may hold: it could be somebody's. Offsets in answers of the fuzzer are shorter.
var longNumber = regexp.MustCompile(`\d{7}`)

func silent(t *testing.T, page fetch.Page, err error) {
	t.Helper()
	texts := []string{}
	if err != nil {
		texts = append(texts, err.Error())
	}
	for _, r := range page.Rejects {
		texts = append(texts, r.Reason)
	}
	for _, text := range texts {
		if longNumber.MatchString(text) || len(text) > 300 {
			t.Errorf("an error holds a piece of the answer: %.300q", text)
		}
	}
}

// FuzzTransactions: whatever comes, a row that is kept has a day, an amount that its answer says and a key of its own,
// and the position after the page can be read again.
func FuzzTransactions(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte, later bool) {
		p := &pass{settings: Settings{APIVersion: 2, PageLength: 100}, stream: fetch.Stream{
			Stream: finance.Stream{Account: "A"}, Since: today - 60, Today: today, Lookback: 10}, cursor: cursor{V: 1}}
		p.at = position{List: archive, From: today - 60, To: today}
		if later {
			p.at = position{List: recent, From: today - 30, Over: today - 30}
		}
		page, err := p.decode(&fetch.Answer{Body: body})
		silent(t, page, err)
		if err != nil {
			return
		}
		var truth struct {
			Items []struct {
				Amount json.Number `json:"amount"`
			} `json:"items"`
		}
		whole := json.Unmarshal(body, &truth) == nil
		seen := map[string]bool{}
		for _, x := range page.Records.Transactions {
			if x.ID == "" || seen[x.ID] || x.BookedOn.IsZero() || !x.Amount.Valid || x.Extra != nil && !json.Valid(x.Extra) {
				t.Errorf("row %+v", x)
			}
			seen[x.ID] = !later || seen[x.ID] // the archive may show one row twice, and the page's commit keeps one
			if whole && int(x.Place) < len(truth.Items) {
				if want, err := finance.ParseAmount(truth.Items[x.Place].Amount.String()); err == nil && !want.Equal(x.Amount) {
					t.Errorf("%s was read as %s", truth.Items[x.Place].Amount, x.Amount)
				}
			}
		}
		if !page.Done {
			if _, err := readCursor(page.Next, today); err != nil {
				t.Errorf("the next position %q: %v", page.Next, err)
			}
		}
	})
}

// FuzzAccounts: an account of somebody else is never kept, and every figure belongs to an account of the page.
func FuzzAccounts(f *testing.F) {
	const owner = "14842249091"
	f.Fuzz(func(t *testing.T, body []byte) {
		page, err := decodeAccounts(body, fetchtest.Subject(owner), false)
		silent(t, page, err)
		if err != nil {
			return
		}
		ids := map[string]bool{}
		for _, a := range page.Records.Accounts {
			if a.ID == "" || a.Extra != nil && !json.Valid(a.Extra) {
				t.Errorf("account %+v", a)
			}
			ids[a.ID] = true
		}
		for _, b := range page.Records.Balances {
			if !ids[b.AccountID] || !b.Amount.Valid {
				t.Errorf("balance %+v", b)
			}
		}
		var truth struct {
			Items []map[string]any `json:"items"`
		}
		if json.Unmarshal(body, &truth) != nil {
			return
		}
		for _, a := range page.Records.Accounts {
			if o, ok := truth.Items[a.Place]["ownerCustomerId"].(string); ok && o != "" && o != owner {
				t.Error("the account of another person was kept")
			}
		}
		if page.Whole != nil && (page.Partial != "" || len(page.Rejects) > 0) {
			t.Error("declared whole, and something is missing")
		}
	})
}

// FuzzClassify: no body makes an error look like data, or a pause negative.
func FuzzClassify(f *testing.F) {
	f.Fuzz(func(t *testing.T, status int, body []byte, reset string) {
		v := classify(&fetch.Request{}, &fetch.Answer{Status: status, Body: body, Header: http.Header{"X-Rate-Limit-Reset": {reset}}})
		if v.Class == "" || v.RetryAfter < 0 || v.Class == finance.OK && (status < 200 || status > 299) {
			t.Errorf("status %d: %+v", status, v)
		}
	})
}

// FuzzCursor: what is accepted as a stored position is a sound one, and comes back as it was.
func FuzzCursor(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		c, err := readCursor(text, today)
		if err != nil {
			silent(t, fetch.Page{}, err)
			return
		}
		again, err := readCursor(c.String(), today)
		if err != nil || again.String() != c.String() {
			t.Errorf("%s, %s, %v", c, again, err)
		}
	})
}
