package rest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// recorder answers everything well and remembers what was asked.
type recorder struct {
	token, call     *http.Request
	form            url.Values
	body            string
	status          int    // of data calls; 0: 200
	answer          string // of data calls; empty: an empty list
	tokens, answers int
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/token") {
		r.token, r.tokens = req, r.tokens+1
		r.form, _ = url.ParseQuery(string(body))
		_, _ = io.WriteString(w, `{"access_token":"the-token","token_type":"Bearer","expires_in":600}`)
		return
	}
	r.call, r.body, r.answers = req, string(body), r.answers+1
	w.WriteHeader(max(r.status, 200))
	if r.answer == "" {
		r.answer = `{"rows":[]}`
	}
	_, _ = io.WriteString(w, r.answer)
}

func TestTokenDialects(t *testing.T) {
	const basicRaw, basicEscaped = "Basic dGhlIGlkKzp0aGUvc2VjcmV0JQ==", "Basic dGhlK2lkJTJCOnRoZSUyRnNlY3JldCUyNQ=="
	for _, c := range []struct {
		yaml   string
		auth   string
		form   url.Values
		header string // X-Id of the token call
	}{
		{"dialect: basic_escaped, url: 'https://a.example/x/token', scopes: [a, b]", basicEscaped,
			url.Values{"grant_type": {"client_credentials"}, "scope": {"a b"}}, ""},
		{"dialect: basic_raw, url: 'https://a.example/x/token', audience: aud", basicRaw,
			url.Values{"grant_type": {"client_credentials"}, "audience": {"aud"}}, ""},
		{"dialect: in_params, url: 'https://a.example/x/token', params: { resource: r }, headers: { X-Id: api_key }", "",
			url.Values{"grant_type": {"client_credentials"}, "client_id": {"the id+"}, "client_secret": {"the/secret%"}, "resource": {"r"}}, "the-api-key"},
		{"dialect: in_headers, url: 'https://a.example/x/token', headers: { X-Id: client_id, X-Secret: client_secret }", "",
			url.Values{}, "the id+"}, // the proof is the whole of it
		{"dialect: in_headers, url: 'https://a.example/x/token', params: { grant_type: api_key }, scopes: a, headers: { X-Id: client_id }", "",
			url.Values{"grant_type": {"api_key"}, "scope": {"a"}}, "the id+"},
		{"dialect: none", "", nil, ""},
	} {
		server := &recorder{}
		client := described(t, changed(t, "dialect: none", c.yaml), server)
		if _, err := client.Read(t.Context(), stream(), ""); err != nil {
			t.Errorf("%s: %v", c.yaml, err)
			continue
		}
		bearer := server.call.Header.Get("Authorization")
		if c.form == nil {
			if server.token != nil || bearer != "" {
				t.Errorf("%s: a token was asked for, or sent: %q", c.yaml, bearer)
			}
			continue
		}
		if diff := cmp.Diff(c.form, server.form); diff != "" || bearer != "Bearer the-token" || server.token.URL.Path != "/x/token" {
			t.Errorf("%s: to %s, then %q: %s", c.yaml, server.token.URL.Path, bearer, diff)
		}
		if got := server.token.Header.Get("Authorization"); got != c.auth || server.token.Header.Get("X-Id") != c.header {
			t.Errorf("%s: authorization %q, X-Id %q", c.yaml, got, server.token.Header.Get("X-Id"))
		}
	}
}

func TestWhatARequestLooksLike(t *testing.T) {
	server := &recorder{}
	text := "headers: { X-Key: { credential: api_key }, X-Fixed: 'a b' }\nrequest_id_header: X-Trace\n" + changed(t, `request: { path: "claims/{consent}" }`,
		`request:
      method: POST
      path: "/claims/{consent}/x"
      query: { from: "{since}", note: "a&b=c" }
      headers: { X-Person: "{subject}", X-Until: "until {until}" }
      body: { person: "{subject}", list: [1, 2.50, true, null, "{consent}<&"], deep: { a: "007" } }`)
	s := stream()
	s.Task.Consent.ExternalID = "c/1 ä?"
	if _, err := described(t, text, server).Read(t.Context(), s, ""); err != nil {
		t.Fatal(err)
	}
	h := server.call.Header
	got := []string{
		server.call.Method, server.call.URL.EscapedPath(), server.call.URL.RawQuery, h.Get("X-Key"), h.Get("X-Fixed"), h.Get("X-Person"), h.Get("X-Until"),
		h.Get("Content-Type"), server.body,
	}
	want := []string{
		"POST", "/v1/claims/c%2F1%20%C3%A4%3F/x", "from=2026-11-01&note=a%26b%3Dc", "the-api-key", "a b", "14842249091", "until 2026-11-20",
		"application/json", `{"deep":{"a":"007"},"list":[1,2.50,true,null,"c/1 ä?<&"],"person":"14842249091"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" || len(h.Get("X-Trace")) != 36 {
		t.Error(h, diff)
	}
}

func TestWhatCannotBeAskedIsNotAsked(t *testing.T) {
	withBody := changed(t, `path: "claims/{consent}"`, `path: "claims/{consent}", headers: { X-P: "{subject}" }`)
	for name, c := range map[string]struct {
		text   string
		change func(*fetch.Stream)
		want   string
	}{
		"a dataset that is not described": {minimal, func(s *fetch.Stream) { s.Dataset = finance.Accounts }, "Test, as test.yaml describes it, has no dataset accounts (it has debt): take it out of the job"},
		"no id":                           {minimal, func(s *fetch.Stream) { s.Task.Consent.ExternalID = "" }, "the consent has no id of the provider's"},
		"no number":                       {withBody, func(s *fetch.Stream) { s.Task.Consent.Subject = finance.NewSubject([]byte{1}, "", fetchtest.Keyed) }, "import it with the number kept"},
		"a number as id":                  {minimal, func(s *fetch.Stream) { s.Task.Consent.ExternalID = "14842249091" }, "must not stand in an address"},
		"one use, many pages":             {paged("{ page: { parameter: p } }"), func(s *fetch.Stream) { s.Task.Consent.SingleUse = true }, "page by page"},
	} {
		server := &recorder{}
		s := stream()
		c.change(&s)
		_, err := described(t, c.text, server).Read(t.Context(), s, "")
		if fetch.ClassOf(err) != finance.Rejected || !strings.Contains(err.Error(), c.want) || server.answers+server.tokens > 0 {
			t.Errorf("%s: %v after %d calls", name, err, server.answers)
		}
		if strings.Contains(err.Error(), "14842249091") {
			t.Errorf("%s: the number is in the error", name)
		}
	}
}

func TestASingleUseConsentIsSpentOnce(t *testing.T) {
	server := &recorder{answer: `{"rows":[{"id":"1"}]}`}
	client := described(t, minimal, server)
	s := stream()
	s.Task.Consent.SingleUse = true
	for range 2 {
		if got, err := client.Read(t.Context(), s, ""); err != nil || len(idsOf(got)) != 1 {
			t.Fatal(got, err)
		}
	}
	if server.answers != 1 {
		t.Errorf("%d calls", server.answers)
	}
}

const faulty = `errors:
  code: [error.code, code]
  message: error.text
  retry_after: error.wait
  in_success: true
  rules:
    - { code: EXPIRED, class: consent, consent: expired }
    - { code: GONE, class: consent }
    - { status: 403, code: [STALE, OLD], class: token }
    - { code: SLOW, class: throttled }
    - { code: BUSY, class: transient }
    - { code: KEY, class: fatal }
    - { code: FINE, class: ok }
    - { status: [404, 451], class: withheld }
    - { status: 422, class: transient }
    - { status: 203, class: rejected }
    - { status: 202, code: LATER, class: withheld }
    - { status: 206, class: ok }
correlation: { headers: [X-Nr], body: [meta.nr, error.nr] }
`

func TestWhatErrorsMean(t *testing.T) {
	d, err := Parse([]byte(faulty+minimal), "x.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f := newFaults(d, nil)
	for _, c := range []struct {
		status int
		body   string
		want   fetch.Meaning
	}{
		{200, `{"rows":[]}`, fetch.Meaning{Class: finance.OK}},
		{200, `{"rows":[],"meta":{"nr":"n1"}}`, fetch.Meaning{Class: finance.OK, Correlation: "n1"}},
		{200, `{"error":{"code":"SLOW","wait":30,"nr":7}}`, fetch.Meaning{Class: finance.Throttled, Reason: "SLOW", RetryAfter: 30 * time.Second, Correlation: "7"}},
		{200, `{"error":{"code":"WEIRD","text":"who knows"}}`, fetch.Meaning{Class: finance.Rejected, Reason: "WEIRD: who knows"}},
		{200, `{"code":"FINE"}`, fetch.Meaning{Class: finance.OK, Reason: "FINE"}},
		{200, `<html>`, fetch.Meaning{Class: finance.Transient}},
		{200, `[]`, fetch.Meaning{Class: finance.Transient}},                // no dataset is a bare list
		{200, `{"rows":[{"id":1}`, fetch.Meaning{Class: finance.Transient}}, // cut off
		{202, `{"rows":[]}`, fetch.Meaning{Class: finance.Transient}},       // without a rule for it
		{202, `{"error":{"text":"we are at it","wait":5}}`, fetch.Meaning{Class: finance.Transient, Reason: "we are at it", RetryAfter: 5 * time.Second}},
		{202, `{"code":"LATER"}`, fetch.Meaning{Class: finance.Withheld, Reason: "LATER"}},
		{203, `{"rows":[]}`, fetch.Meaning{Class: finance.Rejected}},
		{206, `{"rows":[]}`, fetch.Meaning{Class: finance.OK}},
		{206, `<html>`, fetch.Meaning{Class: finance.Transient}},
		{207, `{"rows":[]}`, fetch.Meaning{Class: finance.Transient}},
		{304, ``, fetch.Meaning{Class: finance.Transient}},
		{403, `{"error":{"code":"EXPIRED","text":"over"}}`, fetch.Meaning{Class: finance.ConsentOver, Status: finance.ConsentExpired, Named: true, Reason: "EXPIRED: over"}},
		{400, `{"code":"GONE"}`, fetch.Meaning{Class: finance.ConsentOver, Status: finance.ConsentRevoked, Named: true, Reason: "GONE"}},
		{403, `{"code":"OLD"}`, fetch.Meaning{Class: finance.TokenDenied, Reason: "OLD"}},
		{400, `{"code":"OLD"}`, fetch.Meaning{Class: finance.Rejected, Reason: "OLD"}},
		{500, `{"code":"KEY"}`, fetch.Meaning{Class: finance.Fatal, Reason: "KEY"}},
		{500, `{"error":{"wait":"5"}}`, fetch.Meaning{Class: finance.Throttled, RetryAfter: 5 * time.Second}},
		{500, `{"error":{"code":"BUSY","wait":5}}`, fetch.Meaning{Class: finance.Transient, Reason: "BUSY", RetryAfter: 5 * time.Second}},
		{429, `{"error":{"wait":172800}}`, fetch.Meaning{Class: finance.Throttled, RetryAfter: 48 * time.Hour}},
		{429, `{"error":{"wait":2.5}}`, fetch.Meaning{Class: finance.Throttled, RetryAfter: 2500 * time.Millisecond}},
		{429, `{"error":{"wait":"Please try again in 3600 seconds"}}`, fetch.Meaning{Class: finance.Throttled, RetryAfter: time.Hour}},
		{429, `{"error":{"wait":-1}}`, fetch.Meaning{Class: finance.Throttled}},
		{429, `slow down`, fetch.Meaning{Class: finance.Throttled}},
		{404, ``, fetch.Meaning{Class: finance.Withheld}},
		{451, `{"code":{"a":1}}`, fetch.Meaning{Class: finance.Withheld}},
		{422, `{}`, fetch.Meaning{Class: finance.Transient}},
		{401, `{}`, fetch.Meaning{Class: finance.TokenDenied}},
		{302, ``, fetch.Meaning{Class: finance.Fatal}},
		{204, ``, fetch.Meaning{Class: finance.OK}},
	} {
		got := f.classify(nil, &fetch.Answer{Status: c.status, Header: http.Header{}, Body: []byte(c.body)})
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%d %s: %s", c.status, c.body, diff)
		}
	}
	with := &fetch.Answer{Status: 500, Header: http.Header{"X-Nr": {"h"}}, Body: []byte(`{"error":{"nr":"b"}}`)}
	if got := f.classify(nil, with).Correlation; got != "h" {
		t.Errorf("the header's id comes first, got %q", got)
	}
	check := &fetch.Request{Purpose: calls.ForCheck}
	d.Check.Accept = Statuses{403}
	if got := f.classify(check, &fetch.Answer{Status: 403, Body: []byte(`{}`)}); got.Class != finance.OK {
		t.Errorf("the check's own status: %s", got.Class)
	}
	if got := f.classify(check, &fetch.Answer{Status: 403, Body: []byte(`{"code":"KEY"}`)}); got.Class == finance.OK {
		t.Error("a wrong key passes the check")
	}
}

// A pause may stand anywhere in a sentence of any language: the description says where.
func TestAPauseInASentence(t *testing.T) {
	const pattern = "errors: { message: detail, retry_after: { path: detail, pattern: 'om (\\d+) minuter', unit: minutes } }\n"
	for _, c := range []struct {
		description, body string
		want              time.Duration
	}{
		{pattern, `{"detail":"Högst 4 anrop. Försök igen om 90 minuter."}`, 90 * time.Minute},
		{pattern, `{"detail":"Försök igen senare."}`, 0},
		{pattern, `{"detail":["om 90 minuter"]}`, 0},
		{pattern, `{}`, 0},
		{strings.Replace(pattern, ", unit: minutes", "", 1), `{"detail":"om 90 minuter"}`, 90 * time.Second},
		{"errors: { retry_after: [detail, wait] }\n", `{"wait":"PT","detail":null}`, 0},
		{"errors: { retry_after: [detail, wait] }\n", `{"wait":"0:01:30"}`, 90 * time.Second},
		{"errors: { retry_after: { path: detail } }\n", `{"detail":"The limit is 4/day. Please try again in 3600 seconds"}`, time.Hour},
	} {
		d, err := Parse([]byte(c.description+minimal), "x.yaml")
		if err != nil {
			t.Fatal(err)
		}
		got := newFaults(d, nil).classify(nil, &fetch.Answer{Status: 429, Header: http.Header{}, Body: []byte(c.body)})
		if got.RetryAfter != c.want {
			t.Errorf("%s in %s: %s, want %s", c.description, c.body, got.RetryAfter, c.want)
		}
	}
	reach := "errors: { code: code, rules: [{ code: MINE, class: throttled, pauses: consent }, { code: OURS, class: throttled, pauses: connection }," +
		" { status: 503, class: transient, pauses: account }] }\n"
	d, err := Parse([]byte(reach+minimal), "x.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]fetch.Reach{`{"code":"MINE"}`: fetch.ReachConsent, `{"code":"OURS"}`: fetch.ReachAll, `{}`: fetch.ReachAll} {
		if got := newFaults(d, nil).classify(nil, &fetch.Answer{Status: 429, Header: http.Header{}, Body: []byte(body)}); got.Pauses != want || got.Class != finance.Throttled {
			t.Errorf("%s: %+v", body, got)
		}
	}
	if got := newFaults(d, nil).classify(nil, &fetch.Answer{Status: 503, Header: http.Header{}}); got.Pauses != fetch.ReachAccount {
		t.Errorf("503: %+v", got)
	}
	if !d.Errors.alone() || (&Errors{Rules: []Rule{{Class: "throttled", Pauses: "connection"}}}).alone() {
		t.Error("a driver with such a rule must not close its gate before the body is read, and no other")
	}
	if _, err := Parse([]byte("errors: { rules: [{ status: 403, class: rejected, pauses: consent }] }\n"+minimal), "x.yaml"); err == nil || !strings.Contains(err.Error(), "this is for class throttled") {
		t.Errorf("a pause of what is no throttle: %v", err)
	}
	for want, group := range map[string]string{
		"this is no regular expression":    `{ path: detail, pattern: "(" }`,
		"want one group":                   `{ path: detail, pattern: "(om) (\\d+)" }`,
		"want one group in parentheses":    `{ path: detail, pattern: "om" }`,
		"a number that a pattern finds":    `{ path: detail, unit: hours }`,
		`"weeks" is not known`:             `{ path: detail, pattern: "(.)", unit: weeks }`,
		"errors.retry_after.path: missing": `{ pattern: "(.)" }`,
	} {
		_, err := Parse([]byte("errors: { retry_after: "+group+" }\n"+minimal), "x.yaml")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", group, err, want)
		}
	}
}

func TestA404ThatIsFineIsEmpty(t *testing.T) {
	server := &recorder{status: 404, answer: `{"code":"NONE"}`}
	got, err := described(t, "errors: { code: code, rules: [{ code: NONE, class: ok }] }\n"+minimal, server).Read(t.Context(), stream(), "")
	if err != nil || len(got) != 1 || !got[0].Done || got[0].Records.Len() != 0 {
		t.Error(got, err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	text := "headers: { X-Key: { credential: api_key } }\nrate: { per_minute: 90 }\n" + changed(t, "dialect: none", "dialect: in_params, url: 'https://a.example/oauth/token'")
	if err := os.WriteFile(filepath.Join(dir, "api.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	secrets := map[string]fetch.Secret{"client_id": fetch.NewSecret("i"), "client_secret": fetch.NewSecret("s"), "api_key": fetch.NewSecret("k")}
	c := fetch.Connection{Name: "c", Dir: dir, Settings: &Settings{Description: "api.yaml"}, Credentials: secrets}
	for _, a := range []struct{ base, auth, wantBase, wantToken string }{
		{"", "", "https://api.example/v1", "https://a.example/oauth/token"},
		{"http://127.0.0.1:1", "http://127.0.0.1:2/", "http://127.0.0.1:1/v1", "http://127.0.0.1:2/oauth/token"},
		{"https://eu.api.example/v3/", "https://eu.example/t", "https://eu.api.example/v3", "https://eu.example/t"},
	} {
		c.BaseURL, c.AuthURL = a.base, a.auth
		d, err := Provider().Open(c)
		if err != nil {
			t.Fatal(err)
		}
		token, err := d.Token(fetch.TokenKey{})
		if err != nil || d.Base.String() != a.wantBase || token.URL != a.wantToken || d.Rate != 1.5 {
			t.Errorf("%+v: %s, %s, rate %v, %v", a, d.Base, token.URL, d.Rate, err)
		}
	}
	for want, change := range map[string]func(*fetch.Connection){
		"description is missing":     func(c *fetch.Connection) { c.Settings = Provider().Settings() },
		"no such file":               func(c *fetch.Connection) { c.Settings = &Settings{Description: "other.yaml"} },
		"base_url: not a URL":        func(c *fetch.Connection) { c.BaseURL = "api.example" },
		"auth_url: not a URL":        func(c *fetch.Connection) { c.AuthURL = ":" },
		"api_key is needed for hea":  func(c *fetch.Connection) { c.Credentials = map[string]fetch.Secret{"client_id": secrets["client_id"]} },
		"client_secret is needed fo": func(c *fetch.Connection) { c.Credentials = map[string]fetch.Secret{"client_id": secrets["client_id"]} },
	} {
		broken := c
		change(&broken)
		if _, err := Provider().Open(broken); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

func TestACheckIsOneCall(t *testing.T) {
	for status, good := range map[int]bool{200: true, 404: true, 403: false} {
		server := &recorder{status: status, answer: `{}`}
		client := described(t, strings.Replace(minimal, "check: { path: ping }", "check: { path: ping/me, method: POST, accept: 404 }", 1), server)
		err := client.Connector().Probe(t.Context())
		if (err == nil) != good || server.call.URL.Path != "/v1/ping/me" || server.call.Method != "POST" {
			t.Errorf("%d: %v, %s %s", status, err, server.call.Method, server.call.URL)
		}
	}
}

func TestADescriptionIsPartOfAPagesKey(t *testing.T) {
	var keys []finance.PageKey
	for _, text := range []string{minimal, minimal, strings.Replace(minimal, "name", "nick", 1)} {
		got, err := described(t, text, &recorder{}).Read(t.Context(), stream(), "")
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, got[0].Key)
	}
	if keys[0] != keys[1] || keys[0] == keys[2] {
		t.Errorf("keys %x", keys)
	}
}

func TestCursorsRoundTrip(t *testing.T) {
	at := position{From: today - 3, To: today - 1, End: today, After: "x\"y", Earlier: []string{"a"}, Base: 1, Spoilt: true}
	text := cursor{V: 1, Through: today - 9, Pass: &at}.String()
	d, err := Parse([]byte(paged("{ windows: { days: 3 }, cursor: { path: c, parameter: p } }")), "x.yaml")
	if err != nil {
		t.Fatal(err)
	}
	readings, err := compile(d, "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := readings[finance.Debts].readCursor(text, today)
	if err != nil || got.Through != today-9 {
		t.Fatal(got, err)
	}
	if diff := cmp.Diff(at, *got.Pass); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{
		`{}`, `{"v":1}`, `{"v":2,"through":"2026-11-01"}`, `{"v":1,"through":"2026-11-01"}{}`, `{"v":1,"through":"2026-12-01"}`, `{"v":1,"x":1}`,
		`{"v":1,"pass":{}}`, `{"v":1,"pass":{"from":"2026-11-05","to":"2026-11-04","end":"2026-11-06"}}`,
		`{"v":1,"pass":{"from":"2026-11-01","to":"2026-11-04","end":"2027-11-06"}}`, `{"v":1,"pass":{"from":"2026-11-01","to":"2026-11-04","end":"2026-11-06","page":2}}`,
		`{"v":1,"pass":{"from":"2026-11-01","to":"2026-11-04","end":"2026-11-06","link":"/v1/x"}}`,
		`{"v":1,"pass":{"from":"2026-11-01","to":"2026-11-04","end":"2026-11-06","base":1}}`,
	} {
		if c, err := readings[finance.Debts].readCursor(bad, today); err == nil {
			t.Errorf("%s was read as %+v", bad, c)
		}
	}
	if _, err := json.Marshal(got); err != nil {
		t.Error(err)
	}
}

func TestAnAnswerThatIsABareList(t *testing.T) {
	s := stream()
	s.Dataset = finance.Accounts
	server := &recorder{answer: ` [{"id":"1","cur":"NOK"}] `}
	got, err := described(t, bankish, server).Read(t.Context(), s, "")
	if err != nil || len(got) != 1 || len(got[0].Records.Accounts) != 1 || got[0].Whole == nil {
		t.Errorf("%v, %v", got, err)
	}
	for _, cut := range []string{`[{"id":"1","cur":"NOK"},`, `[{"id":"1"}`, `<html>`} {
		server := &recorder{answer: cut}
		if _, err := described(t, bankish, server).Read(t.Context(), s, ""); fetch.ClassOf(err) != finance.Transient || server.answers != 3 {
			t.Errorf("%s: %v after %d calls", cut, err, server.answers)
		}
	}
}
