package cambio

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	gateway "syncer/sandbox/cambio"
)

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
	return finance.Consent{ID: 1, ExternalID: "c", Subject: fetchtest.Subject(person), Status: finance.ConsentActive}
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
	pages, err := b.Read(t.Context(), fetchtest.StreamOf(aConsent(), finance.Debts), "")
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

// A server whose links are places in a list, and not of a search, gives the same ones in the new search.
func TestALinkMayComeAgainInANewSearch(t *testing.T) {
	var w *wire
	dead := true
	w = serve(t, cos(func(out http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Get("offset") == "":
			_, _ = io.WriteString(out, strings.Replace(
				withNext(w.base+"/fhir/Invoice?offset=1", `{"resourceType":"Invoice","status":"draft"}`), `"total":1`, `"total":2`, 1))
		case dead:
			dead = false
			out.WriteHeader(http.StatusGone)
		default:
			_, _ = io.WriteString(out, strings.Replace(bundleOf(bill()), `"total":1`, `"total":2`, 1))
		}
	}))
	pages, err := dial(t, connection(w.base)).Read(t.Context(), fetchtest.StreamOf(aConsent(), finance.Debts), "")
	if err != nil || len(pages) != 6 || len(table(pages)) != 2 || pages[4].Whole == nil {
		t.Errorf("%d pages, %v, %v", len(pages), table(pages), err)
	}
}

// A next link may lead astray in every way there is.
func TestNextLinks(t *testing.T) {
	for link, c := range map[string]struct {
		class finance.Class
		words string
	}{
		"https://evil.example/fhir?x=1":                {finance.Malformed, "refused: it leads to another host"},
		"BASE@evil.example/fhir?x=1":                   {finance.Malformed, "refused: it names a user"},
		"BASE/fhir/../auth?x=1":                        {finance.Malformed, "leaves the FHIR API"},
		"BASE/auth/realms/COS/x":                       {finance.Malformed, "leaves the FHIR API"},
		"BASE/fhirx?x=1":                               {finance.Malformed, "leaves the FHIR API"},
		"BASE/fhir/Patient?x=1":                        {finance.Malformed, "another list"},
		"BASE/fhir?x=" + person:                        {finance.Malformed, "personnummer"},
		"BASE/fhir?x=" + person[2:]:                    {finance.Malformed, "personnummer"},
		"?x=" + person[2:8] + "-" + person[8:]:         {finance.Malformed, "personnummer"},
		"?x=%31" + person[1:]:                          {finance.Malformed, "personnummer"},
		"?always=the-same":                             {finance.OK, "repeats itself"},
		"/fhir?always=the-same":                        {finance.OK, "repeats itself"},
		"BASE/fhir?always=the-same":                    {finance.OK, "repeats itself"},
		"fhir?always=the-same":                         {finance.OK, "repeats itself"},
		"BASE/fhir/Invoice?_offset=1&subject=Patient/": {finance.OK, "repeats itself"},
	} {
		var w *wire
		w = serve(t, cos(func(out http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(out, withNext(strings.Replace(link, "BASE", w.base, 1), bill()))
		}))
		b := dial(t, connection(w.base))
		pages, err := b.Read(t.Context(), fetchtest.StreamOf(aConsent(), finance.Debts), "")
		said := fmt.Sprint(err)
		for _, p := range pages {
			said += p.Partial
			if p.Whole != nil && p.Whole.Prefix == invoicePrefix {
				t.Errorf("%s: the invoices are declared whole", link)
			}
		}
		if (err == nil) != (c.class == finance.OK) || err != nil && fetch.ClassOf(err) != c.class || !strings.Contains(said, c.words) || len(pages) > 4 {
			t.Errorf("%s: %d pages, %s", link, len(pages), said)
		}
		for _, form := range []string{person[2:], person[2:8] + "-" + person[8:]} {
			if err != nil && strings.Contains(err.Error()+b.Log.String(), form) {
				t.Errorf("%s: somebody is given away: %v\n%s", link, err, b.Log.String())
			}
		}
	}
}

// A stored cursor is data: its link is checked like the provider's. One that may not be followed, such as after a change
// of the addresses, costs a new search.
func TestAStoredLinkIsCheckedToo(t *testing.T) {
	for _, link := range []string{"https://evil.example/fhir", "/auth"} {
		w := serve(t, cos(func(out http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(out, bundleOf(bill())) }))
		b := dial(t, connection(w.base))
		from := cursor{At: atInvoices, Patient: patientID, Link: strings.Replace(link, "/auth", w.base+"/auth", 1)}.String()
		pages, err := b.Read(t.Context(), fetchtest.StreamOf(aConsent(), finance.Debts), from)
		if err != nil || len(pages[0].Records.Debts) != 1 || !pages[len(pages)-1].Done {
			t.Errorf("%s: %d pages, %v", link, len(pages), err)
		}
		if len(w.calls) != 2 || w.calls[0].URL.Path != "/fhir/Invoice/_search" {
			t.Errorf("%s: %d calls, the first to %v", link, len(w.calls), w.calls[0].URL)
		}
		if n := strings.Count(b.Log.String(), "the list is read from its beginning once more"); n != 1 {
			t.Errorf("%s: said %d times", link, n)
		}
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
		"a record of that key": {[]string{withNext("BASE/fhir?p=2", bill("totalGross", "")), bundleOf(bill("id", `"b"`))}, true, ""},
		"a record of no key":   {[]string{withNext("BASE/fhir?p=2", bill("id", "")), bundleOf(bill("id", `"b"`))}, false, ""},
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
		pages, err := dial(t, connection(w.base)).Read(t.Context(), fetchtest.StreamOf(aConsent(), finance.Debts), "")
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
	_, err := b.Read(t.Context(), fetchtest.StreamOf(aConsent(), finance.Debts), "")
	if fetch.ClassOf(err) != finance.Withheld || !strings.Contains(err.Error(), "knows no patient") {
		t.Error(err)
	}
	if calls := b.Store.Calls(); len(calls) != 2 || calls[1].Class != finance.Withheld {
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
	pages, err := b.Read(t.Context(), fetchtest.StreamOf(aConsent(), finance.Debts), "")
	if err != nil || len(pages) != 3 || pages[2].Partial == "" || pages[2].Whole != nil || !pages[2].Done {
		t.Fatalf("%v %+v", err, pages)
	}
	if reason := pages[2].Answer.Call.Reason; reason != "No patient found for [number]" {
		t.Errorf("reason %q", reason)
	}
}

func TestWhatCantBeRead(t *testing.T) {
	w := serve(t, cos(func(http.ResponseWriter, *http.Request) {}))
	b := dial(t, connection(w.base))
	plainless := aConsent()
	plainless.Subject = finance.NewSubject(fetchtest.Keyed(person), "", fetchtest.Keyed)
	norwegian := aConsent()
	norwegian.Subject = fetchtest.Subject("29868099311")
	for name, s := range map[string]fetch.Stream{
		"no consent": {Stream: finance.Stream{Dataset: finance.Debts}},
		"no number":  fetchtest.StreamOf(plainless, finance.Debts), "a Norwegian": fetchtest.StreamOf(norwegian, finance.Debts),
		"accounts": {Stream: finance.Stream{Dataset: finance.Accounts}, Task: calls.Task{Consent: &plainless}},
	} {
		if pages, err := b.Read(t.Context(), s, ""); err == nil || len(pages) > 0 || strings.Contains(err.Error(), "2986809") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(w.calls) > 0 {
		t.Error("a call was made")
	}
}
