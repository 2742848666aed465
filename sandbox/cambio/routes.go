package cambio

import (
	"net/http"
	"strings"

	"syncer/sandbox"
)

const (
	restRoot = "/api/open"
	fhirRoot = "/fhir"

	plainJSON = "application/json"
	fhirJSON  = "application/fhir+json; charset=utf-8"
)

// describe recognises a request for the journal and for fault rules. Calls to
// the realm have a bucket of their own: they need no subscription.
func (s *Simulator) describe(r *http.Request) sandbox.Call {
	path := r.URL.Path
	if strings.HasPrefix(path, s.o.Realm+"/") {
		token := path == s.o.Realm+tokenPath
		return sandbox.Call{Bucket: s.tokens.ClientOf(r) + "/realm", Template: strings.TrimPrefix(path, s.o.Realm), Token: token}
	}
	c := sandbox.Call{Bucket: s.subscription(r), Template: strings.TrimSuffix(path, "/"), Subject: s.subject(r)}
	if path == fhirRoot {
		c.Template = fhirRoot + "/{page}"
	}
	return c
}

// subject is the internal id of the patient whom a call is about, for the journal
// and for rules; empty if it names none.
func (s *Simulator) subject(r *http.Request) string {
	i, known := s.world.byNumber(r.Header.Get("patient"))
	if strings.HasPrefix(r.URL.Path, fhirRoot) {
		form, _ := parameters(r)
		if page := form.Get("_getpages"); page != "" {
			return s.searches.subject(page)
		}
		i, known = s.asked(form)
	}
	if !known {
		return ""
	}
	return s.world.internalID(i)
}

// subscription names the subscription whose key a request carries; "anonymous"
// for none that is known.
func (s *Simulator) subscription(r *http.Request) string {
	key := subscriptionKey(r)
	for _, one := range s.o.Subscriptions {
		if key != "" && one.Key == key {
			return one.Name
		}
	}
	return "anonymous"
}

func subscriptionKey(r *http.Request) string {
	if key := r.Header.Get("Ocp-Apim-Subscription-Key"); key != "" {
		return key
	}
	return r.URL.Query().Get("subscription-key")
}

// serve does what the gateway does, in its order: route, key, token. The scope
// is looked at last, since it depends on the service.
func (s *Simulator) serve(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	rest := s.restService(path)
	fhir := path == fhirRoot || strings.HasPrefix(path, fhirRoot+"/")
	switch {
	case strings.HasPrefix(path, s.o.Realm+"/"):
		s.serveRealm(w, r, strings.TrimPrefix(path, s.o.Realm))
		return
	case rest == "" && !fhir:
		s.apim(w, http.StatusNotFound, "Resource not found")
		return
	case subscriptionKey(r) == "":
		w.Header().Set("WWW-Authenticate", `AzureApiManagementKey realm="`+r.Host+`",name="Ocp-Apim-Subscription-Key",type="header"`)
		s.apim(w, http.StatusUnauthorized, "Access denied due to missing subscription key. Make sure to include subscription key when making requests to an API.")
		return
	case s.subscription(r) == "anonymous":
		s.apim(w, http.StatusUnauthorized, "Access denied due to invalid subscription key. Make sure to provide a valid key for an active subscription.")
		return
	}
	grant, _, live := s.tokens.Bearer(r)
	switch {
	case !live && fhir:
		s.outcome(w, http.StatusUnauthorized, issue{Code: "forbidden", Text: "The authorization token was invalid", Diagnostics: "TokenError"})
	case !live:
		s.apim(w, http.StatusUnauthorized, "Invalid access token.")
	case fhir:
		s.serveFHIR(w, r, grant)
	default:
		s.serveREST(w, r, rest, grant)
	}
}

// restService is the service that a path names; empty if there is none. The
// paths have been seen with and without a slash at the end.
func (s *Simulator) restService(path string) string {
	if s.o.V1Prefix != "" && strings.TrimSuffix(path, "/") == "/"+strings.Trim(s.o.V1Prefix, "/")+"/journalnotes" {
		return "journalnotes v1"
	}
	name := strings.TrimSuffix(strings.TrimPrefix(path, restRoot+"/"), "/")
	if _, ok := restServices[name]; !ok || !strings.HasPrefix(path, restRoot+"/") {
		return ""
	}
	return name
}

// allows says whether a token's scopes let it read or write a resource, in any
// of the three spellings: user/Patient-read, user/Patient.read, user/Patient.rs.
func allows(granted, resource, verb string) bool {
	for scope := range strings.FieldsSeq(granted) {
		_, rest, _ := strings.Cut(scope, "/")
		name, right, ok := strings.Cut(rest, ".")
		if !ok {
			name, right, ok = strings.Cut(rest, "-")
		}
		if ok && (name == resource || name == "*") && (right == verb || right == "*" || isLetters(right) && strings.Contains(right, verb[:1])) {
			return true
		}
	}
	return false
}

// isLetters says whether a right is made of SMART v2's letters, in their order.
func isLetters(right string) bool {
	at := -1
	for _, c := range right {
		next := strings.IndexRune("cruds", c)
		if next <= at {
			return false
		}
		at = next
	}
	return at >= 0
}
