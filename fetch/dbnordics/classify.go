package dbnordics

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

// classify says what an answer means. A company that the vendor does not know (404), or may not tell of (451), is no error:
// there is nothing to fetch, and asking again brings nothing.
func classify(r *fetch.Request, a *fetch.Answer) fetch.Meaning {
	v := fetch.Meaning{Class: fetch.ByStatus(a)}
	if a.Status == http.StatusMultiStatus && jsonread.Misshapen(a.Body, "{") == "" {
		v.Class = finance.OK // decodeDebt says that it is not all
	}
	if v.Class == finance.OK && a.Status != http.StatusNoContent {
		if bytes.Contains(a.Body, []byte(`"correlationId"`)) {
			v.Correlation = readProblem(a.Body).correlation
		}
		return v
	}
	p := readProblem(a.Body)
	v.Correlation, v.Reason = p.correlation, withhold(p.words())
	switch a.Status {
	case http.StatusNoContent:
		v.Class = finance.Withheld
		v.Reason = "the provider has nothing on the company (status 204)"
	case http.StatusUnavailableForLegalReasons:
		v.Class, v.Reason = finance.Withheld, because("the company exists, but the provider may not tell of it (status 451)", v.Reason)
	case http.StatusNotFound:
		v.Class, v.Reason = notFound(r, p, v.Reason)
	case http.StatusForbidden:
		v.Class, v.Reason = forbidden(p, v.Reason)
	}
	return v
}

// notFound tells a company that is not known from an address that is not: the latter would excuse every item.
func notFound(r *fetch.Request, p problem, words string) (finance.Class, string) {
	switch {
	case r.Purpose != calls.ForData:
		return finance.Rejected, words
	case !p.document:
		return finance.Fatal, "404 without an error document of the provider: is base_url right?"
	case p.router():
		return finance.Fatal, because("404 for the address and not for the company: is base_url right?", words)
	}
	return finance.Withheld, because("the provider does not know the company (status 404)", words)
}

// forbidden tells what concerns every call from what concerns one company or country.
func forbidden(p problem, words string) (finance.Class, string) {
	all := strings.ToLower(p.words())
	switch {
	case !p.document:
		return finance.Fatal, "403 without an error document of the provider: is our address known to it?"
	case strings.Contains(all, "invalid_token"):
		return finance.TokenDenied, words
	case strings.Contains(all, "scope"):
		return finance.Fatal, words
	}
	return finance.Rejected, words
}

func because(ours, theirs string) string {
	if theirs == "" {
		return ours
	}
	return ours + ": " + theirs
}

// problem is an error in any of the vendor's envelopes. The text alone is often no more than "Request body contains one or
// more errors", so the fields that are at fault are named too; never their values, which may be numbers of persons.
type problem struct {
	code        string
	text        string
	correlation string
	fields      []string
	document    bool // it is an error document at all
	routed      bool // it has a member that routers write and the vendor does not
}

// router says whether it was not the vendor's service that answered but what stands before it: API Management of Azure
// ({"statusCode":404,"message":"Resource not found"}), Kong ("no Route matched with those values") and Spring, which
// tells the path.
func (p problem) router() bool {
	text := strings.ToLower(p.text)
	return p.routed || strings.Contains(text, "no route") || strings.Contains(text, "resource not found")
}

func (p problem) words() string {
	var parts []string
	for _, part := range append([]string{p.code, p.text}, p.fields...) {
		if part != "" && !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

func readProblem(body []byte) (p problem) {
	s := jsonread.Scan(body)
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "error", "errorCode", "code":
			p.code = join(p.code, scalar(s))
		case "message", "errorMessage", "error_description", "detail":
			p.text = join(p.text, scalar(s))
		case "correlationId":
			p.correlation = scalar(s)
		case "subErrors", "validationErrors", "errors", "details", "fieldErrors":
			p.fields = append(p.fields, faults(s)...)
		case "statusCode", "path":
			p.routed = true
			s.Raw()
		case "statusText":
			p.document = scalar(s) != "" || p.document
		}
	}
	if s.End() != nil {
		return problem{}
	}
	if p.code+p.text != "" || len(p.fields) > 0 {
		p.document = true
	}
	return p
}

// join is for envelopes that say the same in two members.
func join(a, b string) string {
	switch {
	case a == "", a == b:
		return b
	case b == "":
		return a
	}
	return a + ": " + b
}

// scalar reads a text or a number; anything else is skipped.
func scalar(s *jsonread.Scanner) string {
	switch s.Peek() {
	case '"', '0':
		return s.Word()
	}
	s.Raw()
	return ""
}

// faults reads the list of what is wrong with a request: objects, or texts.
func faults(s *jsonread.Scanner) (out []string) {
	if s.Peek() != '[' {
		if text := scalar(s); text != "" {
			out = append(out, text)
		}
		return out
	}
	for a := s.Array(); a.Next(); {
		if s.Peek() != '{' {
			out = append(out, scalar(s))
			continue
		}
		field := ""
		text := ""
		for o := s.Object(); o.Next(); {
			switch o.Key() {
			case "field":
				field = scalar(s)
			case "message", "errorMessage", "defaultMessage", "code":
				text = join(text, scalar(s))
			}
		}
		out = append(out, join(field, text))
	}
	return out
}
