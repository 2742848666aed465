package rest

import (
	"net/http"
	"strings"
	"testing"

	"syncer/fetch"
	"syncer/finance"
)

// What an answer of 2xx proves of a set that is whole, by its status and by the description's rules.
func TestWhatAGoodStatusProves(t *testing.T) {
	const list = `{"rows":[{"id":"1"}]}`
	for name, c := range map[string]struct {
		rules   string
		paging  string
		status  int
		headers http.Header
		answer  string
		class   finance.Class // of the error; empty: there is none
		rows    int
		whole   bool
		partial string
	}{
		"200":                      {status: 200, answer: list, rows: 1, whole: true},
		"201":                      {status: 201, answer: list, rows: 1, whole: true},
		"203":                      {status: 203, answer: list, rows: 1, whole: true},
		"203 with a rule":          {rules: "{ status: 203, class: transient }", status: 203, answer: list, class: finance.Transient},
		"203 that is ok and empty": {rules: "{ status: 203, class: ok }", status: 203, answer: ` `, class: finance.Transient},
		"202":                      {status: 202, answer: list, class: finance.Transient},
		"202 with a rule":          {rules: "{ status: 202, class: transient }", status: 202, answer: `{"rows":[]}`, class: finance.Transient},
		"202 that is withheld":     {rules: "{ status: 202, class: withheld }", status: 202, answer: `{"rows":[]}`, class: finance.Withheld},
		"202 that is ok":           {rules: "{ status: 202, class: ok }", status: 202, answer: list, rows: 1, partial: "not ready yet"},
		"202 that is ok and empty": {rules: "{ status: 202, class: ok }", status: 202, answer: ` `, partial: "not ready yet"},
		"206":                      {status: 206, answer: list, class: finance.Transient},
		"206 that is all":          {status: 206, headers: http.Header{"Content-Range": {"items 0-0/1"}}, answer: list, rows: 1, whole: true},
		"206 that is ok":           {rules: "{ status: 206, class: ok }", status: 206, answer: list, rows: 1, partial: "a part of one"},
		"206 that is ok and HTML":  {rules: "{ status: 206, class: ok }", status: 206, answer: `<html>`, class: finance.Transient},
		"the last of several": {
			rules: "{ status: 206, class: ok }", paging: "next_link: { path: next }", status: 206,
			headers: http.Header{"Content-Range": {"0-0/1"}}, answer: `{"rows":[{"id":"1"}],"next":null}`, rows: 1, whole: true,
		},
		"a part that leads nowhere": {
			rules: "{ status: 206, class: ok }", paging: "next_link: { path: next }", status: 206,
			headers: http.Header{"Content-Range": {"0-0/7"}}, answer: `{"rows":[{"id":"1"}],"next":null}`, rows: 1, partial: "a part of one",
		},
		"200 by whose Content-Range there are more": {
			status: 200, headers: http.Header{"Content-Range": {"rows 0-0/7"}}, answer: list, rows: 1, partial: "a part of one",
		},
		"the same of several pages": {
			paging: "next_link: { path: next }", status: 200, headers: http.Header{"Content-Range": {"rows 0-0/7"}},
			answer: `{"rows":[{"id":"1"}],"next":null}`, rows: 1, partial: "a part of one",
		},
		"an error beside no rows":      {status: 200, answer: `{"error":"overloaded","rows":[]}`, partial: "an error beside no records"},
		"an error of none beside them": {status: 200, answer: `{"error":{"code":0,"message":""},"rows":[]}`, whole: true},
		"a code that is ok beside no rows": {
			rules: "{ code: NONE, class: ok }], in_success: true, code: [error.code", status: 200,
			answer: `{"error":{"code":"NONE"},"rows":[]}`, whole: true,
		},
		"an error without a code beside no rows": {
			rules: "{ code: NONE, class: ok }], in_success: true, code: [error.code", status: 200,
			answer: `{"error":"overloaded","rows":[]}`, partial: "an error beside no records",
		},
		"208":                  {status: 208, answer: `{"rows":[]}`, class: finance.Transient},
		"208 that is ok":       {rules: "{ status: 208, class: ok }", status: 208, answer: list, rows: 1, partial: "status 208"},
		"204":                  {status: 204},
		"204 that is withheld": {rules: "{ status: 204, class: withheld }", status: 204, class: finance.Withheld},
	} {
		text := strings.Replace(minimal, "    records: rows\n", "    records: rows\n    whole: true\n", 1)
		if c.paging != "" {
			text = strings.Replace(text, "    records: rows\n", "    records: rows\n    pagination: { "+c.paging+" }\n", 1)
		}
		if c.rules != "" {
			text += "errors: { rules: [" + c.rules + "] }\n"
		}
		calls := 0
		client := described(t, text, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			calls++
			for header, values := range c.headers {
				w.Header()[header] = values
			}
			w.WriteHeader(c.status)
			if c.status != http.StatusNoContent {
				_, _ = w.Write([]byte(c.answer))
			}
		}))
		pages, err := client.Read(t.Context(), stream(), "")
		if c.class != "" {
			if fetch.ClassOf(err) != c.class || len(pages) > 0 || c.class == finance.Transient && calls != 3 {
				t.Errorf("%s: %d pages, %v after %d calls", name, len(pages), err, calls)
			}
			continue
		}
		if err != nil || len(pages) != 1 {
			t.Errorf("%s: %d pages, %v", name, len(pages), err)
			continue
		}
		got := pages[0]
		fits := strings.Contains(got.Partial, c.partial) && (got.Partial == "") == (c.partial == "")
		if got.Records.Len() != c.rows || (got.Whole != nil) != c.whole || !fits {
			t.Errorf("%s: %d rows, whole %t, partial %q", name, got.Records.Len(), got.Whole != nil, got.Partial)
		}
	}
}

// A window whose answer was not whole is read again by the next pass, as one from which anything else is missing.
func TestAWindowThatWasNotWholeIsReadAgain(t *testing.T) {
	const overloaded = 0 // a 200 with an error
	for name, c := range map[string]struct {
		paging, rule string
		status       int
		again        bool
	}{
		"200":                       {"windows: { days: 30 }", "{ status: 202, class: ok }", 200, false},
		"202 that is ok":            {"windows: { days: 30 }", "{ status: 202, class: ok }", 202, true},
		"an error beside no rows":   {"windows: { days: 30 }", "{ status: 202, class: ok }", overloaded, true},
		"a part that leads nowhere": {"windows: { days: 30 }, next_link: { path: next }", "{ status: 206, class: ok }", 206, true},
	} {
		text := strings.Replace(datedDescription(c.paging, "id"), "errors: { code: code }", "errors: { rules: ["+c.rule+"] }", 1)
		client := described(t, text, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("from") == today.AddDays(-59).String() {
				if c.status == overloaded {
					_, _ = w.Write([]byte(`{"error":"overloaded","rows":[],"next":null}`))
					return
				}
				w.WriteHeader(c.status)
			}
			_, _ = w.Write([]byte(`{"rows":[],"next":null}`))
		}))
		s := stream()
		s.Dataset, s.Account, s.Since = finance.Transactions, "a", today.AddDays(-89)
		pages, err := client.Read(t.Context(), s, "")
		if err != nil || len(pages) != 3 {
			t.Fatalf("%s: %d pages, %v", name, len(pages), err)
		}
		at := `"again":"` + today.AddDays(-59).String() + `"`
		if next := pages[2].Next; strings.Contains(next, at) != c.again {
			t.Errorf("%s: the next pass begins at %s", name, next)
		}
	}
}

// A status that a rule names together with a code is as good as before without that code.
func TestARuleForAGoodStatusAndACode(t *testing.T) {
	text := "errors: { code: code, retry_after: wait, in_success: true, rules: [{ status: 203, code: A, class: transient }] }\n"
	d, err := Parse([]byte(text+minimal), "x.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f := newFaults(d, nil)
	for body, want := range map[string]fetch.Meaning{
		`{"rows":[],"wait":30}`:            {Class: finance.OK},
		`{"rows":[],"code":"A"}`:           {Class: finance.Transient, Reason: "A"},
		`{"rows":[],"code":"B"}`:           {Class: finance.Rejected, Reason: "B"},
		`{"rows":[],"code":"","wait":"x"}`: {Class: finance.OK},
	} {
		got := f.classify(nil, &fetch.Answer{Status: 203, Header: http.Header{}, Body: []byte(body)})
		if got != want {
			t.Errorf("%s: %+v, want %+v", body, got, want)
		}
	}
}
