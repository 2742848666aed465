package norskgjeld

import (
	"net/http"
	"strings"

	"syncer/fetch"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

// classify says what an answer of any service means.
//
// A 403 has four meanings. Its error names the access token: the token is stale. It names the consent: that is over.
// It is the registry's own error document but names neither: this item is refused. It is no such document: something
// in front of the registry turns us away, most likely because it does not know our address, and would turn away every
// other call as well.
func classify(_ *fetch.Request, a *fetch.Answer) fetch.Meaning {
	v := fetch.Meaning{Class: fetch.ByStatus(a)}
	if v.Class == finance.OK {
		return v
	}
	p, ok := readProblem(a.Body)
	v.Correlation, v.Reason = p.trace, p.words()
	if a.Status != http.StatusForbidden {
		return v
	}
	switch name := strings.ToLower(p.name); {
	case !ok:
		v.Class = finance.Fatal
		v.Reason = "403 without an error document of the registry: is our address known to it?"
	case strings.Contains(name, "access token"):
		v.Class = finance.TokenDenied
	case strings.Contains(name, "consent"):
		v.Class = finance.ConsentOver
		v.Status = finance.ConsentRevoked
		v.Named = true
		if strings.Contains(strings.ToLower(p.description), "expired") {
			v.Status = finance.ConsentExpired
		}
	}
	return v
}

// problem is an error document in either of the registry's two forms: that of debt and feed (error,
// error_description, trace_id) and that of agreements (error, message, requestId).
type problem struct{ name, description, trace string }

func (p problem) words() string {
	if p.description == "" {
		return p.name
	}
	return p.name + ": " + p.description
}

func readProblem(body []byte) (p problem, ok bool) {
	s := jsonread.Scan(body)
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "error":
			p.name = s.Text()
		case "error_description", "message":
			p.description = s.Text()
		case "trace_id", "requestId":
			p.trace = s.Text()
		}
	}
	if s.End() != nil {
		return problem{}, false
	}
	return p, p.name != ""
}
