package cambio

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// checkDebts fails if a record could not have come from the answer, or tells who it is about.
func checkDebts(t *testing.T, body string, debts []finance.Debt, prefix string) {
	t.Helper()
	ids := map[string]bool{}
	for _, d := range debts {
		if !strings.HasPrefix(d.ID, prefix) || ids[d.ID] || d.TermsLeft != -1 || d.Balance.Valid == d.OriginalBalance.Valid {
			t.Errorf("%+v", d)
		}
		ids[d.ID] = true
		if owed := d.Balance.Decimal.Sign() + d.OriginalBalance.Decimal.Sign(); owed <= 0 {
			t.Errorf("%s: nothing is owed", d.ID)
		}
		if d.Extra != nil && !json.Valid(d.Extra) {
			t.Errorf("%s: extra %q", d.ID, d.Extra)
		}
		if strings.Contains(d.ID+string(d.Extra), person) {
			t.Errorf("%s: somebody is given away in %q", d.ID, d.Extra)
		}
		if !strings.ContainsAny(body, "123456789") {
			t.Errorf("%s: an amount that is not in the answer", d.ID)
		}
	}
}

// checkWords fails if a reason or an error holds the number.
func checkWords(t *testing.T, rejects []finance.Reject, err error) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), person) {
		t.Errorf("an error gives somebody away: %v", err)
	}
	for _, r := range rejects {
		if strings.Contains(r.Reason, person) || len(r.Reason) > 200 {
			t.Errorf("a reason gives something away: %s", r.Reason)
		}
	}
}

func FuzzInvoices(f *testing.F) {
	f.Add([]byte(bundleOf(bill())))
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := decodeInvoices(body, patientID, person)
		checkWords(t, nil, err)
		if err != nil {
			return
		}
		checkWords(t, b.rejects, nil)
		checkDebts(t, string(body), b.debts, invoicePrefix)
		if int(b.entries) < len(b.debts)+len(b.rejects) || len(b.rejects) == 0 && !json.Valid(body) {
			t.Errorf("%d entries, %d debts, %d rejects", b.entries, len(b.debts), len(b.rejects))
		}
	})
}

func FuzzVisits(f *testing.F) {
	f.Add([]byte("[" + seen(`"200"`) + "]"))
	f.Fuzz(func(t *testing.T, body []byte) {
		page, err := decodeVisits(body, person, time.UTC)
		checkWords(t, page.Rejects, err)
		checkDebts(t, string(body), page.Records.Debts, visitPrefix)
		if err == nil && (!page.Done || (page.Whole == nil) != (len(page.Rejects) > 0)) {
			t.Errorf("%+v", page)
		}
	})
}

func FuzzPatient(f *testing.F) {
	f.Add([]byte(bundleOf(`{"resourceType":"Patient","id":"p1","identifier":[{"value":"` + person + `"}]}`)))
	f.Fuzz(func(t *testing.T, body []byte) {
		id, err := decodePatient(body, person)
		checkWords(t, nil, err)
		if id != "" && (!resourceID.MatchString(id) || !strings.Contains(string(body), "Patient")) {
			t.Errorf("id %q", id)
		}
	})
}

func FuzzProblem(f *testing.F) {
	f.Add(401, []byte(`{"statusCode":401,"message":"Invalid access token."}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		consent := finance.Consent{Subject: fetchtest.Subject(person)}
		for _, template := range []string{invoicesTemplate, pageTemplate, visitsTemplate} {
			r := &fetch.Request{Template: template, Task: calls.Task{Consent: &consent}}
			v := classifier{}.classify(r, &fetch.Answer{Status: status, Header: http.Header{}, Body: body})
			if v.Class == "" || v.RetryAfter < 0 || strings.Contains(v.Reason, person) {
				t.Errorf("%+v", v)
			}
			if v.Class == finance.OK && (status < 200 || status >= 300) && template == invoicesTemplate {
				t.Errorf("status %d of a search was taken for good", status)
			}
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add(cursor{At: atInvoices, Patient: "p", Link: "l", Earlier: []string{"a"}}.String())
	f.Fuzz(func(t *testing.T, text string) {
		c, err := readCursor(text)
		if err != nil || text == "" {
			return
		}
		again, err := readCursor(c.String())
		if err != nil || again.String() != c.String() {
			t.Errorf("%q became %q, %v", text, c, err)
		}
	})
}

func FuzzHide(f *testing.F) {
	f.Add("No patient 19460907-3277", person)
	f.Fuzz(func(t *testing.T, text, number string) {
		if _, ok := finance.FullPersonnummer(number); !ok || len(number) != 12 {
			number = person
		}
		hidden := hide(text, number)
		for _, form := range []string{number, number[2:], number[:8] + "-" + number[8:], number[2:8] + "-" + number[8:]} {
			if strings.Contains(hidden, form) {
				t.Errorf("%q still holds it: %q", text, hidden)
			}
		}
	})
}
