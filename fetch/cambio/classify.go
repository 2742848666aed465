package cambio

import (
	"bytes"
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"syncer/fetch"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

// classifier says what answers mean.
type classifier struct {
	ownGrants bool // each consent has a grant of its own
}

// usualPause is how long nobody calls after a 429 that names no time.
const usualPause = 5 * time.Second

func (c classifier) classify(r *fetch.Request, a *fetch.Answer) fetch.Meaning {
	v := fetch.Meaning{Class: c.class(r, a), Correlation: a.Header.Get("X-COS-CORRELATION-ID")}
	good := a.Status < http.StatusMultipleChoices
	if good && v.Class == finance.OK {
		return v
	}
	p := readProblem(a.Body)
	v.Reason = hide(p.words(), numberOf(r))
	switch {
	case good && p.tellsStatus(): // an error in a 200 that tells its own status
		return c.classify(r, &fetch.Answer{Status: int(p.status), Header: a.Header, Body: a.Body})
	case good && p.layer != unknownLayer:
		v.Class = p.inGoodAnswer()
	case p.unoffered() && !decides(a.Status):
		v.Class = finance.Fatal // so it would be for every other consent
	case goneWith(r, a, &p):
		v.Class, v.Reason = finance.OK, "the page has expired: "+v.Reason
	default:
		c.byStatus(&v, r, a, &p)
	}
	return v
}

// decides says that a status decides, whatever the body says of a type or a search that is not offered.
func decides(status int) bool {
	return slices.Contains([]int{http.StatusTooManyRequests, http.StatusForbidden}, status)
}

// byStatus corrects the meaning of a refusal by its status and by who has answered.
func (c classifier) byStatus(v *fetch.Meaning, r *fetch.Request, a *fetch.Answer, p *problem) {
	switch a.Status {
	case http.StatusTooManyRequests:
		v.Class, v.RetryAfter = finance.Throttled, p.pause(a)
	case http.StatusUnauthorized:
		if p.wantsKey(a) {
			v.Class = finance.Fatal
		}
	case http.StatusForbidden:
		if p.quota() {
			v.Class, v.RetryAfter = finance.Throttled, p.pause(a)
		} else {
			c.forbidden(v, p)
		}
	case http.StatusNotFound:
		notFound(v, r, p)
	case http.StatusUnavailableForLegalReasons:
		v.Class = finance.Withheld
	case http.StatusNotImplemented:
		v.Class = finance.Rejected
	}
}

// notFound tells a route that the gateway has not from a patient without visits.
func notFound(v *fetch.Meaning, r *fetch.Request, p *problem) {
	switch {
	case p.layer == apim:
		v.Class, v.Reason = finance.Fatal, "the gateway has no such route; check fhir_path and rest_path: "+v.Reason
	case p.layer == cosmic && r.Template == visitsTemplate:
		v.Class = finance.OK // of this part; decodeVisits says that it is missing
	}
}

// wantsKey says that the gateway refuses the subscription key.
func (p *problem) wantsKey(a *fetch.Answer) bool {
	return p.names("subscription key") || strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "AzureApiManagementKey")
}

// tellsStatus says that the body tells the status of an error.
func (p *problem) tellsStatus() bool { return p.status >= 400 && p.status < 600 }

// class is what the status means, for a list of the REST services too, which is an array.
func (classifier) class(r *fetch.Request, a *fetch.Answer) finance.Class {
	if r.Template == visitsTemplate {
		return fetch.ByStatusOf(a, "[")
	}
	class := fetch.ByStatus(a)
	named := class == finance.OK && bytes.Contains(a.Body, []byte("OperationOutcome"))
	if named && readProblem(a.Body).layer == fhir {
		return finance.Rejected
	}
	return class
}

// forbidden tells apart what a 403 may mean. The gateway refuses a scope: that is a matter of the client's
// registration, or where each consent has its own grant, of the grant. The services behind it refuse the patient.
// Neither has answered: something in front of the gateway turns us away.
func (c classifier) forbidden(v *fetch.Meaning, p *problem) {
	switch {
	case p.layer == unknownLayer:
		v.Class = finance.Fatal
		v.Reason = "403 without an error of the gateway: is our address known to it?"
	case p.names("scope") && c.ownGrants, p.layer != apim && !p.names("scope"):
		v.Class = finance.ConsentOver
		v.Status = finance.ConsentReauthRequired
	default:
		v.Class = finance.Fatal
	}
}

// goneWith says whether an answer tells that a result page can't be read any more. Pages live for five minutes; how a
// dead one is answered is not published, so every refusal of a link counts that other servers are known to give.
func goneWith(r *fetch.Request, a *fetch.Answer, p *problem) bool {
	if r.Template != pageTemplate {
		return false
	}
	switch a.Status {
	case http.StatusGone:
		return true
	case http.StatusNotFound, http.StatusBadRequest:
		return p.layer == fhir
	}
	return false
}

// layer is who has answered with an error.
type layer int

const (
	unknownLayer layer = iota
	apim               // {"statusCode":401,"message":"..."}
	cosmic             // {"error":"...","path":"...","status":404,"timestamp":1795000000000}
	fhir               // OperationOutcome
)

// problem is an error in any of the three shapes.
type problem struct {
	layer   layer
	status  int64 // as the body has it
	message string
	issues  []issue
}

// issue is one of an OperationOutcome.
type issue struct{ severity, code, text, diagnostics string }

func readProblem(body []byte) (p problem) {
	var kind, words string
	apimStatus := false
	path := false
	s := jsonread.Scan(body)
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "resourceType":
			kind = s.Text()
		case "issue":
			p.issues = readIssues(s)
		case "statusCode":
			p.status, apimStatus = s.Int()
		case "message":
			p.message = s.Text()
		case "error":
			words = s.Text()
		case "status":
			p.status = readStatus(s)
		case "path":
			path = true
		}
	}
	switch {
	case s.End() != nil:
		return problem{}
	case kind == "OperationOutcome":
		p.layer = fhir
	case apimStatus:
		p.layer = apim
	case kind != "":
	case words != "", path:
		p.layer = cosmic
		p.message = orElse(words, p.message)
	}
	return p
}

// readStatus reads the status of a COSMIC error; a resource has a word there.
func readStatus(s *jsonread.Scanner) int64 {
	if s.Peek() != '0' {
		s.Raw()
		return 0
	}
	n, _ := s.Int()
	return n
}

func readIssues(s *jsonread.Scanner) (out []issue) {
	for a := s.Array(); a.Next(); {
		var i issue
		for o := s.Object(); o.Next(); {
			switch o.Key() {
			case "severity":
				i.severity = s.Text()
			case "code":
				i.code = s.Text()
			case "diagnostics":
				i.diagnostics = s.Text()
			case "details":
				for in := s.Object(); in.Next(); {
					if in.Key() == "text" {
						i.text = s.Text()
					}
				}
			}
		}
		out = append(out, i)
	}
	return out
}

func (i issue) words() string {
	var parts []string
	for _, part := range []string{i.code, i.text, i.diagnostics} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

func (p *problem) words() string {
	if p.layer != fhir {
		return p.message
	}
	var parts []string
	for _, i := range p.issues {
		if w := i.words(); w != "" {
			parts = append(parts, w)
		}
	}
	return strings.Join(parts, "; ")
}

// names says whether the error's words hold some of ours.
func (p *problem) names(word string) bool { return strings.Contains(strings.ToLower(p.words()), word) }

// quota says that a 403 is the gateway's volume quota, which Azure answers so.
func (p *problem) quota() bool { return p.layer == apim && p.names("quota") }

// unoffered says that the FHIR server has no such type or search at all.
func (p *problem) unoffered() bool {
	if p.layer != fhir {
		return false
	}
	return p.names("unknown resource type") || p.firstCode() == "not-supported"
}

// firstCode is the code of the first issue; empty: there is none.
func (p *problem) firstCode() string {
	if len(p.issues) == 0 {
		return ""
	}
	return p.issues[0].code
}

// inGoodAnswer is what an error in a 200 means, by the code of its first issue.
func (p *problem) inGoodAnswer() finance.Class {
	switch p.firstCode() {
	case "throttled":
		return finance.Throttled
	case "transient", "timeout", "lock-error", "no-store", "exception", "incomplete":
		return finance.Transient
	}
	return finance.Rejected
}

// pause is how long the gateway wants to be left alone where it has no usable Retry-After, which the stack reads by
// itself: as its message says (Try again in 5 seconds; replenished in 01:30:00), or 5 seconds if no header tells anything.
func (p *problem) pause(a *fetch.Answer) time.Duration {
	said := a.Announced()
	switch {
	case said.ByRetryAfter():
		return 0
	case said.Pause > 0:
		return a.PauseInWords(p.message)
	}
	return cmp.Or(a.PauseInWords(p.message), usualPause)
}
