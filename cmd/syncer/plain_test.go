package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"syncer/finance"
	"syncer/persist/persisttest"
	"syncer/persist/seal"
)

// The persons and the token of the corpus. They belong to nobody.
const (
	norwegian   = "15088512909"
	swedish     = "198112189876"
	secretToken = "Tok3n/of+the=connection/0123456789=="
)

// numberForms are written forms of the two numbers.
func numberForms() map[string][]string {
	return map[string][]string{
		norwegian: {
			"15088512909", "150885 12909", "150885-12909", "150885.12909", "15.08.85 12909", "15.08.85-12909", "15/08/85 12909",
			"150885\u200b12909", "150885\u00a012909", "150885\u202f12909", "150885\u00ad12909", "1\u200b5\u200b0\u200b8\u200b8\u200b5\u200b1\u200b2\u200b9\u200b0\u200b9",
			"150885%2012909", "150885%2D12909", "150885%C2%A012909", "150885%E2%80%8B12909", "%31%35%30%38%38%35%31%32%39%30%39", "150885+12909",
			"1 5 0 8 8 5 1 2 9 0 9", "1-5-0-8-8-5-1-2-9-0-9", "15 08 85 129 09", "150885 129 09", "150885\t12909", "150885  -  12909",
			"１５０８８５１２９０９", "１５０８８５ １２９０９", "١٥٠٨٨٥١٢٩٠٩", "150885\u201312909", "150885\u201412909", "150885_12909",
		},
		swedish: {
			"19811218-9876", "811218-9876", "198112189876", "811218+9876", "811218\u20119876", "19811218 9876", "1 9 8 1 1 2 1 8 9 8 7 6",
			"811218%2D9876", "８１１２１８-９８７６", "19811218\u200b9876", "19811218\u00a09876",
		},
	}
}

// tokenForms are written forms of the token, as they stand in a JSON text.
func tokenForms() []string {
	escaped := func(digits string) string {
		var b strings.Builder
		for _, c := range secretToken {
			if strings.ContainsRune("/+=", c) {
				fmt.Fprintf(&b, `\u`+digits, c)
				continue
			}
			b.WriteRune(c)
		}
		return b.String()
	}
	return []string{
		secretToken, "Bearer " + secretToken, "bearer  " + secretToken, "token=" + secretToken, url.QueryEscape(secretToken),
		"?access_token=" + url.QueryEscape(secretToken) + "&x=1", strings.ReplaceAll(secretToken, "/", `\/`), escaped("%04x"), escaped("%04X"),
	}
}

const plainDescription = `
title: An API that repeats what it knows
base_url: %[1]s
token: { url: "%[1]s/token", dialect: in_params }
errors: { code: code, message: message }
correlation: { headers: X-Trace }
check: { path: ping }
datasets:
  debt:
    request: { path: "{consent}/debts" }
    records: rows
    fields: { id: id, creditor: creditor, kind: kind, currency: currency, balance: balance }
`

const plainConfig = `
database: { url: "file:database-url" }
keys: { file: syncer.keys }
worker: { lease: 10s, heartbeat: 1s, sweep: 300ms }
connections:
  api:
    provider: rest
    base_url: %[1]s
    auth_url: %[1]s
    settings: { description: api.yaml }
    credentials: { client_id: "file:id", client_secret: "file:secret" }
    rate: { unlimited: true }
    retry: { attempts: 1 }
    allow_private: true
jobs:
  nightly: { connection: api, datasets: [debt] }
`

// echo is what the API says to one consent.
type echo struct {
	person string // its national id
	form   string // what it repeats, as it stands in a JSON text
	token  bool
}

// corpus has an echo for each form.
func corpus() (all []echo) {
	for person, forms := range numberForms() {
		for _, form := range forms {
			quoted, _ := json.Marshal(form)
			all = append(all, echo{person: person, form: string(quoted[1 : len(quoted)-1])})
		}
	}
	for _, form := range tokenForms() {
		all = append(all, echo{person: norwegian, form: form, token: true})
	}
	return all
}

// No number of a person and no token of the connection comes back out of an answer, however the API writes it and wherever it stands:
// a reason, a correlation id, a member that has no column and its name, a key. It is looked for in all that the program says, in the
// log, and in all tables.
func TestNoNumberAndNoTokenComesBackInPlain(t *testing.T) {
	t.Parallel()
	all := corpus()
	if len(all) < 40 {
		t.Fatalf("the corpus has %d forms", len(all))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { repeat(w, r, all) }))
	t.Cleanup(server.Close)
	db := persisttest.NewDatabase(t)
	syncer := describedAPI(t, db, server.URL)
	csv := &strings.Builder{}
	csv.WriteString("external_id,national_id\n")
	for i, e := range all {
		fmt.Fprintf(csv, "good-%d,%s\nbad-%d,%s\nkey-%d,%s\n", i, e.person, i, e.person, i, e.person)
	}
	said := map[string]string{"import": syncer(csv.String(), "consents", "import", "-", "--connection", "api")}
	said["run and log"] = syncer("", "run", "nightly", "--log-level", "debug", "--log-format", "json")
	said["runs show"] = syncer("", "runs", "show", "1")
	said["runs show --json"] = syncer("", "runs", "show", "1", "--json")
	said["quarantine --json"] = syncer("", "quarantine", "list", "--json")
	said["consents --json"] = syncer("", "consents", "list", "--json")
	said["calls"] = aCall(t, db, syncer)
	said["the tables"] = dump(t, db)
	for where, text := range said {
		if text == "" {
			t.Errorf("%s says nothing", where)
		}
		for line := range strings.Lines(text) {
			if finance.MaskSubjects(line, norwegian, swedish) != line {
				t.Errorf("%s: a number in plain: %.300q", where, line)
			}
			for _, form := range []string{secretToken, url.QueryEscape(secretToken)} {
				if strings.Contains(line, form) {
					t.Errorf("%s: the token in plain: %.300q", where, line)
				}
			}
		}
	}
	stored := 0
	if err := db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM debts").Scan(&stored); err != nil || stored < 2*len(all) {
		t.Errorf("%d records are stored of %d forms, %v", stored, len(all), err)
	}
}

// repeat answers as one of the corpus. The consent's id says how: good-N with a record, bad-N with an error, and key-N with a record
// whose key it is.
func repeat(w http.ResponseWriter, r *http.Request, all []echo) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/token" {
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":3600}`, secretToken)
		return
	}
	kind, number, _ := strings.Cut(strings.Split(r.URL.Path, "/")[1], "-")
	n, err := strconv.Atoi(number)
	if err != nil || n >= len(all) {
		fmt.Fprint(w, "{}")
		return
	}
	form := all[n].form
	var plain string
	if json.Unmarshal([]byte(`"`+form+`"`), &plain) == nil && !strings.ContainsAny(plain, "\t\r\n") {
		w.Header().Set("X-Trace", "gw-"+plain)
	}
	switch kind {
	case "bad":
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"code":"E1","message":"customer %s is blocked"}`, form)
	case "good":
		fmt.Fprintf(w, `{"rows":[{"id":"d-%d","creditor":"Bank","kind":"loan","currency":"NOK","balance":"1.50","note":"of %s",
			"%s":"a name","inner":{"%s":{"deep":1},"list":["%s"]}}]}`, n, form, form, form, form)
	case "key":
		id := form
		if all[n].token {
			id = "d-" + form
		}
		fmt.Fprintf(w, `{"rows":[{"id":"%s","creditor":"Bank","kind":"loan","currency":"NOK","balance":"1.50"},
			{"id":"other","creditor":"Bank","kind":"loan","currency":"NOK","balance":"2.50"}]}`, id)
	}
}

// describedAPI is the program with the configuration of the corpus: it gives all that a command says.
func describedAPI(t *testing.T, db persisttest.Database, api string) func(in string, args ...string) string {
	t.Helper()
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"syncer.yaml": fmt.Sprintf(plainConfig, api), "api.yaml": fmt.Sprintf(plainDescription, api),
		"syncer.keys": string(keys), "database-url": db.URL, "id": "client", "secret": "s3cret-of-the-client",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(in string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), "syncer", append([]string{"--config", filepath.Join(dir, "syncer.yaml")}, args...)...)
		cmd.Stdin = strings.NewReader(in)
		cmd.Env = append(os.Environ(), "NO_COLOR=1")
		out, err := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code == 1 || code == 2 {
			t.Errorf("syncer %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
}

// aCall is what the program says of some calls.
func aCall(t *testing.T, db persisttest.Database, syncer func(string, ...string) string) string {
	t.Helper()
	rows, err := db.Pool.Query(t.Context(), `(SELECT id::text FROM calls WHERE class <> 'ok' ORDER BY id LIMIT 2)
		UNION ALL (SELECT id::text FROM calls WHERE class = 'ok' ORDER BY id DESC LIMIT 2)`)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	text := ""
	for _, id := range ids {
		text += syncer("", "call", id) + syncer("", "call", id, "--json")
	}
	return text
}

// dump is all that stands in all tables, a line a row.
func dump(t *testing.T, db persisttest.Database) string {
	t.Helper()
	var tables []string
	err := db.Pool.QueryRow(t.Context(), `SELECT array_agg(format('%I.%I', schemaname, relname)) FROM pg_stat_user_tables`).Scan(&tables)
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for _, table := range tables {
		rows, err := db.Pool.Query(t.Context(), "SELECT t::text FROM "+table+" t")
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var row string
			if err := rows.Scan(&row); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&all, "%s %s\n", table, strings.ReplaceAll(row, "\n", " "))
		}
		if rows.Err() != nil {
			t.Fatal(rows.Err())
		}
	}
	return all.String()
}
