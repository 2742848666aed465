package cambio_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"syncer/sandbox"
	"syncer/sandbox/cambio"
)

type bundle struct {
	ResourceType string
	Total        *int
	Link         []struct{ Relation, URL string }
	Entry        []struct {
		Resource struct {
			ResourceType, ID, Status string
			Subject                  struct{ Reference string }
			Identifier               []struct{ System, Value string }
			TotalGross               struct {
				Value    json.RawMessage
				Currency string
			}
		}
		Search struct{ Mode string }
	}
}

func (b *bundle) next() string {
	for _, l := range b.Link {
		if l.Relation == "next" {
			return l.URL
		}
	}
	return ""
}

const number = "urn:oid:1.2.752.129.2.1.3.1|"

func (g *region) search(t *testing.T, token, kind, form string) (b bundle) {
	t.Helper()
	r := g.do(t, token, "POST", "/fhir/"+kind+"/_search", "", form)
	if r.Status != 200 || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/fhir+json") {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	r.Decode(t, &b)
	return b
}

func TestEveryPatientIsValidSyntheticAndFound(t *testing.T) {
	g := open(t, cambio.Options{Patients: 300})
	token := g.token(t, all)
	seen := map[string]bool{}
	for i := range g.Len() {
		p := g.Patient(i)
		sum := 0
		for n, c := range p.Personnummer[2:] {
			d := int(c - '0')
			if n%2 == 0 {
				d *= 2
			}
			sum += d/10 + d%10
		}
		if seen[p.Personnummer] || seen[p.ID] || sum%10 != 0 || p.Personnummer[8:10] < "98" {
			t.Fatalf("patient %d: %+v", i, p)
		}
		seen[p.Personnummer], seen[p.ID] = true, true
	}
	p := g.Patient(299)
	b := g.search(t, token, "Patient", url.Values{"identifier": {number + p.Personnummer}}.Encode())
	g.do(t, token, "GET", "/api/open/contacts", p.Personnummer, "")
	if n := g.Kit.Journal.CountSubject(cambio.Name, p.InternalID); n != 2 {
		t.Errorf("the journal has %d calls about the patient", n)
	}
	if len(b.Entry) != 1 || b.Entry[0].Resource.ID != p.ID || b.Entry[0].Resource.Identifier[0].Value != p.Personnummer || b.Entry[0].Search.Mode != "match" {
		t.Errorf("%+v", b)
	}
	for _, form := range []string{"identifier=" + url.QueryEscape("http://electronichealth.se/identifier/pnr|"+p.Personnummer), "identifier=x", "identifier=" + url.QueryEscape(number+"194609073277")} {
		if b := g.search(t, token, "Patient", form); len(b.Entry) != 0 || *b.Total != 0 {
			t.Errorf("%s: %+v", form, b)
		}
	}
}

func TestInvoicePages(t *testing.T) {
	g := open(t, cambio.Options{MaxInvoices: 100})
	token := g.token(t, all)
	i := 0
	for g.Patient(i).Open < 30 {
		i++
	}
	p := g.Patient(i)
	form := url.Values{"subject": {"Patient/" + p.ID}}.Encode()
	ids, open := map[string]bool{}, 0
	b := g.search(t, token, "Invoice", form)
	for first := true; ; first = false {
		if !first && len(b.Entry) > 20 || first && len(b.Entry) != 20 {
			t.Errorf("a page of %d", len(b.Entry))
		}
		for _, e := range b.Entry {
			if ids[e.Resource.ID] || e.Resource.Subject.Reference != "Patient/"+p.ID || e.Resource.TotalGross.Currency != "SEK" || e.Resource.TotalGross.Value[0] == '"' {
				t.Errorf("%+v", e)
			}
			ids[e.Resource.ID] = true
			if e.Resource.Status == "issued" {
				open++
			}
		}
		link := b.next()
		if link == "" {
			break
		}
		r := g.do(t, token, "GET", link, "", "")
		b = bundle{}
		r.Decode(t, &b)
	}
	if len(ids) != *b.Total || open != p.Open {
		t.Errorf("%d invoices, %d open; total %d, open %d", len(ids), open, *b.Total, p.Open)
	}
	if n := g.Kit.Journal.CountSubject(cambio.Name, p.InternalID); n != (len(ids)+19)/20 {
		t.Errorf("the journal has %d calls about the patient", n)
	}
	g.Bill(i)
	g.Pay(i)
	if after := g.search(t, token, "Invoice", form); *after.Total != *b.Total+1 || g.Patient(i).Open != open {
		t.Errorf("total %d, open %d", *after.Total, g.Patient(i).Open)
	}
}

func TestPagesExpire(t *testing.T) {
	for _, status := range []int{0, 404} {
		g := open(t, cambio.Options{MaxInvoices: 100, ExpiredStatus: status, TokenTTL: time.Hour, MoneyAsText: true, NoTotal: true})
		token := g.token(t, all)
		i := 0
		for g.Patient(i).Open < 30 {
			i++
		}
		b := g.search(t, token, "Invoice", "subject="+g.Patient(i).ID)
		if b.Total != nil || b.Entry[0].Resource.TotalGross.Value[0] != '"' {
			t.Errorf("%+v", b)
		}
		g.Kit.Clock.Advance(5*time.Minute - time.Second)
		if r := g.do(t, token, "GET", b.next(), "", ""); r.Status != 200 {
			t.Errorf("in time: %d %s", r.Status, r.Body)
		}
		g.Kit.Clock.Advance(time.Second)
		want := status
		if status == 0 {
			want = 410
		}
		if r := g.do(t, token, "GET", b.next(), "", ""); r.Status != want || !strings.Contains(r.Body, "may have expired") {
			t.Errorf("too late: %d %s", r.Status, r.Body)
		}
	}
}

func TestSearchesThatAreRefused(t *testing.T) {
	g := open(t, cambio.Options{})
	token := g.token(t, all)
	for _, x := range []struct {
		method, path, body string
		status             int
		words              string
	}{
		{"GET", "/fhir/Invoice?subject=x&_count=50", "", 400, "Invalid/Unsupported Search parameters"},
		{"GET", "/fhir/Patient?family=a&identifier=b", "", 400, "Combination of parameters [name & identifier] are not supported"},
		{"GET", "/fhir/Patient/_search?given=a", "", 200, "Bundle"},
		{"GET", "/fhir/Invoice/_search?subject=a", "", 400, "Invalid query parameter"},
		{"POST", "/fhir/Invoice", "subject=a", 400, "Invalid query parameter"},
		{"POST", "/fhir/Invoice/_search", "{}", 400, "Invalid query parameter"},
		{"DELETE", "/fhir/Invoice", "", 400, "Invalid query parameter"},
		{"GET", "/fhir/Invoice/17", "", 501, "not-supported"},
		{"GET", "/fhir/Condition?subject=a", "", 404, "Unknown resource type"},
		{"GET", "/fhir/Task?patient=a", "", 400, "not-supported"},
		{"GET", "/fhir", "", 400, "Invalid query parameter"},
		{"GET", "/fhir?_getpages=x&_getpagesoffset=1", "", 410, "may have expired"},
		{"GET", "/fhir/metadata", "", 200, "CapabilityStatement"},
	} {
		if r := g.do(t, token, x.method, x.path, "", x.body); r.Status != x.status || !strings.Contains(r.Body, x.words) {
			t.Errorf("%s %s: %d %s", x.method, x.path, r.Status, r.Body)
		}
	}
	g = open(t, cambio.Options{InjectSID: true})
	token = g.token(t, all)
	if r := g.do(t, token, "GET", "/fhir/Invoice?subject=x", "", ""); r.Status != 400 || !strings.Contains(r.Body, "Invalid search criteria") {
		t.Errorf("with _sid: %d %s", r.Status, r.Body)
	}
	g.search(t, token, "Invoice", "subject=x")
}

func TestWrongSubjectIsTheNeighbour(t *testing.T) {
	g := open(t, cambio.Options{})
	token, me := g.token(t, all), g.Patient(3)
	g.Rule(t, sandbox.Rule{Action: sandbox.Action{Kind: sandbox.WrongSubject}})
	b := g.search(t, token, "Patient", url.Values{"identifier": {number + me.Personnummer}}.Encode())
	if len(b.Entry) != 1 || b.Entry[0].Resource.ID != g.Patient(4).ID {
		t.Errorf("%+v", b)
	}
	if r := g.do(t, token, "GET", "/api/open/patient", me.Personnummer, ""); strings.Contains(r.Body, me.Personnummer) || !strings.Contains(r.Body, g.Patient(4).Personnummer) {
		t.Error(r.Body)
	}
}

func TestContactsAndAppointments(t *testing.T) {
	g := open(t, cambio.Options{V1Prefix: "/api/open/v1/"})
	token := g.token(t, all)
	type record struct {
		ContactEHRExtract []struct {
			TimeCreated struct{ Value string }
			Contact     struct {
				ContactInternalID, ContactPatientFee string
				ContactBeginDateTime                 struct{ Value string }
			}
		}
	}
	i := 0
	var all []record
	for len(all) < 5 {
		i++
		all = nil
		g.do(t, token, "GET", "/api/open/contacts", g.Patient(i).Personnummer, "").Decode(t, &all)
	}
	me := g.Patient(i).Personnummer
	if len(all[0].ContactEHRExtract) != 1 || len(all[0].ContactEHRExtract[0].TimeCreated.Value) != 14 {
		t.Errorf("%+v", all)
	}
	var some []record
	from := begin.AddDate(0, 0, -15).Format("2006-01-02T15:04:05")
	g.do(t, token, "GET", "/api/open/contacts?fromDateTime="+from+"&toDateTime=2026-10-31T00:00:00", me, "").Decode(t, &some)
	if len(some) != 1 || some[0].ContactEHRExtract[0].Contact.ContactBeginDateTime.Value != "20261024110000" { // summer time
		t.Errorf("%+v", some)
	}
	g.Raise(i)
	g.Raise(i)
	g.do(t, token, "GET", "/api/open/contacts", me, "").Decode(t, &all)
	if all[0].ContactEHRExtract[0].Contact.ContactPatientFee != "100" {
		t.Errorf("%+v", all[0])
	}
	id := "c-" + g.Patient(i).InternalID
	for body, want := range map[string]string{`{"status":"arrived"}`: `"ResultCode":"OK"`, `{"status":"gone"}`: `"ResultCode":"ERROR"`} {
		if r := g.do(t, token, "PUT", "/api/open/appointments/?id="+id, me, body); r.Status != 200 || !strings.Contains(r.Body, want) {
			t.Errorf("%s: %d %s", body, r.Status, r.Body)
		}
	}
	if r := g.do(t, token, "GET", "/api/open/appointments", me, ""); !strings.HasPrefix(r.Body, `[{"Any":[],"Booking":[{`) || !strings.Contains(r.Body, `"Price":200`) {
		t.Error(r.Body)
	}
	if r := g.do(t, token, "GET", "/api/open/v1/journalnotes", me, ""); !strings.Contains(r.Body, `"XSDVersion":{"version":0.21}`) || !strings.Contains(r.Body, "HCMContacInternaltID") {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	g = open(t, cambio.Options{FreshTimeCreated: true})
	g.do(t, g.token(t, "user/*.read"), "GET", "/api/open/contacts", g.Patient(i).Personnummer, "").Decode(t, &all)
	if len(all) > 0 && all[0].ContactEHRExtract[0].TimeCreated.Value != "20261103100000" {
		t.Errorf("%+v", all[0])
	}
}

// A patient logs in, and the token that comes of it shows that patient alone.
func TestLogin(t *testing.T) {
	g := open(t, cambio.Options{NumberClaim: "pnr"})
	me, c := g.Patient(5), cambio.DefaultClient()
	g.Authorize().Sit(sandbox.Person{NationalID: me.Personnummer})
	question := url.Values{"response_type": {"code"}, "client_id": {c.ID}, "redirect_uri": {c.Redirects[0]}, "state": {"12345678"}, "scope": {"openid offline_access patient/Patient.read patient/Contact.read"}}
	r := g.call(t, "GET", realm+"/protocol/openid-connect/auth?"+question.Encode(), "")
	back, err := url.Parse(r.Header.Get("Location"))
	if err != nil || r.Status != http.StatusFound || back.Query().Get("state") != "12345678" || back.Query().Get("iss") != g.Base+realm || back.Query().Get("session_state") == "" {
		t.Fatalf("%d %v", r.Status, back)
	}
	var got struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		ID      string `json:"id_token"`
		Ends    int    `json:"refresh_expires_in"`
	}
	g.ask(t, url.Values{"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {c.Redirects[0]}}, c.ID, c.Secret).Decode(t, &got)
	if got.Refresh == "" || strings.Count(got.ID, ".") != 2 || got.Ends != 30*24*3600 {
		t.Fatalf("%+v", got)
	}
	for patient, want := range map[string]int{"": 200, me.Personnummer: 200, g.Patient(6).Personnummer: 403} {
		if r := g.do(t, got.Access, "GET", "/api/open/contacts", patient, ""); r.Status != want {
			t.Errorf("patient %q: %d %s", patient, r.Status, r.Body)
		}
	}
	if b := g.search(t, got.Access, "Patient", url.Values{"identifier": {number + g.Patient(6).Personnummer}}.Encode()); len(b.Entry) != 0 {
		t.Errorf("another patient: %+v", b)
	}
	first := got.Refresh
	g.ask(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first}}, c.ID, c.Secret).Decode(t, &got)
	if got.Refresh == first {
		t.Error("the refresh token was not rotated")
	}
	question.Set("scope", "user/Patient.rc")
	r = g.call(t, "GET", realm+"/protocol/openid-connect/auth?"+question.Encode(), "")
	if !strings.Contains(r.Header.Get("Location"), "error=invalid_scope") {
		t.Error(r.Header.Get("Location"))
	}
}

func TestControls(t *testing.T) {
	g := open(t, cambio.Options{})
	i := 0
	for g.Patient(i).Open == 0 {
		i++
	}
	p := g.Patient(i)
	control := func(method, path string, want int) string {
		t.Helper()
		r := g.call(t, method, "/_sandbox/cambio/"+path, "")
		if r.Status != want {
			t.Errorf("%s: %d %s", path, r.Status, r.Body)
		}
		return r.Body
	}
	control("POST", "bill?patient="+p.Personnummer, 204)
	control("POST", "bill?patient="+p.Personnummer, 204)
	control("POST", "pay?patient="+p.Personnummer, 204)
	control("POST", "raise?patient="+p.Personnummer, 204)
	control("POST", "pay?patient=1", 404)
	control("POST", "close?patient="+g.Patient(i+1).Personnummer, 204)
	control("POST", "sit?mood=denies", 204)
	if got := g.Patient(i).Open; got != p.Open+1 {
		t.Errorf("%d open, %d before", got, p.Open)
	}
	token := g.token(t, all)
	for closed, want := range map[int]int{i: 200, i + 1: 403} {
		rest := g.do(t, token, "GET", "/api/open/contacts", g.Patient(closed).Personnummer, "")
		fhir := g.do(t, token, "GET", "/fhir/Invoice?subject="+g.Patient(closed).ID, "", "")
		if rest.Status != want || fhir.Status != want {
			t.Errorf("want %d: %d %s, %d %s", want, rest.Status, rest.Body, fhir.Status, fhir.Body)
		}
	}
	if csv := control("GET", "patients", 200); strings.Count(csv, "\n") != g.Len()+1 || !strings.Contains(csv, p.Personnummer+","+p.ID) {
		t.Error(csv)
	}
	for _, e := range g.Kit.Journal.Entries() {
		if strings.Contains(e.Path, p.Personnummer) {
			t.Errorf("%+v", e)
		}
	}
}

// The same seed is the same world, in any order of asking.
func TestTheWorldIsSeeded(t *testing.T) {
	a, b := open(t, cambio.Options{}), open(t, cambio.Options{})
	for i := a.Len() - 1; i >= 0; i-- {
		if a.Patient(i) != b.Patient(i) {
			t.Errorf("%+v, %+v", a.Patient(i), b.Patient(i))
		}
	}
	c := open(t, cambio.Options{Seed: 12})
	if a.Patient(0) == c.Patient(0) {
		t.Error("another seed made the same patient")
	}
	form := url.Values{"subject": {"Patient/" + a.Patient(7).ID}}.Encode()
	x, y := a.search(t, a.token(t, all), "Invoice", form), b.search(t, b.token(t, all), "Invoice", form)
	if len(x.Entry) != len(y.Entry) {
		t.Fatalf("%d and %d invoices", len(x.Entry), len(y.Entry))
	}
	for i := range x.Entry {
		if x.Entry[i].Resource.ID != y.Entry[i].Resource.ID || string(x.Entry[i].Resource.TotalGross.Value) != string(y.Entry[i].Resource.TotalGross.Value) {
			t.Errorf("%+v, %+v", x.Entry[i], y.Entry[i])
		}
	}
}
