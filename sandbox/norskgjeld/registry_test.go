package norskgjeld_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
	"syncer/sandbox/sandboxtest"
)

var start = time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)

// registry is a simulator, reached as a client would.
type registry struct {
	*norskgjeld.Simulator
	*sandboxtest.Host
}

func open(t *testing.T, o norskgjeld.Options) *registry {
	t.Helper()
	o.Kit, o.Start = sandboxtest.NewKit(start), start
	sim := norskgjeld.New(o)
	return &registry{sim, sandboxtest.Serve(t, o.Kit, norskgjeld.Name, sim.Handler())}
}

func (g *registry) do(t *testing.T, method, path, token, body string) sandboxtest.Reply {
	t.Helper()
	if token != "" {
		token = "Bearer " + token
	}
	return g.Do(t, method, path, body, "X-Trace-ID", "trace-1", "Authorization", token)
}

func (g *registry) ask(t *testing.T, id, secret string, form url.Values) sandboxtest.Reply {
	t.Helper()
	return g.Ask(t, "/oauth2/token", id, secret, form)
}

const preprod = "https://api-preprod.norskgjeld.no"

var services = map[string]struct{ path, scope string }{
	"debt":      {"/v1/debt", "debt.unsecured.presentation debt.unsecured.processing"},
	"agreement": {"/v1/consent/agreement", "consent.create"},
	"feed":      {"/feed/v1/consent", "client.access.consent.events"},
}

func form(audience, scope string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "audience": {audience}, "scope": {scope}}
}

func (g *registry) token(t *testing.T, service string) string {
	t.Helper()
	c := norskgjeld.DefaultClient()
	return g.ask(t, c.ID, c.Secret, form(preprod+services[service].path, services[service].scope)).Token(t)
}

func TestTokenEndpoint(t *testing.T) {
	c := norskgjeld.DefaultClient()
	good := form(preprod+"/v1/debt", norskgjeld.Presentation)
	change := func(name, value string) url.Values {
		v := form(preprod+"/v1/debt", norskgjeld.Presentation)
		v.Set(name, value)
		return v
	}
	post := change("client_id", c.ID)
	post.Set("client_secret", c.Secret)
	cases := map[string]struct {
		id, secret string
		form       url.Values
		status     int
		error      string
	}{
		"good":              {c.ID, c.Secret, good, 200, ""},
		"own origin":        {c.ID, c.Secret, change("audience", "http://127.0.0.1:1234/feed/v1/consent"), 200, ""},
		"wrong secret":      {c.ID, "no", good, 401, "invalid_client"},
		"unknown client":    {"nobody", c.Secret, good, 401, "invalid_client"},
		"credentials post":  {"", "", post, 401, "invalid_client"},
		"no audience":       {c.ID, c.Secret, change("audience", ""), 400, "invalid_request"},
		"other service":     {c.ID, c.Secret, change("audience", preprod+"/v2/debt"), 400, "invalid_request"},
		"other environment": {c.ID, c.Secret, change("audience", "https://api.norskgjeld.no/v1/debt"), 400, "invalid_request"},
		"unknown scope":     {c.ID, c.Secret, change("scope", "all"), 400, "invalid_scope"},
		"other grant":       {c.ID, c.Secret, change("grant_type", "password"), 400, "unsupported_grant_type"},
	}
	g := open(t, norskgjeld.Options{})
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := g.ask(t, c.id, c.secret, c.form)
			var answer struct {
				Error   string          `json:"error"`
				Token   string          `json:"access_token"`
				Type    string          `json:"token_type"`
				Expires json.RawMessage `json:"expires_in"`
				Scope   string          `json:"scope"`
			}
			r.Decode(t, &answer)
			if r.Status != c.status || answer.Error != c.error {
				t.Fatalf("%d %s", r.Status, r.Body)
			}
			if c.status == 200 && (strings.Count(answer.Token, ".") != 1 || answer.Type != "bearer" ||
				string(answer.Expires) != "3599" || answer.Scope != c.form.Get("scope")) {
				t.Errorf("answer %s", r.Body)
			}
		})
	}
}

type debt struct {
	SSN   string `json:"ssn"`
	Loans []struct {
		CreditorName string           `json:"creditorName"`
		Loan         *json.RawMessage `json:"loan"`
	} `json:"loans"`
	Answered int `json:"numberOfCreditorsAnswered"`
	Missing  int `json:"numberOfcreditorsMissing"`
	Consent  struct {
		ID    string `json:"id"`
		Exp   int64  `json:"exp"`
		Scope string `json:"scope"`
	} `json:"consent"`
}

func TestDebtOfManyConsents(t *testing.T) {
	g := open(t, norskgjeld.Options{Consents: 200, DebtFree: 0.2, Missing: 0.3})
	token := g.token(t, "debt")
	types, free, missing := map[string]int{}, 0, 0
	for _, c := range g.Consents() {
		r := g.do(t, "GET", "/v1/debt/"+c.ID, token, "")
		var d debt
		r.Decode(t, &d)
		if r.Status != 200 || d.SSN != c.NationalID || d.Consent.ID != c.ID || d.Consent.Exp != c.ValidUntil.Unix() || d.Consent.Scope != c.Scope {
			t.Fatalf("%d %s", r.Status, r.Body)
		}
		if !strings.Contains(r.Body, `"numberOfcreditorsMissing":`) || strings.Contains(r.Body, `"loans":null`) {
			t.Fatalf("odd spelling or empty list lost: %s", r.Body)
		}
		nulls := 0
		for _, l := range d.Loans {
			if l.Loan == nil {
				nulls++
				continue
			}
			var loan map[string]any
			if err := json.Unmarshal(*l.Loan, &loan); err != nil {
				t.Fatal(err)
			}
			kind := loan["type"].(string)
			types[kind]++
			if want := fields[kind]; len(loan) != want || !strings.HasPrefix(loan["timestamp"].(string), "2026-11-03T0") {
				t.Errorf("%s has %d fields, want %d: %v", kind, len(loan), want, loan)
			}
		}
		if nulls != d.Missing || len(d.Loans) != d.Missing+d.Answered {
			t.Errorf("counters %d+%d for %d loans with %d null", d.Answered, d.Missing, len(d.Loans), nulls)
		}
		missing += d.Missing
		if len(d.Loans) == 0 {
			free++
		}
	}
	if len(types) != 3 || free < 20 || free > 60 || missing < 25 || missing > 75 {
		t.Errorf("types %v, %d without debt, %d with a silent creditor", types, free, missing)
	}
}

var fields = map[string]int{"creditFacility": 9, "repaymentLoan": 9, "chargeCard": 5}

// The same consent has the same bytes in every process of one seed.
func TestAnswersFollowTheSeed(t *testing.T) {
	answers := func(seed uint64) string {
		g := open(t, norskgjeld.Options{Seed: seed, Consents: 1_000_000})
		token := g.token(t, "debt")
		var all strings.Builder
		for _, i := range []int{999_999, 0, 500_000, 0} {
			all.WriteString(g.do(t, "GET", "/v1/debt/"+g.Consent(i).ID, token, "").Body)
		}
		return all.String()
	}
	one := answers(1)
	if one != answers(1) {
		t.Error("the same seed made other bytes")
	}
	if one == answers(2) {
		t.Error("another seed made the same bytes")
	}
}

func TestDebtIsRefused(t *testing.T) {
	g := open(t, norskgjeld.Options{Consents: 50, Expired: 0.5})
	token, feed := g.token(t, "debt"), g.token(t, "feed")
	var live, dead, processing string
	for _, c := range g.Consents() {
		switch {
		case c.ValidUntil.Before(start):
			dead = c.ID
		case c.Scope == norskgjeld.Processing:
			processing = c.ID
		default:
			live = c.ID
		}
	}
	c := norskgjeld.DefaultClient()
	narrow := g.ask(t, c.ID, c.Secret, form(preprod+"/v1/debt", norskgjeld.Presentation)).Token(t)
	g.Tokens().Register(sandbox.Client{ID: "other", Secret: "s"})
	foreign := g.ask(t, "other", "s", form(preprod+"/v1/debt", services["debt"].scope)).Token(t)
	cases := map[string]struct {
		method, path, token string
		status              int
		error               string
	}{
		"good":              {"GET", "/v1/debt/" + live, token, 200, ""},
		"no token":          {"GET", "/v1/debt/" + live, "", 403, "invalid access token"},
		"made up token":     {"GET", "/v1/debt/" + live, "x.y", 403, "invalid access token"},
		"other audience":    {"GET", "/v1/debt/" + live, feed, 403, "invalid access token"},
		"expired":           {"GET", "/v1/debt/" + dead, token, 403, "invalid consent"},
		"unknown":           {"GET", "/v1/debt/00000000-0000-4000-8000-000000000000", token, 403, "no valid consent"},
		"somebody else's":   {"GET", "/v1/debt/" + live, foreign, 403, "no valid consent"},
		"scope not covered": {"GET", "/v1/debt/" + processing, narrow, 403, "no valid consent"},
		"no id":             {"GET", "/v1/debt", token, 403, "no valid consent"},
		"not a uuid":        {"GET", "/v1/debt/17", token, 400, "bad request"},
		"post":              {"POST", "/v1/debt/" + live, token, 405, "Method Not Allowed"},
		"nowhere":           {"GET", "/v3", token, 404, "Not Found"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := g.do(t, c.method, c.path, c.token, "")
			var e struct {
				Error       string `json:"error"`
				Description string `json:"error_description"`
				TraceID     string `json:"trace_id"`
			}
			r.Decode(t, &e)
			if r.Status != c.status || e.Error != c.error {
				t.Fatalf("%d %s", r.Status, r.Body)
			}
			if c.status == 403 && e.TraceID != "trace-1" {
				t.Errorf("trace id %q", e.TraceID)
			}
			if c.error == "invalid consent" && !strings.HasPrefix(e.Description, "Consent expired at 2026-") {
				t.Errorf("description %q", e.Description)
			}
		})
	}
	g.Kit.ExpireTokens(norskgjeld.Name)
	if r := g.do(t, "GET", "/v1/debt/"+live, token, ""); r.Status != 403 || !strings.Contains(r.Body, "token expired") {
		t.Errorf("after the token's end: %d %s", r.Status, r.Body)
	}
}

func TestSingleUseConsentIsSpentOnce(t *testing.T) {
	g := open(t, norskgjeld.Options{SingleUse: 1})
	token, id := g.token(t, "debt"), g.Consent(3).ID
	codes := make(chan int)
	for range 8 {
		go func() { codes <- g.do(t, "GET", "/v1/debt/"+id, token, "").Status }()
	}
	count := map[int]int{}
	for range 8 {
		count[<-codes]++
	}
	if count[200] != 1 || count[403] != 7 || g.Active(id) {
		t.Errorf("answers %v, active %v", count, g.Active(id))
	}
	other := g.Consent(4).ID
	g.Kit.Clock.Advance(25 * time.Hour)
	if r := g.do(t, "GET", "/v1/debt/"+other, g.token(t, "debt"), ""); r.Status != 403 || !strings.Contains(r.Body, "expired") {
		t.Errorf("after its window: %d %s", r.Status, r.Body)
	}
}

// An answer that is lost on the way has spent the consent all the same.
func TestLostAnswerSpendsTheConsent(t *testing.T) {
	g := open(t, norskgjeld.Options{SingleUse: 1})
	g.Rule(t, sandbox.Rule{Times: 1, Action: sandbox.Action{Kind: "status", Status: 500, Work: true}})
	id := g.Consent(0).ID
	r := g.do(t, "GET", "/v1/debt/"+id, g.token(t, "debt"), "")
	if r.Status != 500 || !strings.Contains(r.Body, `"error":"server error"`) || g.Active(id) {
		t.Errorf("%d %s, active %v", r.Status, r.Body, g.Active(id))
	}
}

func TestWorldMoves(t *testing.T) {
	g := open(t, norskgjeld.Options{})
	token := g.token(t, "debt")
	look := func(id string) (body string, d debt) {
		r := g.do(t, "GET", "/v1/debt/"+id, token, "")
		r.Decode(t, &d)
		return r.Body, d
	}
	id := g.Consent(0).ID
	before, whole := look(id)
	g.Touch(id)
	touched, d := look(id)
	if touched == before || len(d.Loans) != len(whole.Loans) {
		t.Error("a touched balance did not change the answer, or changed more")
	}
	g.Silence(id, true)
	if _, d := look(id); d.Missing != 1 || len(d.Loans) != len(whole.Loans) {
		t.Errorf("silenced: %+v", d)
	}
	g.Silence(id, false)
	if again, _ := look(id); again != touched {
		t.Error("a creditor that speaks again says something else")
	}
	g.Repay(id)
	if _, d := look(id); len(d.Loans) != len(whole.Loans)-1 || d.Answered != len(d.Loans) {
		t.Errorf("repaid: %+v", d)
	}
	if g.Touch("nobody") || g.Revoke("nobody") {
		t.Error("an unknown consent was changed")
	}
}

func TestWrongSubject(t *testing.T) {
	g := open(t, norskgjeld.Options{})
	g.Rule(t, sandbox.Rule{Action: sandbox.Action{Kind: sandbox.WrongSubject}})
	c := g.Consent(0)
	var d debt
	g.do(t, "GET", "/v1/debt/"+c.ID, g.token(t, "debt"), "").Decode(t, &d)
	if d.SSN == c.NationalID || !sandbox.ValidNationalID(d.SSN) || d.Consent.ID != c.ID {
		t.Errorf("answered for %s under %s", d.SSN, d.Consent.ID)
	}
}

func TestStatusAndRevocation(t *testing.T) {
	g := open(t, norskgjeld.Options{})
	token, c := g.token(t, "debt"), g.Consent(1)
	status := func() string { return g.do(t, "GET", "/v1/debt/"+c.ID+"/status", g.token(t, "feed"), "").Body }
	if got, want := status(), fmt.Sprintf(`{"active":true,"expires_at":%d}`, c.ValidUntil.Unix()); got != want {
		t.Errorf("status %s, want %s", got, want)
	}
	if r := g.do(t, "DELETE", "/v1/debt/"+c.ID, g.token(t, "feed"), ""); r.Status != 403 {
		t.Errorf("revoked with the feed's token: %d", r.Status)
	}
	if r := g.do(t, "DELETE", "/v1/debt/"+c.ID, token, ""); r.Status != 204 || r.Body != "" {
		t.Errorf("revoke: %d %q", r.Status, r.Body)
	}
	if r := g.do(t, "DELETE", "/v1/debt/"+c.ID, token, ""); r.Status != 403 {
		t.Errorf("revoked again: %d", r.Status)
	}
	if r := g.do(t, "GET", "/v1/debt/"+c.ID, token, ""); r.Status != 403 || !strings.Contains(r.Body, "no valid consent") {
		t.Errorf("looked up after revocation: %d %s", r.Status, r.Body)
	}
	if got := status(); !strings.Contains(got, `"active":false`) {
		t.Errorf("status %s", got)
	}
	unknown := g.do(t, "GET", "/v1/debt/00000000-0000-4000-8000-000000000000/status", token, "")
	if unknown.Status != 200 || unknown.Body != `{"active":false}` {
		t.Errorf("unknown: %d %s", unknown.Status, unknown.Body)
	}
	text := open(t, norskgjeld.Options{StatusAsText: true})
	got := text.do(t, "GET", "/v1/debt/"+text.Consent(0).ID+"/status", text.token(t, "debt"), "").Body
	if !strings.Contains(got, `"active":"true"`) || !strings.Contains(got, `Z"`) {
		t.Errorf("as text: %s", got)
	}
}

func TestTokenErrorQuirks(t *testing.T) {
	g := open(t, norskgjeld.Options{UpperCaseTokenError: true, UnauthorizedTokens: true})
	r := g.do(t, "GET", "/v1/debt/"+g.Consent(0).ID, "x", "")
	if r.Status != 401 || !strings.Contains(r.Body, `"Invalid access token"`) {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}
