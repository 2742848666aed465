package dbnordics_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"syncer/sandbox"
	"syncer/sandbox/dbnordics"
	"syncer/sandbox/sandboxtest"
)

var begin = time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC) // week 45

// vendor is a simulator, reached as a client would.
type vendor struct {
	*dbnordics.Simulator
	*sandboxtest.Host
}

func open(t *testing.T, o dbnordics.Options) *vendor {
	t.Helper()
	o.Kit, o.Start = sandboxtest.NewKit(begin), begin
	sim := dbnordics.New(o)
	return &vendor{sim, sandboxtest.Serve(t, o.Kit, dbnordics.Name, sim.Handler())}
}

func (v *vendor) do(t *testing.T, method, path, token, body string) sandboxtest.Reply {
	t.Helper()
	if token != "" {
		token = "Bearer " + token
	}
	return v.Do(t, method, path, body, "Authorization", token)
}

func form(scope string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
}

func (v *vendor) token(t *testing.T, path, scope string) string {
	t.Helper()
	c := dbnordics.DefaultClient()
	if path == dbnordics.ProductionToken {
		c = dbnordics.ProductionClient()
	}
	return v.Ask(t, path, c.ID, c.Secret, form(scope)).Token(t)
}

// credit asks for the credit data of a company.
func (v *vendor) credit(t *testing.T, c dbnordics.CompanyInfo, more string) sandboxtest.Reply {
	t.Helper()
	return v.do(t, "POST", dbnordics.CreditData+"/companies/"+strings.ToLower(c.Country), v.token(t, dbnordics.SandboxToken, "credit_data_companies"),
		`{"registrationNumber":"`+c.RegistrationNumber+`"`+more+`}`)
}

func (v *vendor) find(t *testing.T, wanted func(dbnordics.CompanyInfo) bool) dbnordics.CompanyInfo {
	t.Helper()
	for _, c := range v.Companies() {
		if wanted(c) {
			return c
		}
	}
	t.Fatal("the world has no such company")
	return dbnordics.CompanyInfo{}
}

func in(country string, sole bool) func(dbnordics.CompanyInfo) bool {
	return func(c dbnordics.CompanyInfo) bool { return c.Country == country && c.SoleTrader == sole }
}

func TestTokenEndpoints(t *testing.T) {
	sandboxed, production := dbnordics.DefaultClient(), dbnordics.ProductionClient()
	narrow := sandbox.Client{ID: "narrow", Secret: "s", Scopes: []string{"bci"}}
	v := open(t, dbnordics.Options{SandboxClients: []sandbox.Client{sandboxed, narrow}})
	inBody := form("credit_data_companies")
	inBody.Set("client_id", sandboxed.ID)
	inBody.Set("client_secret", sandboxed.Secret)
	escaped := url.QueryEscape(sandboxed.Secret)
	for name, c := range map[string]struct {
		path, id, secret string
		form             url.Values
		status           int
		error            string
	}{
		"sandbox":                {dbnordics.SandboxToken, sandboxed.ID, sandboxed.Secret, form("credit_data_companies"), 200, ""},
		"production":             {dbnordics.ProductionToken, production.ID, production.Secret, form("rgs-decision"), 200, ""},
		"two scopes":             {dbnordics.SandboxToken, sandboxed.ID, sandboxed.Secret, form("credit_data_companies bci"), 200, ""},
		"the other environment":  {dbnordics.ProductionToken, sandboxed.ID, sandboxed.Secret, form("bci"), 401, "invalid_client"},
		"and the other way":      {dbnordics.SandboxToken, production.ID, production.Secret, form("bci"), 401, "invalid_client"},
		"credentials in body":    {dbnordics.SandboxToken, "", "", inBody, 401, "invalid_client"},
		"escaped before Basic":   {dbnordics.SandboxToken, sandboxed.ID, escaped, form("bci"), 401, "invalid_client"},
		"unknown scope":          {dbnordics.SandboxToken, sandboxed.ID, sandboxed.Secret, form("everything"), 400, "invalid_scope"},
		"a scope not allowed":    {dbnordics.SandboxToken, narrow.ID, narrow.Secret, form("credit_data_companies"), 400, "invalid_scope"},
		"a password grant":       {dbnordics.SandboxToken, sandboxed.ID, sandboxed.Secret, url.Values{"grant_type": {"password"}}, 400, "unsupported_grant_type"},
		"a scope that is longer": {dbnordics.SandboxToken, sandboxed.ID, sandboxed.Secret, form("bcix"), 400, "invalid_scope"},
	} {
		got := v.Ask(t, c.path, c.id, c.secret, c.form)
		var answer struct {
			Error, Scope string
			Token        string `json:"access_token"`
			Type         string `json:"token_type"`
			Expires      int    `json:"expires_in"`
		}
		got.Decode(t, &answer)
		if got.Status != c.status || answer.Error != c.error {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
		if c.status == 200 && (answer.Type != "Bearer" || answer.Expires != 3600 || answer.Scope != c.form.Get("scope") || answer.Token == "") {
			t.Errorf("%s: %s", name, got.Body)
		}
	}
	old := open(t, dbnordics.Options{TokenTTL: 7199 * time.Second, LowerTokenType: true, NoTokenScope: true})
	got := old.Ask(t, dbnordics.SandboxToken, sandboxed.ID, sandboxed.Secret, form("credit_data_companies"))
	if !strings.Contains(got.Body, `"expires_in":7199`) || !strings.Contains(got.Body, `"token_type":"bearer"`) || strings.Contains(got.Body, "scope") {
		t.Errorf("an old answer: %s", got.Body)
	}
	if got := old.credit(t, old.find(t, in("SE", false)), ""); got.Status != 200 {
		t.Errorf("a token whose answer names no scope: %d %s", got.Status, got.Body)
	}
}

func TestWhichTokensTheAPITakes(t *testing.T) {
	v := open(t, dbnordics.Options{})
	path, body := dbnordics.CreditData+"/companies", `{"country":"SE","name":"sim"}`
	stale := v.token(t, dbnordics.SandboxToken, "credit_data_companies")
	v.Kit.Clock.Advance(time.Hour)
	for name, c := range map[string]struct {
		token  string
		status int
		error  string
	}{
		"good":           {v.token(t, dbnordics.SandboxToken, "bci credit_data_companies"), 200, ""},
		"none":           {"", 401, "invalid_token"},
		"made up":        {"abc", 401, "invalid_token"},
		"stale":          {stale, 401, "invalid_token"},
		"of production":  {v.token(t, dbnordics.ProductionToken, "credit_data_companies"), 401, "invalid_token"},
		"another scope":  {v.token(t, dbnordics.SandboxToken, "bci"), 403, "insufficient_scope"},
		"without scopes": {v.token(t, dbnordics.SandboxToken, ""), 403, "insufficient_scope"},
	} {
		if got := v.do(t, "POST", path, c.token, body); got.Status != c.status || !strings.Contains(got.Body, c.error) {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	p := open(t, dbnordics.Options{Production: true})
	if got := p.do(t, "POST", path, p.token(t, dbnordics.ProductionToken, "credit_data_companies"), body); got.Status != 200 {
		t.Errorf("production: %d %s", got.Status, got.Body)
	}
	if got := p.do(t, "POST", path, p.token(t, dbnordics.SandboxToken, "credit_data_companies"), body); got.Status != 401 {
		t.Errorf("a sandbox token in production: %d %s", got.Status, got.Body)
	}
}

func TestTheWorld(t *testing.T) {
	v := open(t, dbnordics.Options{Companies: 2000, SoleTraders: 0.3, Unknown: 0.1, Withheld: 0.1})
	again := open(t, dbnordics.Options{Companies: 2000, SoleTraders: 0.3, Unknown: 0.1, Withheld: 0.1})
	seen, kinds := map[string]bool{}, map[string]int{}
	for i, c := range v.Companies() {
		if again.Company(i) != c {
			t.Fatalf("company %d is another in a world of the same seed", i)
		}
		if seen[c.RegistrationNumber] || seen[c.Subject] {
			t.Fatalf("company %d has the number or the name of another: %+v", i, c)
		}
		seen[c.RegistrationNumber], seen[c.Subject] = true, true
		kinds[c.Country]++
		kinds[c.Fate]++
		if c.SoleTrader {
			kinds["sole"]++
			if strings.Contains(c.Subject, c.RegistrationNumber) || c.RegistrationNumber[2] > '1' {
				t.Errorf("a sole trader: %+v", c)
			}
		} else if c.Country == "SE" && c.RegistrationNumber[2] < '2' {
			t.Errorf("a company with a person's number: %+v", c)
		}
		want := map[string]int{"": 200, dbnordics.Unknown: 404, dbnordics.Withheld: 451}[c.Fate]
		if i < 40 {
			if got := v.credit(t, c, ""); got.Status != want {
				t.Errorf("%+v: %d %s", c, got.Status, got.Body)
			}
		}
	}
	for _, kind := range []string{"SE", "NO", "sole", dbnordics.Unknown, dbnordics.Withheld} {
		if kinds[kind] < 100 {
			t.Errorf("%d of kind %s", kinds[kind], kind)
		}
	}
}
