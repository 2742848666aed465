package cambio_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"syncer/sandbox"
	"syncer/sandbox/cambio"
	"syncer/sandbox/sandboxtest"
)

var begin = time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)

// region is a simulator, reached as a client would.
type region struct {
	*cambio.Simulator
	*sandboxtest.Host
}

func open(t *testing.T, o cambio.Options) *region {
	t.Helper()
	o.Kit, o.Start = sandboxtest.NewKit(begin), begin
	sim := cambio.New(o)
	return &region{sim, sandboxtest.Serve(t, o.Kit, cambio.Name, sim.Handler())}
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// call is any call; every answer names itself.
func (g *region) call(t *testing.T, method, path, body string, headers ...string) sandboxtest.Reply {
	t.Helper()
	if body != "" && body[0] != '{' {
		headers = append(headers, "Content-Type", "application/x-www-form-urlencoded")
	}
	r := g.Do(t, method, path, body, headers...)
	if id := r.Header.Get("X-COS-CORRELATION-ID"); !uuid.MatchString(id) {
		t.Errorf("%s %s: correlation id %q", method, path, id)
	}
	return r
}

const subscriptionKey = "Ocp-Apim-Subscription-Key"

// do calls with key and token; patient, where it is not empty, is the header.
func (g *region) do(t *testing.T, token, method, path, patient, body string) sandboxtest.Reply {
	t.Helper()
	return g.call(t, method, path, body, subscriptionKey, cambio.DefaultSubscription().Key, "Authorization", "Bearer "+token, "patient", patient)
}

const realm = "/auth/realms/COS"

func (g *region) ask(t *testing.T, form url.Values, id, secret string) sandboxtest.Reply {
	t.Helper()
	basic := sandboxtest.Basic(url.QueryEscape(id), url.QueryEscape(secret))
	return g.call(t, "POST", realm+"/protocol/openid-connect/token", form.Encode(), "Authorization", basic)
}

func (g *region) token(t *testing.T, scope string) string {
	t.Helper()
	c := cambio.DefaultClient()
	return g.ask(t, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}, c.ID, c.Secret).Token(t)
}

const all = "user/*.read user/*.write"

func TestTokenEndpoint(t *testing.T) {
	c := cambio.DefaultClient()
	form := func(pairs ...string) url.Values {
		f := url.Values{"grant_type": {"client_credentials"}, "scope": {"user/Patient.read"}}
		for i := 0; i < len(pairs); i += 2 {
			f.Set(pairs[i], pairs[i+1])
		}
		return f
	}
	for name, x := range map[string]struct {
		form       url.Values
		id, secret string
		status     int
		words      string
	}{
		"good":          {form(), c.ID, c.Secret, 200, `"refresh_expires_in":0`},
		"SMART v2":      {form("scope", "user/Patient.rs system/*.cruds"), c.ID, c.Secret, 200, `"scope":"user/Patient.rs system/*.cruds"`},
		"dashes":        {form("scope", "user/*-read"), c.ID, c.Secret, 200, `"expires_in":300`},
		"wrong order":   {form("scope", "user/Patient.rc"), c.ID, c.Secret, 400, `Invalid scopes: user/Patient.rc`},
		"unknown scope": {form("scope", "everything"), c.ID, c.Secret, 400, `invalid_scope`},
		"wrong secret":  {form(), c.ID, "x", 401, `unauthorized_client`},
		"in the body":   {form("client_id", c.ID, "client_secret", c.Secret), "", "", 401, `Invalid client or Invalid client credentials`},
		"password":      {form("grant_type", "password"), c.ID, c.Secret, 400, `unsupported_grant_type`},
		"a dead code":   {form("grant_type", "authorization_code", "code", "x"), c.ID, c.Secret, 400, `invalid_grant`},
		"a dead token":  {form("grant_type", "refresh_token", "refresh_token", "x"), c.ID, c.Secret, 400, `Token is not active`},
	} {
		r := open(t, cambio.Options{}).ask(t, x.form, x.id, x.secret)
		if r.Status != x.status || !strings.Contains(r.Body, x.words) {
			t.Errorf("%s: %d %s", name, r.Status, r.Body)
		}
	}
	if r := open(t, cambio.Options{OldRefusal: true}).ask(t, form(), c.ID, "x"); !strings.Contains(r.Body, `"invalid_client"`) {
		t.Errorf("an old Keycloak: %s", r.Body)
	}
	// Keycloak decodes Basic, so a raw secret with + in it is another one.
	g := open(t, cambio.Options{})
	if r := g.Ask(t, realm+"/protocol/openid-connect/token", c.ID, c.Secret, form()); r.Status != 401 {
		t.Errorf("a raw secret: %d %s", r.Status, r.Body)
	}
}

func TestDiscovery(t *testing.T) {
	g := open(t, cambio.Options{})
	var d map[string]any
	g.call(t, "GET", realm+"/.well-known/openid-configuration", "").Decode(t, &d)
	if d["issuer"] != g.Base+realm || d["token_endpoint"] != g.Base+realm+"/protocol/openid-connect/token" {
		t.Errorf("%v", d)
	}
	if r := g.call(t, "GET", "/.well-known/openid-configuration", ""); r.Status != 404 || !strings.Contains(r.Body, `"Resource not found"`) {
		t.Errorf("at the root: %d %s", r.Status, r.Body)
	}
}

// The gateway looks at the route, then the key, then the token, then the scope.
func TestTheOrderOfTheGateway(t *testing.T) {
	g := open(t, cambio.Options{})
	key, number := cambio.DefaultSubscription().Key, g.Patient(0).Personnummer
	token, narrow := g.token(t, all), g.token(t, "user/Encounter.read")
	for _, x := range []struct {
		name, path, key, token, patient string
		status                          int
		words                           string
	}{
		{"no route", "/api/open/nothing", "", "", "", 404, `{"message":"Resource not found","statusCode":404}`},
		{"no key, no token", "/api/open/contacts", "", "", "", 401, "due to missing subscription key"},
		{"no key", "/fhir/Invoice", "", token, "", 401, "due to missing subscription key"},
		{"wrong key", "/fhir/Invoice", "x", token, "", 401, "due to invalid subscription key"},
		{"no token", "/api/open/contacts", key, "", number, 401, `{"message":"Invalid access token.","statusCode":401}`},
		{"no token, FHIR", "/fhir/Invoice?subject=x", key, "x", "", 401, `"diagnostics":"TokenError"`},
		{"no scope", "/api/open/contacts", key, narrow, number, 403, `"Insufficient scope."`},
		{"no scope, FHIR", "/fhir/Invoice?subject=x", key, narrow, "", 403, `OperationOutcome`},
		{"no patient", "/api/open/contacts", key, token, "", 400, `"error":"Missing required header: patient","path":"/api/open/contacts","status":400,"timestamp":1793`},
		{"nobody's number", "/api/open/contacts", key, token, "194609073277", 404, `"status":404`},
		{"a bad date", "/api/open/contacts?fromDateTime=today", key, token, number, 400, `Invalid date`},
		{"good", "/api/open/contacts", key, token, number, 200, `[{"contactEHRExtract":[`},
		{"with a slash", "/api/open/contacts/", key, token, number, 200, `contactPatientFee`},
		{"the key in the query", "/api/open/patient?subscription-key=" + key, "", token, number, 200, `"PatientAddressCity"`},
	} {
		bearer := ""
		if x.token != "" {
			bearer = "Bearer " + x.token
		}
		r := g.call(t, "GET", x.path, "", subscriptionKey, x.key, "Authorization", bearer, "patient", x.patient)
		if r.Status != x.status || !strings.Contains(r.Body, x.words) {
			t.Errorf("%s: %d %s", x.name, r.Status, r.Body)
		}
		if missing := strings.Contains(x.words, "missing"); missing != strings.HasPrefix(r.Header.Get("WWW-Authenticate"), "AzureApiManagementKey") {
			t.Errorf("%s: WWW-Authenticate %q", x.name, r.Header.Get("WWW-Authenticate"))
		}
	}
	g.Kit.Clock.Advance(301 * time.Second)
	if r := g.do(t, token, "GET", "/api/open/contacts", number, ""); r.Status != 401 {
		t.Errorf("after 301 s: %d %s", r.Status, r.Body)
	}
}

// While a pause runs, every call is refused, and the seconds stand in header and message alike.
func TestQuota(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		g := open(t, cambio.Options{Quota: sandbox.Quota{Calls: 2, Period: 30 * time.Second, Fixed: true}, OnlySentence: quiet})
		token := g.token(t, all)
		get := func() sandboxtest.Reply { return g.do(t, token, "GET", "/fhir/metadata", "", "") }
		get()
		get()
		for _, left := range []int{30, 20, 10} {
			r := get()
			if r.Status != 429 || !strings.Contains(r.Body, fmt.Sprintf("Rate limit is exceeded. Try again in %d seconds.", left)) || strings.Contains(r.Body, "{seconds}") {
				t.Errorf("%d s before the end: %d %s", left, r.Status, r.Body)
			}
			if want := fmt.Sprint(left); quiet == (r.Header.Get("Retry-After") == want) {
				t.Errorf("Retry-After %q", r.Header.Get("Retry-After"))
			}
			g.Kit.Clock.Advance(10 * time.Second)
		}
		if r := get(); r.Status != 200 {
			t.Errorf("after the pause: %d %s", r.Status, r.Body)
		}
		if w := g.Kit.Journal.IdleTime(); len(w) != 3 || w[0].Bucket != "care-provider" {
			t.Errorf("%+v", w)
		}
	}
}

// A fault's 429 names no seconds of its own.
func TestFaultsHaveTheLayersShape(t *testing.T) {
	g := open(t, cambio.Options{})
	token, number := g.token(t, all), g.Patient(0).Personnummer
	for _, x := range []struct {
		status      int
		path, words string
	}{
		{429, "/api/open/contacts", `{"message":"Rate limit is exceeded. Try again in 5 seconds.","statusCode":429}`},
		{500, "/api/open/contacts", `"error":"Internal Server Error","path":"/api/open/contacts"`},
		{500, "/fhir/Invoice", `OperationOutcome`},
		{401, "/fhir/Invoice", `"Invalid access token."`},
	} {
		undo := g.Rule(t, sandbox.Rule{Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: x.status}})
		if r := g.do(t, token, "GET", x.path, number, ""); r.Status != x.status || !strings.Contains(r.Body, x.words) {
			t.Errorf("%d on %s: %d %s", x.status, x.path, r.Status, r.Body)
		}
		undo()
	}
}
