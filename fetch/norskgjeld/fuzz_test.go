package norskgjeld

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
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

// FuzzDebt: whatever comes, an answer that is read is about the person of the consent, every loan in it is a debt, a
// silence or a reject, ids are there once, and nothing is declared whole from which something is missing.
func FuzzDebt(f *testing.F) {
	const person = "14842249091"
	consent := finance.Consent{ID: 1, ExternalID: "5b1f6c0e-9a37-4f0e-8b52-0d4c7c1e77a1", Subject: fetchtest.Subject(person)}
	f.Fuzz(func(t *testing.T, body []byte) {
		page, err := decodeDebt(body, &consent)
		if err != nil {
			silent(t, err.Error())
			return
		}
		var truth struct {
			SSN   string            `json:"ssn"`
			Loans []json.RawMessage `json:"loans"`
		}
		rejects := len(page.Rejects)
		for _, r := range page.Rejects {
			silent(t, r.Reason)
		}
		if err := json.Unmarshal(body, &truth); err != nil && rejects == 0 {
			t.Fatalf("read what is no JSON: %v", err)
		} else if err == nil && (truth.SSN != person || len(page.Records.Debts)+rejects > len(truth.Loans)) {
			t.Fatalf("%d debts and %d rejects of %d loans of %q", len(page.Records.Debts), rejects, len(truth.Loans), truth.SSN)
		}
		if page.Whole != nil && (page.Partial != "" || rejects > 0) {
			t.Error("declared whole, and something is missing")
		}
		seen := map[string]bool{}
		for _, d := range page.Records.Debts {
			if d.ID == "" || seen[d.ID] || d.Extra != nil && !json.Valid(d.Extra) {
				t.Errorf("debt %+v", d)
			}
			seen[d.ID] = true
		}
	})
}

// FuzzFeed: a page leads on and never back, and every event in it names its consent.
func FuzzFeed(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte, from int64) {
		from = min(max(from, 1), 1<<40)
		page, err := decodeFeed(body, from)
		if err != nil {
			silent(t, err.Error())
			return
		}
		if next, err := strconv.ParseInt(page.Next, 10, 64); err != nil || next < from || page.count > 0 && page.last < 1<<40 && next <= page.last {
			t.Errorf("from %d on to %q", from, page.Next)
		}
		for _, e := range page.Events {
			if e.ConsentID == "" || e.Status != finance.ConsentActive && e.Status != finance.ConsentRevoked {
				t.Errorf("event %+v", e)
			}
		}
	})
}

// FuzzStatus: a consent is active only where the answer says so.
func FuzzStatus(f *testing.F) {
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, body []byte) {
		state, err := decodeStatus(body, now)
		if err != nil {
			silent(t, err.Error())
			return
		}
		var truth map[string]json.RawMessage
		if err := json.Unmarshal(body, &truth); err != nil {
			t.Fatalf("read what is no JSON: %v", err)
		}
		if said := string(truth["active"]); state.Status == finance.ConsentActive && said != "true" && said != `"true"` {
			t.Errorf("active was %s and is read as %+v", said, state)
		}
	})
}

// FuzzClassify: no body makes an error look like data, and only a 403 that names the consent ends one.
func FuzzClassify(f *testing.F) {
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		v := classify(&fetch.Request{}, &fetch.Answer{Status: status, Body: body, Header: http.Header{}})
		if v.Class == "" || v.Class == finance.OK && (status < 200 || status > 299) || v.Class == finance.ConsentOver && status != http.StatusForbidden {
			t.Errorf("status %d: %+v", status, v)
		}
	})
}
