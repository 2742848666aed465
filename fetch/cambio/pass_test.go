package cambio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	"syncer/sandbox"
	gateway "syncer/sandbox/cambio"
)

// bench is a client of a world and what it leaves behind.
type bench struct {
	client *fetch.Client
	ledger *fetchtest.Ledger
	grants *fetchtest.Grants
	log    bytes.Buffer
}

func dial(t *testing.T, conn fetch.Connection) *bench {
	t.Helper()
	driver, err := Provider().Open(conn)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{ledger: fetchtest.NewLedger(), grants: fetchtest.NewGrants()}
	b.client, err = fetch.NewClient(fetch.Options{
		Connection: conn, Driver: driver, Rate: 10_000, AllowPrivate: true, Concurrency: 1,
		Retry:  fetch.Retry{Attempts: 2, Base: time.Millisecond, Cap: time.Millisecond},
		Ledger: b.ledger, Tokens: b.ledger, Grants: b.grants, Log: zerolog.New(&b.log),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.client.CloseIdle)
	return b
}

func stream(c finance.Consent) fetch.Stream {
	return fetch.Stream{
		Stream: finance.Stream{Consent: c.ID, Dataset: finance.Debts},
		Scope:  finance.Scope{Dataset: finance.Debts, Consent: &c},
	}
}

// read reads a pass from a cursor on; each sees every page as it comes.
func (b *bench) read(t *testing.T, s fetch.Stream, from string, each func(n int, p *fetch.Page)) (pages []fetch.Page, err error) {
	t.Helper()
	for page, err := range b.client.Connector().Pages(t.Context(), s, from) {
		if err != nil {
			return pages, err
		}
		if each != nil {
			each(len(pages), &page)
		}
		pages = append(pages, page)
	}
	return pages, nil
}

// table is what a store would hold after the pages: balances by id.
func table(pages []fetch.Page) map[string]string {
	tb := map[string]string{}
	for i := range pages {
		for _, d := range pages[i].Records.Debts {
			tb[d.ID] = d.Balance.String() + "/" + d.OriginalBalance.String()
		}
		if w := pages[i].Whole; w != nil {
			for id := range tb {
				now := slices.ContainsFunc(pages[i].Records.Debts, func(d finance.Debt) bool { return d.ID == id })
				if strings.HasPrefix(id, w.Prefix) && !now && !slices.Contains(w.Earlier, id) {
					delete(tb, id)
				}
			}
		}
	}
	return tb
}

// Result pages live for five minutes. A link that has died begins the search anew, and the tables can't tell.
func TestExpiredPagesBeginAnew(t *testing.T) {
	for _, status := range []int{410, 404, 400} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			w := start(t, gateway.Options{MaxInvoices: 90, PageSize: 8, ExpiredStatus: status})
			s := stream(w.consent(w.patient(t, 25)))
			whole, err := dial(t, w.conn).read(t, s, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := dial(t, w.conn).read(t, s, "", func(n int, _ *fetch.Page) {
				if n == 3 {
					w.kit.Clock.Advance(5 * time.Minute)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(table(whole), table(got)); diff != "" {
				t.Error(diff)
			}
			if want := len(whole) + 4; len(got) != want { // three pages, and the one that says it is dead
				t.Errorf("%d pages, want %d", len(got), want)
			}
			dead := got[4]
			if dead.Records.Len() != 0 || dead.Answer.Status != status || dead.Done || !strings.Contains(dead.Answer.Call.Reason, "expired") {
				t.Errorf("the dead page: %+v", dead)
			}
			last := got[len(got)-2]
			seen := map[string]bool{}
			for _, id := range last.Whole.Earlier {
				if seen[id] {
					t.Errorf("%s stands twice in the set", id)
				}
				seen[id] = true
			}
		})
	}
}

// A worker that comes back the next morning finds its link dead.
func TestAnOldCursorBeginsAnew(t *testing.T) {
	w := start(t, gateway.Options{MaxInvoices: 90, PageSize: 8})
	i := w.patient(t, 25)
	s := stream(w.consent(i))
	b := dial(t, w.conn)
	whole, err := b.read(t, s, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	w.kit.Clock.Advance(24 * time.Hour)
	w.sim.Pay(i)
	rest, err := dial(t, w.conn).read(t, s, whole[2].Next, nil)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := dial(t, w.conn).read(t, s, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(table(fresh), table(append(slices.Clone(whole[:3]), rest...))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(table(whole), table(fresh)); diff == "" {
		t.Error("paying an invoice has changed nothing")
	}
}

// Pages that die each time before they are read must not keep a worker for ever.
func TestItDoesNotBeginAnewForEver(t *testing.T) {
	w := start(t, gateway.Options{MaxInvoices: 90, PageSize: 8})
	b := dial(t, w.conn)
	pages, err := b.read(t, stream(w.consent(w.patient(t, 25))), "", func(int, *fetch.Page) { w.kit.Clock.Advance(6 * time.Minute) })
	if fetch.ClassOf(err) != finance.Transient || !strings.Contains(err.Error(), "expired 4 times") {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	if len(pages) > 12 {
		t.Errorf("%d pages", len(pages))
	}
	if last := pages[len(pages)-1].Next; last == "" {
		t.Error("nothing to resume from")
	}
	w.kit.Clock.Advance(time.Hour)
	if _, err := b.read(t, stream(w.consent(w.patient(t, 25))), pages[len(pages)-1].Next, nil); err != nil {
		t.Errorf("the next run does not get through: %v", err)
	}
}

// wire is a server that answers what a test wants, and remembers the calls.
type wire struct {
	mu     sync.Mutex
	calls  []*http.Request
	bodies []string
	answer func(w http.ResponseWriter, r *http.Request)
	base   string
}

func serve(t *testing.T, answer func(http.ResponseWriter, *http.Request)) *wire {
	t.Helper()
	w := &wire{answer: answer}
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/token") {
			_, _ = io.WriteString(out, `{"access_token":"t0ken-t0ken","token_type":"Bearer","expires_in":300}`)
			return
		}
		body, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		w.calls, w.bodies = append(w.calls, r), append(w.bodies, string(body))
		w.mu.Unlock()
		w.answer(out, r)
	}))
	t.Cleanup(server.Close)
	w.base = server.URL
	return w
}

func aConsent() finance.Consent {
	return finance.Consent{ID: 1, ExternalID: "c", Subject: subjectWith(person), Status: finance.ConsentActive}
}

// cos answers like a gateway with one patient, whose invoices come from f.
func cos(f func(http.ResponseWriter, *http.Request)) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-COS-CORRELATION-ID", "cos-"+fmt.Sprint(len(r.URL.Path)))
		w.Header().Set("X-Request-Id", r.Header.Get("X-Request-Id"))
		switch {
		case strings.HasPrefix(r.URL.Path, "/fhir/Patient"):
			_, _ = io.WriteString(w, bundleOf(`{"resourceType":"Patient","id":"`+patientID+`","identifier":[{"value":"`+person+`"}]}`))
		case strings.HasPrefix(r.URL.Path, "/fhir"):
			f(w, r)
		default:
			_, _ = io.WriteString(w, "["+seen(`"200"`)+"]")
		}
	}
}

func withNext(link string, resources ...string) string {
	return strings.Replace(bundleOf(resources...), `"url":"s"}`, `"url":"s"},{"relation":"next","url":"`+link+`"}`, 1)
}

// What a call carries, and what it must not.
func TestWhatIsSent(t *testing.T) {
	w := serve(t, cos(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, bundleOf(bill())) }))
	b := dial(t, connection(w.base))
	pages, err := b.read(t, stream(aConsent()), "", nil)
	if err != nil || len(pages) != 3 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	want := []string{
		"POST /fhir/Patient/_search identifier=urn%3Aoid%3A1.2.752.129.2.1.3.1%7C" + person,
		"POST /fhir/Invoice/_search subject=Patient%2F" + patientID,
		"GET /api/open/contacts?fromDateTime=1970-01-01T01%3A00%3A00 ",
	}
	var got []string
	for i, r := range w.calls {
		got = append(got, r.Method+" "+r.URL.String()+" "+w.bodies[i])
		if r.Header.Get("Ocp-Apim-Subscription-Key") != gateway.DefaultSubscription().Key || r.Header.Get("Authorization") != "Bearer t0ken-t0ken" {
			t.Errorf("%s: key or token are missing", r.URL)
		}
		fhir := strings.HasPrefix(r.URL.Path, "/fhir")
		if (r.Header.Get("patient") == person) == fhir || (r.Header.Get("Accept") == "application/fhir+json") != fhir || r.URL.Query().Has("_count") {
			t.Errorf("%s: %v", r.URL, r.Header)
		}
		if r.Method == "POST" && r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("%s: %v", r.URL, r.Header)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, p := range pages {
		if want := fmt.Sprint("cos-", len(p.Answer.Call.Path)); p.Answer.Call.Correlation != want {
			t.Errorf("%s: correlation %q, want %q", p.Answer.Call.Path, p.Answer.Call.Correlation, want)
		}
	}
}

// The usual page key is a hash of the body, and the body of the first call is a personnummer and constants.
func TestNoPageKeyIsTheHashOfANumber(t *testing.T) {
	w := serve(t, cos(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, bundleOf(bill())) }))
	keys := map[finance.PageKey]int{}
	for _, number := range []string{person, "198001072381"} {
		c := aConsent()
		c.Subject = subjectWith(number)
		for page, err := range dial(t, connection(w.base)).client.Connector().Pages(t.Context(), stream(c), "") {
			if err == nil {
				keys[page.Key]++
			}
			break
		}
	}
	if len(keys) != 1 {
		t.Errorf("%v", keys)
	}
}

// A next link may lead astray in every way there is.
func TestNextLinks(t *testing.T) {
	for link, c := range map[string]struct {
		class finance.Class
		words string
	}{
		"https://evil.example/fhir?x=1":                {finance.Fatal, "refused"},
		"BASE@evil.example/fhir?x=1":                   {finance.Fatal, "refused"},
		"BASE/fhir/../auth?x=1":                        {finance.Fatal, "refused"},
		"BASE/auth/realms/COS/x":                       {finance.Fatal, "leaves the FHIR API"},
		"BASE/fhirx?x=1":                               {finance.Fatal, "leaves the FHIR API"},
		"BASE/fhir?x=" + person:                        {finance.Malformed, "personnummer"},
		"BASE/fhir?x=" + person[2:]:                    {finance.Malformed, "personnummer"},
		"BASE/fhir?always=the-same":                    {finance.Malformed, "circle"},
		"fhir?always=the-same":                         {finance.Malformed, "circle"},
		"BASE/fhir/Invoice?_offset=1&subject=Patient/": {finance.Malformed, "circle"},
	} {
		var w *wire
		w = serve(t, cos(func(out http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(out, withNext(strings.Replace(link, "BASE", w.base, 1), bill()))
		}))
		b := dial(t, connection(w.base))
		pages, err := b.read(t, stream(aConsent()), "", nil)
		if fetch.ClassOf(err) != c.class || !strings.Contains(err.Error(), c.words) || len(pages) > 4 {
			t.Errorf("%s: %d pages, %v", link, len(pages), err)
		}
		if err != nil && (strings.Contains(err.Error(), "3277") || strings.Contains(b.log.String(), "3277")) {
			t.Errorf("%s: somebody is given away: %v", link, err)
		}
	}
}

// A stored cursor is data: its link is checked like the provider's.
func TestAStoredLinkIsCheckedToo(t *testing.T) {
	w := serve(t, cos(func(http.ResponseWriter, *http.Request) {}))
	b := dial(t, connection(w.base))
	for _, link := range []string{"https://evil.example/fhir", w.base + "/auth"} {
		from := cursor{At: atInvoices, Patient: "p", Link: link}.String()
		if pages, err := b.read(t, stream(aConsent()), from, nil); fetch.ClassOf(err) != finance.Fatal || len(pages) > 0 {
			t.Errorf("%s: %v", link, err)
		}
	}
	if len(w.calls) > 0 {
		t.Error("a call was made")
	}
}

// What is not whole removes nothing.
func TestWhatIsWhole(t *testing.T) {
	warning := strings.Replace(outcomeOf("incomplete", "one source is down", ""), `"error"`, `"warning"`, 1)
	for name, c := range map[string]struct {
		pages   []string
		whole   bool
		partial string
	}{
		"one page":             {[]string{bundleOf(bill())}, true, ""},
		"nothing":              {[]string{`{"resourceType":"Bundle","total":0}`}, true, ""},
		"two pages":            {[]string{withNext("BASE/fhir?p=2", bill()), bundleOf(bill("id", `"b"`))}, true, ""},
		"a broken record":      {[]string{withNext("BASE/fhir?p=2", bill("totalGross", "")), bundleOf(bill("id", `"b"`))}, false, ""},
		"a warning":            {[]string{withNext("BASE/fhir?p=2", bill(), warning), bundleOf(bill("id", `"b"`))}, false, "incomplete: one source is down"},
		"fewer than announced": {[]string{strings.Replace(bundleOf(bill()), `"total":1`, `"total":9`, 1)}, false, "the search has 9 invoices and shows 1"},
	} {
		var w *wire
		n := 0
		w = serve(t, cos(func(out http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(out, strings.ReplaceAll(strings.Replace(c.pages[n], "BASE", w.base, 1), `"total":1`, `"total":2`)) // of both pages
			n++
		}))
		if len(c.pages) == 1 && strings.Contains(c.pages[0], `"total":1`) {
			c.pages[0] = strings.Replace(c.pages[0], `"total":1`, `"count":1`, 1)
		}
		pages, err := dial(t, connection(w.base)).read(t, stream(aConsent()), "", nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		last, partial := pages[len(pages)-2], ""
		for _, p := range pages {
			partial += p.Partial
		}
		if (last.Whole != nil) != c.whole || partial != c.partial || pages[len(pages)-1].Whole == nil {
			t.Errorf("%s: whole %v, partial %q", name, last.Whole, partial)
		}
	}
}

func TestAPatientNobodyKnowsIsExcused(t *testing.T) {
	w := serve(t, func(out http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(out, `{"resourceType":"Bundle","total":0}`)
	})
	b := dial(t, connection(w.base))
	_, err := b.read(t, stream(aConsent()), "", nil)
	if fetch.ClassOf(err) != finance.Withheld || !strings.Contains(err.Error(), "knows no patient") {
		t.Error(err)
	}
	if calls := b.ledger.Calls(); len(calls) != 2 || calls[1].Class != finance.Withheld {
		t.Errorf("%+v", calls)
	}
}

func TestMissingContactsArePartial(t *testing.T) {
	w := serve(t, func(out http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api") {
			out.WriteHeader(404)
			_, _ = io.WriteString(out, `{"error":"No patient found for `+person+`","path":"/api/open/contacts","status":404,"timestamp":1795000000000}`)
			return
		}
		cos(func(out http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(out, bundleOf(bill())) })(out, r)
	})
	b := dial(t, connection(w.base))
	pages, err := b.read(t, stream(aConsent()), "", nil)
	if err != nil || len(pages) != 3 || pages[2].Partial == "" || pages[2].Whole != nil || !pages[2].Done {
		t.Fatalf("%v %+v", err, pages)
	}
	if reason := pages[2].Answer.Call.Reason; reason != "No patient found for [number]" {
		t.Errorf("reason %q", reason)
	}
}

// Every call has the gateway's id, whichever layer has answered it, and its words without anybody's number.
func TestErrorsKeepTheirCorrelation(t *testing.T) {
	w := start(t, gateway.Options{})
	for name, c := range map[string]struct {
		rule  sandbox.Rule
		class finance.Class
		words string
	}{
		"the gateway":    {sandbox.Rule{Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 403, Body: `{"statusCode":403,"message":"Insufficient scope."}`}}, finance.Fatal, "Insufficient scope."},
		"FHIR":           {sandbox.Rule{Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 422}}, finance.Rejected, "processing: Unprocessable Entity"},
		"COSMIC":         {sandbox.Rule{PathPrefix: "/api", Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 400}}, finance.Rejected, "Bad Request"},
		"an outage":      {sandbox.Rule{Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 502, Body: "<html>"}}, finance.Transient, "status 502"},
		"another's data": {sandbox.Rule{PathPrefix: "/fhir/Invoice", Action: sandbox.Action{Kind: sandbox.WrongSubject}}, finance.Malformed, "wrong subject"},
		"others' visits": {sandbox.Rule{PathPrefix: "/api", Action: sandbox.Action{Kind: sandbox.WrongSubject}}, finance.Malformed, "wrong subject"},
		"a redirect":     {sandbox.Rule{Action: sandbox.Action{Kind: sandbox.Redirect}}, finance.Fatal, "redirected"},
	} {
		undo := w.rule(t, c.rule)
		b := dial(t, w.conn)
		i := w.patient(t, 3)
		_, err := b.read(t, stream(w.consent(i)), "", nil)
		undo()
		if fetch.ClassOf(err) != c.class || err == nil || !strings.Contains(err.Error(), c.words) || !strings.Contains(err.Error(), "provider's id ") {
			t.Errorf("%s: %v", name, err)
		}
		calls, bad := json.Marshal(b.ledger.Calls())
		if bad != nil || strings.Contains(string(calls)+err.Error()+b.log.String(), w.sim.Patient(i).Personnummer) {
			t.Errorf("%s: somebody is given away", name)
		}
		for _, call := range b.ledger.Calls() {
			if len(call.Correlation) != 36 {
				t.Errorf("%s: %s %s has the correlation %q", name, call.Method, call.Path, call.Correlation)
			}
		}
	}
}

// The portal's description has no Retry-After: the pause stands in the message.
func TestAPauseInWordsIsKept(t *testing.T) {
	w := start(t, gateway.Options{Quota: sandbox.Quota{Calls: 2, Period: 2 * time.Second, Fixed: true}, OnlySentence: true})
	b := dial(t, w.conn)
	pages, err := b.read(t, stream(w.consent(w.patient(t, 1))), "", nil)
	if err != nil || len(pages) != 3 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	if p := b.ledger.Pauses(); len(p) != 1 || p[0].For < time.Second || p[0].For > 2*time.Second || p[0].Reason != "told in the body" {
		t.Errorf("%+v", p)
	}
	if inside := w.kit.Journal.InsideWindows(0); len(inside) > 0 {
		t.Errorf("calls were made inside the window: %+v", inside)
	}
}

// Wrong keys, wrong secrets and missing scopes are the connection's trouble; an ended token is a moment's.
func TestKeysAndTokens(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fetch.Connection)
		class  finance.Class
		words  string
	}{
		"wrong key":       {func(c *fetch.Connection) { c.Credentials["subscription_key"] = fetch.NewSecret("nonsense") }, finance.Fatal, "invalid subscription key"},
		"wrong secret":    {func(c *fetch.Connection) { c.Credentials["client_secret"] = fetch.NewSecret("nonsense") }, finance.Fatal, "unauthorized_client"},
		"no such scope":   {func(c *fetch.Connection) { c.Settings.(*Settings).Scope = "user/Patient.rc" }, finance.Fatal, "invalid_scope"},
		"a scope too few": {func(c *fetch.Connection) { c.Settings.(*Settings).Scope = "user/Patient.read" }, finance.Fatal, "Insufficient scope"},
		"a wrong path":    {func(c *fetch.Connection) { c.Settings.(*Settings).FHIRPath = "fire" }, finance.Fatal, "Resource not found"},
	} {
		w := start(t, gateway.Options{})
		w.conn.Credentials = maps.Clone(w.conn.Credentials)
		c.change(&w.conn)
		_, err := dial(t, w.conn).read(t, stream(w.consent(0)), "", nil)
		if fetch.ClassOf(err) != c.class || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, scope := range []string{"user/*.read", "user/Patient-read user/Invoice-read user/Contact-read", "system/*.rs", "user/Patient.rs user/Invoice.r user/Contact.cruds"} {
		w := start(t, gateway.Options{}, func(s *Settings) { s.Scope = scope })
		if _, err := dial(t, w.conn).read(t, stream(w.consent(0)), "", nil); err != nil {
			t.Errorf("%s: %v", scope, err)
		}
	}
	w := start(t, gateway.Options{})
	defer w.rule(t, sandbox.Rule{Times: 1, After: 1, Action: sandbox.Action{Kind: sandbox.ExpireTokens}})()
	b := dial(t, w.conn)
	if _, err := b.read(t, stream(w.consent(0)), "", nil); err != nil || w.sim.Tokens().Requests() != 2 {
		t.Errorf("%d tokens, %v", w.sim.Tokens().Requests(), err)
	}
}

func TestWhatCantBeRead(t *testing.T) {
	w := serve(t, cos(func(http.ResponseWriter, *http.Request) {}))
	b := dial(t, connection(w.base))
	plainless := aConsent()
	plainless.Subject = finance.NewSubject(keyed(person), "", keyed)
	norwegian := aConsent()
	norwegian.Subject = subjectWith("29868099311")
	for name, s := range map[string]fetch.Stream{
		"no consent": {Stream: finance.Stream{Dataset: finance.Debts}},
		"no number":  stream(plainless), "a Norwegian": stream(norwegian),
		"accounts": {Stream: finance.Stream{Dataset: finance.Accounts}, Scope: finance.Scope{Consent: &plainless}},
	} {
		if pages, err := b.read(t, s, "", nil); err == nil || len(pages) > 0 || strings.Contains(err.Error(), "2986809") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(w.calls) > 0 {
		t.Error("a call was made")
	}
}

func TestWithoutVisits(t *testing.T) {
	w := start(t, gateway.Options{}, func(s *Settings) { s.VisitFees = false })
	pages, err := dial(t, w.conn).read(t, stream(w.consent(w.patient(t, 2))), "", nil)
	if err != nil || len(pages) != 2 || !pages[1].Done || pages[1].Whole == nil || pages[1].Next != "" {
		t.Errorf("%v %+v", err, pages)
	}
}

func TestSettings(t *testing.T) {
	good := func() fetch.Connection { return connection("https://gw.test") }
	for name, change := range map[string]func(*fetch.Connection){
		"grant":       func(c *fetch.Connection) { c.Settings.(*Settings).Grant = "password" },
		"search":      func(c *fetch.Connection) { c.Settings.(*Settings).Search = "put" },
		"scope":       func(c *fetch.Connection) { c.Settings.(*Settings).Scope = " " },
		"path":        func(c *fetch.Connection) { c.Settings.(*Settings).RESTPath = "/" },
		"system":      func(c *fetch.Connection) { c.Settings.(*Settings).PatientSystem = "" },
		"redirect":    func(c *fetch.Connection) { c.Settings.(*Settings).Grant = byCode },
		"environment": func(c *fetch.Connection) { c.Environment = "moon" },
		"key":         func(c *fetch.Connection) { delete(c.Credentials, "subscription_key") },
		"another's":   func(c *fetch.Connection) { c.Settings = &struct{}{} },
		"address":     func(c *fetch.Connection) { c.BaseURL = "://" },
	} {
		c := good()
		change(&c)
		if _, err := Provider().Open(c); err == nil || !strings.Contains(err.Error(), "connection cos: ") || strings.Contains(err.Error(), gateway.DefaultClient().Secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := good()
	c.AuthURL, c.BaseURL = "", ""
	d, err := Provider().Open(c)
	if err != nil {
		t.Fatal(err)
	}
	ask, err := d.Token(fetch.TokenKey{})
	if err != nil || ask.URL != "https://api.openservices.cambio.se/auth/realms/COS/protocol/openid-connect/token" || ask.Style != fetch.BasicEscaped || d.Authorize != nil {
		t.Errorf("%+v, %v", ask, err)
	}
	c.Settings.(*Settings).TokenURL = "https://elsewhere.test/token"
	if d, err = Provider().Open(c); err == nil {
		ask, err = d.Token(fetch.TokenKey{})
	}
	if err != nil || ask.URL != "https://elsewhere.test/token" {
		t.Errorf("%+v, %v", ask, err)
	}
	if u, err := url.Parse(defaultIssuer); err != nil || d.Base.Host != u.Host {
		t.Errorf("%v, %v", d.Base, err)
	}
}
