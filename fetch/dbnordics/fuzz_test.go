package dbnordics

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

var (
	longNumber  = regexp.MustCompile(`\d{8,}`) // longer than any offset in an answer
	significant = regexp.MustCompile(`[1-9][0-9]*(\.[0-9]+)?|0\.[0-9]*`)
)

// FuzzDebt reads answers about a Swedish or a Norwegian company, or about a sole trader.
func FuzzDebt(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte, who byte) {
		about := []company{swedish, norwegian, {country: "se", number: trader, person: true}}[who%3]
		page, _, err := decodeDebt(body, about, who >= 128)
		if err != nil {
			if longNumber.MatchString(err.Error()) || page.Records.Len() > 0 {
				t.Fatalf("%d records, error %v", page.Records.Len(), err)
			}
			return
		}
		if !page.Done || (page.Whole != nil) != (page.Partial == "" && len(page.Rejects) == 0) {
			t.Fatalf("whole %v, partial %q, rejects %v", page.Whole, page.Partial, page.Rejects)
		}
		for _, r := range page.Rejects {
			if longNumber.MatchString(r.Reason) {
				t.Fatalf("a reason shows a number: %s", r.Reason)
			}
		}
		seen := map[string]bool{}
		for i := range page.Records.Debts {
			checkDebt(t, string(body), &page.Records.Debts[i], seen)
		}
		again, _, err := decodeDebt(body, about, who >= 128)
		if err != nil || len(again.Records.Debts) != len(page.Records.Debts) {
			t.Fatal("the same bytes are two pages")
		}
		for i := range again.Records.Debts {
			if again.Records.Debts[i].ID != page.Records.Debts[i].ID {
				t.Fatal("the same bytes have two ids")
			}
		}
	})
}

// checkDebt checks what every record promises.
func checkDebt(t *testing.T, body string, d *finance.Debt, seen map[string]bool) {
	t.Helper()
	if d.ID == "" || seen[d.ID] || d.Kind == "" {
		t.Fatalf("id %q, kind %q", d.ID, d.Kind)
	}
	seen[d.ID] = true
	var extra map[string]json.RawMessage // a number beyond float64 is a JSON number all the same
	if d.Extra != nil && (json.Unmarshal(d.Extra, &extra) != nil || len(extra) == 0) {
		t.Fatalf("extra %q is no JSON object with members", d.Extra)
	}
	for _, text := range []string{d.ID, d.Kind, d.Creditor, string(d.Extra)} {
		if withhold(text) != text {
			t.Fatalf("a personal identity number stands in %q", text)
		}
	}
	if strings.Contains(body, `\`) {
		return // an escape may hide the digits of what was told
	}
	for _, a := range []finance.Amount{d.OriginalBalance, d.CreditLimit} {
		if digits := significant.FindString(a.String()); digits != "" && !strings.Contains(body, strings.TrimPrefix(digits, "0")) {
			t.Fatalf("the amount %s is not in the answer", a)
		}
	}
}

// FuzzClassify reads answers of any status.
func FuzzClassify(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte, status uint16) {
		a := &fetch.Answer{Status: 200 + int(status%400), Header: http.Header{}, Body: body}
		v := classify(&fetch.Request{Purpose: calls.ForData}, a)
		switch {
		case v.Class == "":
			t.Fatal("no class")
		case v.Class == finance.OK && (a.Status >= 300 || a.Status == http.StatusNoContent):
			t.Fatalf("%d is ok", a.Status)
		case v.Class == finance.Withheld && a.Status != 204 && a.Status != 404 && a.Status != 451:
			t.Fatalf("%d excuses an item", a.Status)
		case withhold(v.Reason) != v.Reason:
			t.Fatalf("a personal identity number stands in %q", v.Reason)
		}
	})
}

// FuzzCompany reads external ids and subjects.
func FuzzCompany(f *testing.F) {
	f.Fuzz(func(t *testing.T, id, number string) {
		c, err := companyOf(&finance.Consent{ID: 1, ExternalID: id, Subject: fetchtest.Subject(number)})
		switch {
		case err != nil && (longNumber.MatchString(err.Error()) || c != company{}):
			t.Fatalf("%+v, error %v", c, err)
		case err != nil:
		case !c.is(c.number) || !onlyDigits(c.number):
			t.Fatalf("%+v is not itself", c)
		case c.person && (c.number != number || strings.Contains(id, c.short(number))):
			t.Fatalf("%q, a person's number, of %q", c.number, id)
		case !c.person && (withhold(id) != id || id != strings.ToUpper(c.country)+"-"+c.number):
			t.Fatalf("%+v of %q", c, id)
		}
	})
}

// FuzzWithhold looks for texts that keep a number, or lose what is none.
func FuzzWithhold(f *testing.F) {
	f.Fuzz(func(t *testing.T, before, after string) {
		if got := withhold(before + "x" + trader + "x" + after); strings.Contains(got, "x"+trader+"x") {
			t.Fatalf("%q keeps the number", got)
		}
		once := withhold(before)
		if withhold(once) != once {
			t.Fatalf("%q is not done at once: %q", before, once)
		}
		if !strings.ContainsAny(before, "0123456789") && once != before {
			t.Fatalf("%q became %q", before, once)
		}
	})
}

// FuzzValue reads dates and amounts.
func FuzzValue(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		s := jsonread.Scan(text)
		if m := readMoment(s); s.End() == nil && !m.day.IsZero() {
			if back, err := finance.ParseDate(m.day.String()); err != nil || back != m.day {
				t.Fatalf("%s is the day %s", text, m.day)
			}
		}
		s = jsonread.Scan(text)
		var x jsonread.Extra
		if m := readMoney(s, &x); s.End() == nil && m.amount.Valid {
			if back, err := finance.ParseAmount(m.amount.String()); err != nil || !back.Equal(m.amount) {
				t.Fatalf("%s is %s", text, m.amount)
			}
		}
	})
}
