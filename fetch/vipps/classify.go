package vipps

import (
	"cmp"
	"net/http"
	"strings"

	"syncer/fetch"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

// classify says what an answer means. Errors come in the shapes of three gateways and two generations of the API, so
// the status decides and the body adds the words.
func classify(r *fetch.Request, a *fetch.Answer) fetch.Meaning {
	v := fetch.Meaning{Class: fetch.ByStatus(a)}
	if v.Class == finance.OK {
		return v
	}
	p := readProblem(a.Body)
	v.Reason = p.words()
	v.Correlation = p.trace
	words := strings.ToLower(v.Reason)
	switch a.Status {
	case http.StatusUnauthorized:
		if strings.Contains(words, "subscription key") {
			v.Class = finance.Fatal // a new token would not help
		}
	case http.StatusNotFound:
		if strings.Contains(words, "no such ledgerid") {
			v.Class = finance.Withheld // not ours, or no longer
		} else if !p.gateway && strings.HasSuffix(r.Template, datesSuffix) {
			v.Class = finance.OK // a date that is not closed yet, as far as we know; see pass.notYet
		}
	case http.StatusTooManyRequests:
		if !a.Announced().ByRetryAfter() {
			v.RetryAfter = a.PauseInWords(v.Reason) // "Rate limit is exceeded. Try again in 7 seconds."
		}
	}
	return v
}

// problem is what is read of an error: a problem document (RFC 7807) with the provider's members, the Report API's
// own, Azure AD's, and the two forms of its gateways.
type problem struct {
	code, title, detail string
	inputs              []string // what of the request was not accepted, and why
	trace               string
	gateway             bool // the answer comes from what stands before the API
}

func readProblem(body []byte) (p problem) {
	s := jsonread.Scan(body)
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "title", "message", "errorMessage", "error_description":
			p.title = cmp.Or(text(s), p.title)
		case "detail":
			p.detail = text(s)
		case "code", "errorCode", "error":
			p.code = cmp.Or(text(s), p.code)
		case "traceId", "contextId", "correlation_id":
			p.trace = cmp.Or(text(s), p.trace)
		case "trace_id":
			p.trace = cmp.Or(p.trace, text(s))
		case "statusCode":
			p.gateway = true
		case "responseInfo", "result":
			p.gateway = true
			p.wrapped(s)
		case "extraDetails", "invalidParams":
			p.details(s)
		}
	}
	return p // what was read before an error still helps
}

// wrapped reads {"responseInfo":{"responseMessage":...},"result":{"message":...}}.
func (p *problem) wrapped(s *jsonread.Scanner) {
	if s.Peek() != '{' {
		return
	}
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "responseMessage":
			p.title = text(s)
		case "message":
			p.detail = text(s)
		}
	}
}

func (p *problem) details(s *jsonread.Scanner) {
	if s.Peek() != '[' {
		return
	}
	for a := s.Array(); a.Next(); {
		if s.Peek() != '{' {
			continue
		}
		name := ""
		why := ""
		for o := s.Object(); o.Next(); {
			switch o.Key() {
			case "name", "field":
				name = text(s)
			case "reason", "text":
				why = text(s)
			}
		}
		p.inputs = append(p.inputs, strings.TrimSpace(name+" "+why))
	}
}

// text reads a string or a number, and passes over anything else: no two errors agree on their types.
func text(s *jsonread.Scanner) string {
	switch s.Peek() {
	case '"', '0':
		return s.Word()
	}
	s.Raw()
	return ""
}

func (p problem) words() string {
	var parts []string
	for _, part := range append([]string{p.code, p.title, p.detail}, p.inputs...) {
		if part != "" && !strings.Contains(strings.Join(parts, ": "), part) {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}
