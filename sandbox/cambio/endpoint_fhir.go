package cambio

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"syncer/sandbox"
)

// resources are the types that can be searched, with their parameters.
var resources = map[string][]string{
	"Patient": {"family", "given", "name", "identifier"},
	"Invoice": {"encounter", "subject"},
}

// unsupported are types in the CapabilityStatement that no search by patient
// works for.
var unsupported = []string{"MedicationRequest", "MedicationDispense", "DiagnosticReport", "Task"}

func (s *Simulator) serveFHIR(w http.ResponseWriter, r *http.Request, grant sandbox.Grant) {
	kind, action, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, fhirRoot), "/"), "/")
	supported, known := resources[kind]
	switch {
	case kind == "":
		s.servePage(w, r, grant)
	case kind == "metadata":
		s.serveCapabilities(w)
	case slices.Contains(unsupported, kind):
		s.outcome(w, http.StatusBadRequest, issue{Code: "not-supported", Diagnostics: "Search by patient is not supported for " + kind})
	case !known:
		s.outcome(w, http.StatusNotFound, issue{Code: "not-found", Diagnostics: "Unknown resource type '" + kind + "'"})
	case action != "" && action != "_search":
		s.outcome(w, http.StatusNotImplemented, issue{Code: "not-supported", Diagnostics: "Read is not simulated"})
	case !allows(grant.Scope, kind, "read"):
		s.outcome(w, http.StatusForbidden, issue{Code: "forbidden", Text: "Insufficient scope"})
	default:
		s.serveSearch(w, r, kind, supported, grant)
	}
}

func (s *Simulator) serveCapabilities(w http.ResponseWriter) {
	types := []any{}
	for _, kind := range []string{"Patient", "Invoice", "Condition", "MedicationRequest"} {
		types = append(types, obj{"type": kind, "interaction": []any{obj{"code": "search-type"}}})
	}
	writeJSON(w, fhirJSON, http.StatusOK, obj{"resourceType": "CapabilityStatement", "status": "active", "kind": "instance",
		"fhirVersion": "4.0.1", "format": []string{"json"}, "rest": []any{obj{"mode": "server", "resource": types}}})
}

// parameters are those of a search: of the query, and of the form of a POST. The
// body can be read again.
func parameters(r *http.Request) (url.Values, bool) {
	form := r.URL.Query()
	form.Del("subscription-key")
	if r.Method != http.MethodPost {
		return form, true
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	r.Body = io.NopCloser(bytes.NewReader(body))
	posted, bad := url.ParseQuery(string(body))
	if err != nil || bad != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return nil, false
	}
	for name, values := range posted {
		form[name] = append(form[name], values...)
	}
	return form, true
}

// asked is the patient whom a search names, by identifier or as its subject.
func (s *Simulator) asked(form url.Values) (int, bool) {
	if form.Has("subject") {
		return s.world.byID(strings.TrimPrefix(form.Get("subject"), "Patient/"))
	}
	system, number, qualified := strings.Cut(form.Get("identifier"), "|")
	if !qualified {
		return s.world.byNumber(system)
	}
	i, known := s.world.byNumber(number)
	return i, known && system == "urn:oid:"+personRoot
}

func (s *Simulator) serveSearch(w http.ResponseWriter, r *http.Request, kind string, supported []string, grant sandbox.Grant) {
	form, ok := parameters(r)
	if !ok || !searchable(r, kind) {
		s.outcome(w, http.StatusBadRequest, issue{Code: "processing", Diagnostics: "Invalid query parameter"})
		return
	}
	if s.o.InjectSID && r.Method == http.MethodGet {
		s.outcome(w, http.StatusBadRequest, issue{Code: "processing", Diagnostics: "Invalid search criteria"})
		return
	}
	for name := range form {
		if !slices.Contains(supported, name) {
			s.outcome(w, http.StatusBadRequest, issue{Code: "processing", Diagnostics: "Invalid/Unsupported Search parameters"})
			return
		}
	}
	if form.Has("identifier") && (form.Has("name") || form.Has("family") || form.Has("given")) {
		s.outcome(w, http.StatusBadRequest, issue{Code: "processing", Diagnostics: "Combination of parameters [name & identifier] are not supported"})
		return
	}
	if i, known := s.asked(form); known && s.world.changed(i).closed {
		s.outcome(w, http.StatusForbidden, issue{Code: "suppressed", Text: "The record is blocked"})
		return
	}
	asked := ""
	if s.o.ReuseSearches {
		asked = kind + "?" + form.Encode()
	}
	find := func() []any { return s.find(r, kind, form, grant) }
	one := search{asked: asked, found: find(), find: find, subject: s.subject(r)}
	id, found := s.searches.keep(one, s.o.PageSize, s.endless.Load(), s.o.Kit.Clock.Now())
	s.bundle(w, r, id, found, 0)
}

// searchable says whether a request is a search: GET on the type or POST on its
// _search. The guide also writes GET [base]/Patient/_search.
func searchable(r *http.Request, kind string) bool {
	named := strings.HasSuffix(r.URL.Path, "/_search")
	switch r.Method {
	case http.MethodPost:
		return named
	case http.MethodGet:
		return !named || kind == "Patient"
	}
	return false
}

// find is what a search matches. A patient's own token sees that patient only.
func (s *Simulator) find(r *http.Request, kind string, form url.Values, grant sandbox.Grant) []any {
	i, known := s.asked(form)
	if !known || grant.Subject != "" && grant.Subject != personnummer(s.o.Seed, i) {
		return nil
	}
	if _, wrong := sandbox.FaultOf(r, sandbox.WrongSubject); wrong {
		i = (i + 1) % s.o.Patients
	}
	if kind == "Patient" {
		return []any{s.patientResource(i)}
	}
	var out []any
	for _, in := range s.world.invoices(i) {
		out = append(out, in)
	}
	return out
}

func (s *Simulator) patientResource(i int) obj {
	p := s.world.patient(i)
	return obj{"resourceType": "Patient", "id": p.ID, "active": true,
		"identifier": []any{obj{"system": "urn:oid:" + personRoot, "value": p.Personnummer}},
		"name":       []any{obj{"family": p.Family, "given": []string{p.Given}}},
		"birthDate":  p.Personnummer[:4] + "-" + p.Personnummer[4:6] + "-" + p.Personnummer[6:8]}
}

// bundle answers with the page of a search that begins at offset.
func (s *Simulator) bundle(w http.ResponseWriter, r *http.Request, id string, found []any, offset int) {
	if s.o.LivePages {
		found = s.searches.live(id, found)
		offset = min(offset, len(found))
	}
	base := "http://" + r.Host + fhirRoot
	page := found[offset:min(offset+s.o.PageSize, len(found))]
	links := []any{obj{"relation": "self", "url": base + "?_getpages=" + id + "&_getpagesoffset=" + strconv.Itoa(offset)}}
	if end := offset + len(page); end < len(found) {
		links = append(links, obj{"relation": "next", "url": fmt.Sprintf("%s?_getpages=%s&_getpagesoffset=%d&_bundletype=searchset", base, id, end)})
	}
	if end := offset + len(page); s.endless.Load() && end == len(found) && invoices(page) {
		turn, _ := strconv.Atoi(r.URL.Query().Get("_turn")) // absent: the first
		links = append(links, obj{"relation": "next", "url": fmt.Sprintf("%s?_getpages=%s&_getpagesoffset=%d&_turn=%d", base, id, offset, turn+1)})
	}
	b := obj{"resourceType": "Bundle", "id": id, "type": "searchset", "link": links}
	if !s.o.NoTotal {
		b["total"] = len(found)
	}
	entries := []any{}
	for _, resource := range page {
		entries = append(entries, obj{"resource": resource, "search": obj{"mode": "match"}})
	}
	if len(entries) > 0 { // FHIR has no empty arrays
		b["entry"] = entries
	}
	writeJSON(w, fhirJSON, http.StatusOK, b)
}

// invoices says whether a page shows some.
func invoices(page []any) bool {
	if len(page) == 0 {
		return false
	}
	_, ok := page[0].(invoice)
	return ok
}

// servePage answers a next link.
func (s *Simulator) servePage(w http.ResponseWriter, r *http.Request, grant sandbox.Grant) {
	id := r.URL.Query().Get("_getpages")
	offset, err := strconv.Atoi(r.URL.Query().Get("_getpagesoffset"))
	found, ok := s.searches.get(id, s.o.Kit.Clock.Now())
	switch {
	case id == "", err != nil:
		s.outcome(w, http.StatusBadRequest, issue{Code: "processing", Diagnostics: "Invalid query parameter"})
	case !ok:
		s.outcome(w, s.o.ExpiredStatus, issue{Code: "not-found", Diagnostics: "Search ID \"" + id + "\" does not exist and may have expired"})
	case offset < 0, offset > len(found):
		s.outcome(w, http.StatusBadRequest, issue{Code: "processing", Diagnostics: "Invalid query parameter"})
	case !allows(grant.Scope, "Invoice", "read"):
		s.outcome(w, http.StatusForbidden, issue{Code: "forbidden", Text: "Insufficient scope"})
	default:
		s.bundle(w, r, id, found, offset)
	}
}
