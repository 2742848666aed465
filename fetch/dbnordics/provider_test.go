package dbnordics

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	"syncer/sandbox"
	vendor "syncer/sandbox/dbnordics"
)

// read reads a consent's only page.
func read(t *testing.T, c *fetchtest.Client, about finance.Consent) (fetch.Page, error) {
	t.Helper()
	pages, err := c.Read(t.Context(), fetchtest.StreamOf(about, finance.Debts), "")
	switch {
	case len(pages) > 1 || len(pages) == 0 && err == nil:
		t.Fatalf("%d pages, want one", len(pages))
	case len(pages) == 0:
		return fetch.Page{}, err
	}
	return pages[0], err
}

func TestConnectionsAreChecked(t *testing.T) {
	credentials := fetchtest.Credentials("i", "s")
	for name, spoil := range map[string]func(*fetch.Connection, *Settings){
		"environment":    func(c *fetch.Connection, _ *Settings) { c.Environment = "preprod" },
		"no environment": func(c *fetch.Connection, _ *Settings) { c.Environment = "" },
		"secret":         func(c *fetch.Connection, _ *Settings) { c.Credentials = nil },
		"base_url":       func(c *fetch.Connection, _ *Settings) { c.BaseURL = "http://a b" },
		"settings":       func(c *fetch.Connection, _ *Settings) { c.Settings = nil },
		"scope":          func(_ *fetch.Connection, s *Settings) { s.Scope = " " },
		"endpoint":       func(_ *fetch.Connection, s *Settings) { s.TokenEndpoint = "test" },
		"language":       func(_ *fetch.Connection, s *Settings) { s.Language = "en" },
	} {
		s := Provider().Settings().(*Settings)
		c := fetch.Connection{Name: "db", Environment: "sandbox", Credentials: credentials, Settings: s}
		if spoil(&c, s); open2(c) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func open2(c fetch.Connection) error { _, err := Provider().Open(c); return err }

func TestAddresses(t *testing.T) {
	const vendorHost = "https://login.bisnode.com"
	for _, c := range []struct{ environment, endpoint, base, auth, wantBase, wantToken string }{
		{"sandbox", "environment", "", "", "https://sandbox-api.bisnode.com/credit-data-companies/v2", vendorHost + "/sandbox/v1/token.oauth2"},
		{"production", "environment", "", "", "https://api.bisnode.com/credit-data-companies/v2", vendorHost + "/as/token.oauth2"},
		{"sandbox", "production", "", "", "https://sandbox-api.bisnode.com/credit-data-companies/v2", vendorHost + "/as/token.oauth2"},
		{"production", "sandbox", "", "", "https://api.bisnode.com/credit-data-companies/v2", vendorHost + "/sandbox/v1/token.oauth2"},
		{"sandbox", "environment", "http://127.0.0.1:1/", "http://127.0.0.1:2/", "http://127.0.0.1:1/credit-data-companies/v2", "http://127.0.0.1:2/sandbox/v1/token.oauth2"},
		{"sandbox", "environment", "https://gw.example/db/v2", "", "https://gw.example/db/v2", vendorHost + "/sandbox/v1/token.oauth2"},
	} {
		s := Provider().Settings().(*Settings)
		s.TokenEndpoint = c.endpoint
		d, err := Provider().Open(fetch.Connection{Name: "db", Environment: c.environment, BaseURL: c.base, AuthURL: c.auth, Settings: s,
			Credentials: fetchtest.Credentials("i d", "s%+")})
		if err != nil {
			t.Fatal(err)
		}
		token, err := d.Token(fetch.TokenKey{Scope: "a b"})
		if err != nil || d.Base.String() != c.wantBase || token.URL != c.wantToken || token.Style != fetch.BasicRaw || token.ID != "i d" || len(token.Scopes) != 2 {
			t.Errorf("%s, %s: base %s, token %+v, %v", c.environment, c.endpoint, d.Base, token, err)
		}
	}
	if a, b := scopeSet("b  a b"), scopeSet("a b"); a != b || a != "a b" {
		t.Errorf("one set is %q and %q", a, b)
	}
}

func TestOneTokenForAScopeSet(t *testing.T) {
	w := start(t, vendor.Options{})
	store := fetchtest.NewCallStore()
	shared := func(o *fetch.Options) { o.Calls, o.Once, o.Tokens = store, store, store }
	both := func(scope string) {
		conn, s := w.conn, Provider().Settings().(*Settings)
		s.Scope, conn.Settings = scope, s
		for _, country := range []string{"SE", "NO"} {
			if _, err := read(t, fetchtest.Dial(t, Provider(), conn, shared), consent(w.find(t, in(country, false)))); err != nil {
				t.Fatalf("%s: %v", scope, err)
			}
		}
	}
	for i, step := range []struct {
		scope string
		want  int
	}{
		{"credit_data_companies", 1}, {"credit_data_companies", 1}, {"credit_data_monitoring credit_data_companies", 2},
		{"credit_data_companies  credit_data_monitoring", 2}, {"credit_data_companies", 2},
	} {
		if both(step.scope); w.sim.Tokens().Requests() != step.want {
			t.Errorf("step %d: %d token calls, want %d", i, w.sim.Tokens().Requests(), step.want)
		}
	}
	if w.sim.ProductionTokens().Requests() != 0 {
		t.Error("production was asked for a token")
	}
}

func TestATokenWithoutTheScopeParks(t *testing.T) {
	w := start(t, vendor.Options{})
	conn, s := w.conn, Provider().Settings().(*Settings)
	s.Scope, conn.Settings = "bci", s
	_, err := read(t, fetchtest.Dial(t, Provider(), conn), consent(w.find(t, in("SE", false))))
	if fetch.ClassOf(err) != finance.Fatal || w.sim.Tokens().Requests() != 1 {
		t.Errorf("%d token calls, error %v", w.sim.Tokens().Requests(), err)
	}
}

func TestWithheldIsNoError(t *testing.T) {
	for name, o := range map[string]vendor.Options{
		"404": {Unknown: 1}, "451": {Withheld: 1}, "404 in another envelope": {Unknown: 1, Envelope: "detail"},
		"404 in a third": {Unknown: 1, Envelope: "errors"}, "451 in a fourth": {Withheld: 1, Envelope: "generic"},
	} {
		w := start(t, o)
		r := fetchtest.Dial(t, Provider(), w.conn)
		for _, country := range []string{"SE", "NO"} {
			page, err := read(t, r, consent(w.find(t, in(country, false))))
			if fetch.ClassOf(err) != finance.Withheld || page.Answer != nil || !strings.Contains(err.Error(), "status "+name[:3]) {
				t.Errorf("%s, %s: error %v", name, country, err)
			}
		}
		if calls := r.Store.Calls(); len(calls) != 3 || calls[1].Class != finance.Withheld {
			t.Errorf("%s: calls %+v", name, calls)
		}
	}
}

func TestACompanyIsAskedForOnce(t *testing.T) {
	w := start(t, vendor.Options{Capped: 1, CorrelationInReports: true})
	r := fetchtest.Dial(t, Provider(), w.conn)
	c := w.find(t, in("SE", false))
	if err := r.Connector().Probe(t.Context()); err != nil || w.sim.Asked(c.Index) != 0 {
		t.Fatalf("the check asked for %d reports, error %v", w.sim.Asked(c.Index), err)
	}
	page, err := read(t, r, consent(c))
	if err != nil || page.Partial == "" || page.Whole != nil || page.Records.Len() == 0 {
		t.Fatalf("partial %q, whole %v, error %v", page.Partial, page.Whole, err)
	}
	if w.sim.Asked(c.Index) != 1 || page.Answer.Call.Correlation == "" || page.Answer.Call.Path != "/companies/se" {
		t.Errorf("%d reports, call %+v", w.sim.Asked(c.Index), page.Answer.Call)
	}
}

func TestAnIncompleteAnswerIsPartial(t *testing.T) {
	w := start(t, vendor.Options{Incomplete: 1})
	r := fetchtest.Dial(t, Provider(), w.conn)
	for _, country := range []string{"SE", "NO"} {
		page, err := read(t, r, consent(w.find(t, in(country, false))))
		if err != nil || page.Answer.Status != 207 || page.Whole != nil || !strings.Contains(page.Partial, "207") || page.Records.Len() == 0 {
			t.Errorf("%s: partial %q, whole %v, error %v", country, page.Partial, page.Whole, err)
		}
	}
}

func TestWhatChangesAndWhatVanishes(t *testing.T) {
	w := start(t, vendor.Options{})
	r := fetchtest.Dial(t, Provider(), w.conn)
	debts := func(c vendor.CompanyInfo) map[string]finance.Debt {
		page, err := read(t, r, consent(c))
		if err != nil || page.Whole == nil || page.Whole.Prefix != "" {
			t.Fatalf("whole %v, error %v", page.Whole, err)
		}
		out := map[string]finance.Debt{}
		for _, d := range page.Records.Debts {
			d.Place = 0
			out[d.ID] = d
		}
		return out
	}
	lost := func(before, after map[string]finance.Debt) (gone, came int) {
		for id := range before {
			if _, ok := after[id]; !ok && !strings.HasPrefix(id, "total:") {
				gone++
			}
		}
		for id := range after {
			if _, ok := before[id]; !ok && !strings.HasPrefix(id, "total:") {
				came++
			}
		}
		return gone, came
	}
	se, no := w.find(t, in("SE", false)), w.find(t, in("NO", false))
	first := debts(se)
	w.sim.Petition(se.Index)
	second := debts(se)
	if gone, came := lost(first, second); gone != 0 || came != 1 || first["balance"].Balance.Equal(second["balance"].Balance) {
		t.Errorf("a petition: %d gone, %d came, balance %s and %s", gone, came, first["balance"].Balance, second["balance"].Balance)
	}
	w.sim.RemoveRemark(se.Index)
	if gone, came := lost(second, debts(se)); gone != 1 || came != 0 {
		t.Errorf("a remark settled: %d gone, %d came", gone, came)
	}
	before := debts(no)
	w.sim.Advance(no.Index)
	after := debts(no)
	if gone, came := lost(before, after); gone+came != 0 || cmp.Equal(before, after, cmp.Comparer(finance.Amount.Equal)) {
		t.Errorf("an incident moved on: %d gone, %d came", gone, came)
	}
	w.sim.RemoveRemark(no.Index)
	if gone, came := lost(after, debts(no)); gone != 1 || came != 0 {
		t.Errorf("an incident settled: %d gone, %d came", gone, came)
	}
}

// TestASoleTraderIsAskedForInTheBody shows where a personal identity number goes, and that it goes nowhere else.
func TestASoleTraderIsAskedForInTheBody(t *testing.T) {
	w := start(t, vendor.Options{SoleTraders: 1, Companies: 400, Norwegian: -1})
	c := w.find(t, in("SE", true))
	r := fetchtest.Dial(t, Provider(), w.conn)
	for _, number := range []string{c.RegistrationNumber, "19" + c.RegistrationNumber} {
		consent := consent(c)
		consent.Subject = fetchtest.Subject(number)
		page, err := read(t, r, consent)
		if err != nil || page.Records.Len() == 0 {
			t.Fatalf("%d records, error %v", page.Records.Len(), err)
		}
		// The page's key must not depend on the number: a hash of it would be as good as the number.
		if page.Key != pageKey() {
			t.Error("the page's key is made of more than the path")
		}
	}
	// Errors that repeat the number, as the vendor's validation does, do not show it.
	undo := w.Rule(t, sandbox.Rule{Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 400,
		Body: `{"message":"Validation error","subErrors":[{"field":"registrationNumber","rejectedValue":"` + c.RegistrationNumber + `","message":"` +
			c.RegistrationNumber + ` or 19` + c.RegistrationNumber + ` is not valid"}]}`}})
	defer undo()
	_, err := read(t, r, consent(c))
	if fetch.ClassOf(err) != finance.Rejected || !strings.Contains(err.Error(), "registrationNumber: [number] or [number] is not valid") {
		t.Errorf("error %v", err)
	}
	journal, jerr := json.Marshal(w.Entries(t))
	calls, cerr := json.Marshal(r.Store.Calls())
	if jerr != nil || cerr != nil {
		t.Fatal(jerr, cerr)
	}
	for what, text := range map[string]string{"journal": string(journal), "calls": string(calls), "log": r.Log.String(), "error": fmt.Sprint(err)} {
		if strings.Contains(text, c.RegistrationNumber) {
			t.Errorf("the number stands in the %s", what)
		}
	}
}

func TestAConsentThatNamesNoCompanyCostsNoCall(t *testing.T) {
	w := start(t, vendor.Options{})
	r := fetchtest.Dial(t, Provider(), w.conn)
	_, err := read(t, r, finance.Consent{ID: 1, ExternalID: "SE-" + trader})
	if fetch.ClassOf(err) != finance.Rejected || strings.Contains(err.Error(), trader) || len(r.Store.Calls()) != 0 {
		t.Errorf("%d calls, error %v", len(r.Store.Calls()), err)
	}
	single := consent(w.find(t, in("SE", false)))
	single.SingleUse = true
	for range 2 { // the second time the stored answer is read
		if _, err := read(t, r, single); err != nil {
			t.Fatal(err)
		}
	}
	if asked := w.sim.Asked(int(single.ID) - 1); asked != 1 {
		t.Errorf("a single-use consent was sent %d times", asked)
	}
}

// TestTheRequest shows the whole of what is sent.
func TestTheRequest(t *testing.T) {
	var got []string
	server := fetchtest.NewPipe()
	defer server.Close()
	api := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id, secret, _ := r.BasicAuth()
		got = append(got, strings.Join([]string{r.Method, r.URL.String(), r.Header.Get("Content-Type"), r.Header.Get("Accept"), id + secret, string(body)}, "|"))
		if strings.HasPrefix(r.URL.Path, "/as/") {
			_, _ = w.Write([]byte(`{"access_token":"t","token_type":"bearer","expires_in":3600}`))
			return
		}
		_, _ = w.Write([]byte(report(swedish)))
	})}
	defer api.Close()
	go func() { _ = api.Serve(server) }()
	s := &Settings{Scope: "credit_data_companies", TokenEndpoint: "environment", Language: "SV", Reference: "R&D",
		OnBehalfOf: "Sim", TimeZone: "Europe/Stockholm"}
	conn := fetch.Connection{Name: "db", Environment: "production", BaseURL: "http://127.0.0.1:1", AuthURL: "http://127.0.0.1:2", Settings: s,
		Credentials: fetchtest.Credentials("i%2", "s+ e")}
	client := fetchtest.Dial(t, Provider(), conn, func(o *fetch.Options) { o.Dial = server.Dial })
	if _, err := read(t, client, finance.Consent{ID: 1, ExternalID: "SE-5560391954"}); err != nil {
		t.Fatal(err)
	}
	if err := client.Connector().Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"POST|/as/token.oauth2|application/x-www-form-urlencoded|application/json|i%2s+ e|grant_type=client_credentials&scope=credit_data_companies",
		`POST|/credit-data-companies/v2/companies/se|application/json|application/json||` +
			`{"registrationNumber":"5560391954","language":"SV","segments":["RISK"],"reference":"R\u0026D","onBehalfOf":"Sim"}`,
		`POST|/credit-data-companies/v2/companies|application/json|application/json||{"country":"SE","name":"syncer","limit":0}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
