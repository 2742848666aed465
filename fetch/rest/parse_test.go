package rest

import (
	_ "embed"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// minimal is the smallest description that says something.
//
//go:embed testdata/minimal.yaml
var minimal string

// changed is the minimal description with a piece of it replaced.
func changed(t *testing.T, old, piece string) string {
	t.Helper()
	if !strings.Contains(minimal, old) {
		t.Fatalf("%q is not in the minimal description", old)
	}
	return strings.Replace(minimal, old, piece, 1)
}

var update = flag.Bool("update", false, "write the golden files anew")

// TestProblemsAreToldAllAtOnce reads every broken description in testdata/broken and compares what is said of it with
// the file beside it, to the letter.
func TestProblemsAreToldAllAtOnce(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, got := Parse(text, filepath.Base(file))
		if got == nil {
			t.Errorf("%s was accepted", file)
			continue
		}
		golden := strings.TrimSuffix(file, ".yaml") + ".txt"
		if *update {
			if err := os.WriteFile(golden, []byte(got.Error()+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.Error()+"\n"); diff != "" {
			t.Errorf("%s:\n%s", file, diff)
		}
	}
}

func TestOneMistakeEach(t *testing.T) {
	const request = `request: { path: "claims/{consent}" }`
	for _, c := range []struct{ old, piece, want string }{
		{"base_url: https://api.example/v1", "base_url: api.example", "base_url: want an address such as"},
		{"base_url: https://api.example/v1", "base_url: https://u:p@api.example", "no user"},
		{"base_url: https://api.example/v1", "x: 1", "base_url: missing"},
		{"base_url: https://api.example/v1", "base_url: ~", "base_url: missing"},
		{"title: Test", "time_zone: Local", "no time zone"},
		{"dialect: none", "dialect: basic_escapd", `did you mean "basic_escaped"?`},
		{"dialect: none", "dialect: in_params", "token.url: missing"},
		{"dialect: none", "dialect: in_headers, url: https://a.example/t", "token.headers: missing"},
		{"dialect: none", "dialect: none, audience: x", "asks for no token"},
		{"dialect: none", "dialect: in_params, url: https://a.example/t, params: {scope: x}", "has a key of its own"},
		{"check: { path: ping }", "check: { path: 'ping/{consent}' }", "without a consent"},
		{"check: { path: ping }", "check: { path: ../ping }", "does not climb"},
		{"title: Test", "headers: { X-Key: '' }", "a header needs a text"},
		{"title: Test", "headers: { Authorization: x }\ntime_zone: Europe/Olso", "no time zone"},
		{"title: Test", "rate: { per_second: 1, per_minute: 60 }", "two ways to say the same"},
		{"title: Test", "errors: { rules: [{ class: fatal }] }", "a rule needs status, code, or both"},
		{"title: Test", "errors: { rules: [{ code: A, class: fatal }] }", "give errors.code"},
		{"title: Test", "errors: { rules: [{ status: 404, class: consent, consent: gone }] }", `"gone" is not known`},
		{"title: Test", "errors: { rules: [{ status: 404, class: fatal, consent: expired }] }", "for class consent"},
		{"title: Test", "errors: { in_success: true }", "give errors.code"},
		{"title: Test", "errors: { rules: [{ status: 200, class: transient }] }", "x.yaml:1:29: errors.rules.0.status: every good answer has status 200"},
		{"title: Test", "errors: { code: c, rules: [{ status: [500, 200], code: A, class: transient }] }", "only with errors.in_success: true"},
		{"title: Test", "errors: { code: c, rules: [{ status: 203, code: A, class: transient }] }", "only with errors.in_success: true"},
		{"title: Test", "errors: { code: c, in_success: true, rules: [{ status: 204, code: A, class: withheld }] }", "has no body for a code"},
		{"title: Test", "errors: { rules: [{ status: 429, class: consent }] }", "429 is about the rate"},
		{"title: Test", "errors: { rules: [{ status: 302, class: transient }] }", "a redirect (302) is never followed"},
		{"title: Test", "errors: { rules: [{ status: 304, class: ok }] }", "304 does not say that there are no records"},
		{"title: Test", "errors: { code: c, rules: [{ status: 404, class: rejected }, { status: 404, code: A, class: withheld }] }",
			"errors.rules.1: this rule never counts: all that it fits is met by errors.rules.0"},
		{"title: Test", "errors: { code: c, rules: [{ code: [A, B], class: fatal }, { code: C, class: ok }, { status: 403, code: [C, A], class: token }] }",
			"errors.rules.2: this rule never counts"},
		{"check: { path: ping }", "check: { path: ping, accept: 429 }", "check.accept: this never counts: 429 is always about the rate"},
		{request, request + "\n    pagination: { page: { parameter: p, beyond: 301 } }", "pagination.page.beyond: this never counts: a redirect"},
		{request, request + "\n    pagination: { offset: { parameter: p, beyond: [404, 200] } }", "an answer with status 200 has records"},
		{request, "request: { path: claims }", "the request names nobody"},
		{request, "request: { path: 'claims/{subject}' }", "must not stand in an address"},
		{request, "request: { path: 'c/{consent}', query: { who: '{subject}' } }", "must not stand in an address"},
		{request, "request: { path: 'claims/{consnt}' }", `no placeholder {consnt}; did you mean "consent"?`},
		{request, "request: { path: 'claims/{consent' }", "a { without a }"},
		{request, "request: { path: 'claims/{consent}?a=b' }", "parameters go to query"},
		{request, "request: { path: 'https://evil.example/{consent}' }", "has no host"},
		{request, "request: { path: 'c/{consent}', body: { a: 1 } }", "goes with method POST"},
		{request, "request: { path: 'c/{consent}', method: PUT }", `"PUT" is not known`},
		{request, "request: { path: 'c/{account}' }", "{account} is for transactions"},
		{request, request + "\n    pagination: { cursor: { path: c, parameter: p }, page: { parameter: p } }", "cursor and page"},
		{request, request + "\n    pagination: { windows: { days: 30 } }", "{since} and {until}"},
		{request, request + "\n    pagination: { offset: { parameter: o, total: t, has_more: m } }", "give one of them"},
		{request, "request: { path: 'c/{consent}', query: { p: x } }\n    pagination: { page: { parameter: p } }", "set by the request's query already"},
		{request, "request: { path: 'c/{consent}', query: { f: '{since}' } }\n    whole: true", "as if they had vanished"},
		{request, request + "\n    subject: rows.0.ssn", "inside of the list of records"},
		{request, request + "\n    partial: [{ path: a, says: b }]", "give above or is"},
		{"records: rows", "records: 'rows[0]'", "with dots"},
		{"records: rows", "records: $.rows", "without a $"},
		{"records: rows", "records: [rows, rows.inner]", "inside of another"},
		{"records: rows", "records: { path: rows, status: booked }", "only transactions have a status"},
		{"id: id", "id: {}", "give the path of the key"},
		{"id: id", "id: { hash: creditr }", `no column "creditr"; did you mean "creditor"?`},
		{"id: id", "id: { hash: kind }", "column kind is not filled"},
		{"id: id", "id: { hash: [creditor, balance] }", "changes with every payment"},
		{"creditor: name", "creditor: { path: name, minor_units: 2 }", "are for amounts"},
		{"creditor: name", "creditor: { const: X, path: name }", "const stands alone"},
		{"creditor: name", "creditor: { default: X }", "give a path, or const"},
		{"creditor: name", "creditor: a..b", "no empty steps"},
		{"balance: owed", "balance: { path: owed, default: much }", "not an exact amount"},
		{"title: Test", "decimal: dot", `decimal: "dot" does not set off decimals: comma or point`},
		{"balance: owed", "balance: { path: owed, decimal: dot }", `balance.decimal: "dot" does not set off decimals: comma or point`},
		{"balance: owed", "balance: { path: owed, decimal: comma, minor_units: 2 }", "have no decimals"},
		{"creditor: name", "creditor: { path: name, decimal: comma }", "decimal is for amounts"},
		{"balance: owed", "reported_at: { path: at, format: DD.MM.JJJJ }", "a format is rfc3339"},
		{"balance: owed", "balance: *x", "anchors, aliases and tags"},
		{"balance: owed", "balance: owed\n      balance: owd", "already on line 12"},
		{"balance: owed", "balanse: owed", `no such key; did you mean "balance"?`},
	} {
		_, err := Parse([]byte(changed(t, c.old, c.piece)), "x.yaml")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q in it", c.piece, err, c.want)
		}
	}
	for _, piece := range []string{
		"title: Test",
		"errors: { rules: [{ status: [202, 203, 204, 206, 304], class: transient }, { status: 205, class: rejected }] }",
		"errors: { code: c, in_success: true, rules: [{ status: 200, code: A, class: transient }, { code: A, class: fatal }, { code: B, class: ok }] }",
		"errors: { code: c, rules: [{ status: 202, code: A, class: withheld }, { status: 202, class: rejected }, { status: 429, class: throttled }] }",
		"errors: { code: c, rules: [{ status: 404, code: A, class: withheld }, { status: [404, 410], code: [A, B], class: ok }, { status: 404, class: fatal }] }",
	} {
		if _, err := Parse([]byte(changed(t, "title: Test", piece)), "x.yaml"); err != nil {
			t.Errorf("%s: %v", piece, err)
		}
	}
}
