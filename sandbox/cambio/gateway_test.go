package cambio_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"syncer/sandbox"
	"syncer/sandbox/cambio"
)

var begin = time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)

// region is a simulator on a loopback port, reached as a client would.
type region struct {
	*cambio.Simulator
	kit  *sandbox.Kit
	base string
}

func open(t *testing.T, o cambio.Options) *region {
	t.Helper()
	kit := sandbox.NewKit(sandbox.KitOptions{Seed: 11})
	kit.Clock.Set(begin)
	o.Kit, o.Start = kit, begin
	sim := cambio.New(o)
	server, err := sandbox.Start(kit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	base, err := server.Mount(cambio.Name, sim.Handler())
	if err != nil {
		t.Fatal(err)
	}
	return &region{sim, kit, base}
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), into); err != nil {
		t.Fatalf("%v in %q", err, r.body)
	}
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func send(t *testing.T, req *http.Request) reply {
	t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if id := res.Header.Get("X-COS-CORRELATION-ID"); !uuid.MatchString(id) {
		t.Errorf("%s %s: correlation id %q", req.Method, req.URL, id)
	}
	return reply{res.StatusCode, res.Header, string(b)}
}

func (g *region) request(t *testing.T, method, path, body string) *http.Request {
	t.Helper()
	address := g.base + path
	if strings.HasPrefix(path, "http") {
		address = path
	}
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" && body[0] != '{' {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req
}

// do calls with key and token; patient, where it is not empty, is the header.
func (g *region) do(t *testing.T, token, method, path, patient, body string) reply {
	t.Helper()
	req := g.request(t, method, path, body)
	req.Header.Set("Ocp-Apim-Subscription-Key", cambio.DefaultSubscription().Key)
	req.Header.Set("Authorization", "Bearer "+token)
	if patient != "" {
		req.Header.Set("patient", patient)
	}
	return send(t, req)
}

func (g *region) ask(t *testing.T, form url.Values, id, secret string) reply {
	t.Helper()
	req := g.request(t, "POST", "/auth/realms/COS/protocol/openid-connect/token", form.Encode())
	if id != "" {
		req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	}
	return send(t, req)
}

func (g *region) token(t *testing.T, scope string) string {
	t.Helper()
	c := cambio.DefaultClient()
	var answer struct {
		Token string `json:"access_token"`
	}
	g.ask(t, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}, c.ID, c.Secret).decode(t, &answer)
	return answer.Token
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
		if r.status != x.status || !strings.Contains(r.body, x.words) {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if r := open(t, cambio.Options{OldRefusal: true}).ask(t, form(), c.ID, "x"); !strings.Contains(r.body, `"invalid_client"`) {
		t.Errorf("an old Keycloak: %s", r.body)
	}
	// Keycloak decodes Basic, so a raw secret with + in it is another one.
	g := open(t, cambio.Options{})
	raw := g.request(t, "POST", "/auth/realms/COS/protocol/openid-connect/token", form().Encode())
	raw.SetBasicAuth(c.ID, c.Secret)
	if r := send(t, raw); r.status != 401 {
		t.Errorf("a raw secret: %d %s", r.status, r.body)
	}
}

func TestDiscovery(t *testing.T) {
	g := open(t, cambio.Options{})
	var d map[string]any
	send(t, g.request(t, "GET", "/auth/realms/COS/.well-known/openid-configuration", "")).decode(t, &d)
	if d["issuer"] != g.base+"/auth/realms/COS" || d["token_endpoint"] != g.base+"/auth/realms/COS/protocol/openid-connect/token" {
		t.Errorf("%v", d)
	}
	if r := send(t, g.request(t, "GET", "/.well-known/openid-configuration", "")); r.status != 404 || !strings.Contains(r.body, `"Resource not found"`) {
		t.Errorf("at the root: %d %s", r.status, r.body)
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
		req := g.request(t, "GET", x.path, "")
		req.Header.Set("patient", x.patient)
		if x.key != "" {
			req.Header.Set("Ocp-Apim-Subscription-Key", x.key)
		}
		if x.token != "" {
			req.Header.Set("Authorization", "Bearer "+x.token)
		}
		r := send(t, req)
		if r.status != x.status || !strings.Contains(r.body, x.words) {
			t.Errorf("%s: %d %s", x.name, r.status, r.body)
		}
		if missing := strings.Contains(x.words, "missing"); missing != strings.HasPrefix(r.header.Get("WWW-Authenticate"), "AzureApiManagementKey") {
			t.Errorf("%s: WWW-Authenticate %q", x.name, r.header.Get("WWW-Authenticate"))
		}
	}
	g.kit.Clock.Advance(301 * time.Second)
	if r := g.do(t, token, "GET", "/api/open/contacts", number, ""); r.status != 401 {
		t.Errorf("after 301 s: %d %s", r.status, r.body)
	}
}

// While a pause runs, every call is refused, and the seconds stand in header and message alike.
func TestQuota(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		g := open(t, cambio.Options{Quota: sandbox.Quota{Calls: 2, Period: 30 * time.Second, Fixed: true}, OnlySentence: quiet})
		token := g.token(t, all)
		get := func() reply { return g.do(t, token, "GET", "/fhir/metadata", "", "") }
		get()
		get()
		for _, left := range []int{30, 20, 10} {
			r := get()
			if r.status != 429 || !strings.Contains(r.body, fmt.Sprintf("Rate limit is exceeded. Try again in %d seconds.", left)) || strings.Contains(r.body, "{seconds}") {
				t.Errorf("%d s before the end: %d %s", left, r.status, r.body)
			}
			if want := fmt.Sprint(left); quiet == (r.header.Get("Retry-After") == want) {
				t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
			}
			g.kit.Clock.Advance(10 * time.Second)
		}
		if r := get(); r.status != 200 {
			t.Errorf("after the pause: %d %s", r.status, r.body)
		}
		if w := g.kit.Journal.IdleTime(); len(w) != 3 || w[0].Bucket != "care-provider" {
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
		id, err := g.kit.Faults.Add(sandbox.Rule{Provider: cambio.Name, Only: "api", Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: x.status}})
		if err != nil {
			t.Fatal(err)
		}
		if r := g.do(t, token, "GET", x.path, number, ""); r.status != x.status || !strings.Contains(r.body, x.words) {
			t.Errorf("%d on %s: %d %s", x.status, x.path, r.status, r.body)
		}
		g.kit.Faults.Remove(id)
	}
}
