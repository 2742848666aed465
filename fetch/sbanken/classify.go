package sbanken

import (
	"bytes"
	"cmp"
	"net/http"
	"strings"
	"time"

	"syncer/fetch"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

// classify says what an answer means. Generation 1 puts errors into a 200 as well.
func classify(_ *fetch.Request, a *fetch.Answer) fetch.Meaning {
	v := fetch.Meaning{Class: fetch.ByStatus(a)}
	if v.Class == finance.OK && !mentionsError(a.Body) {
		return v
	}
	p := readProblem(a.Body)
	switch {
	case v.Class == finance.OK && !p.isError:
		return v
	case v.Class == finance.OK:
		v.Class = p.class()
	}
	v.Correlation, v.Reason = p.trace, p.words()
	if a.Status == http.StatusTooManyRequests && a.Announced().Pause == 0 {
		v.RetryAfter = cmp.Or(a.PauseInWords(v.Reason), usualPause)
	}
	return v
}

// mentionsError says whether an envelope has the flag of an error. It stands before or behind the items, so in a long
// answer the middle is not searched: that took an eighth of the time of an answer that is not even decoded.
func mentionsError(body []byte) bool {
	const edge = 4 << 10
	flag := []byte(`"isError"`)
	if len(body) <= 2*edge {
		return bytes.Contains(body, flag)
	}
	return bytes.Contains(body[:edge], flag) || bytes.Contains(body[len(body)-edge:], flag)
}

// usualPause is how long other clients of the API wait after a 429 whose headers tell nothing.
const usualPause = 20 * time.Second

// problem is an error in any of the API's forms: the envelope of generation 1, and RFC 7807 documents whose keys begin
// with small or with capital letters.
type problem struct {
	isError                            bool
	kind, code, message, detail, trace string
}

func readProblem(body []byte) (p problem) {
	s := jsonread.Scan(body)
	for o := s.Object(); o.Next(); {
		switch strings.ToLower(o.Key()) {
		case "iserror":
			p.isError = s.Bool()
		case "errortype":
			p.kind = s.Word()
		case "errorcode":
			p.code = s.Word()
		case "errormessage", "title":
			p.message = s.Text()
		case "detail":
			p.detail = s.Text()
		case "traceid":
			p.trace = s.Text()
		case "extensions":
			for in := s.Object(); in.Next(); {
				if strings.EqualFold(in.Key(), "traceId") {
					p.trace = s.Text()
				}
			}
		}
	}
	if s.End() != nil { // text/plain, or cut: what was read before the end still helps
		p.message = cmp.Or(p.message, sentence(body))
	}
	return p
}

// sentence is a body that is a short text; empty: it is none.
func sentence(body []byte) string {
	text := string(bytes.TrimSpace(body))
	if len(text) >= 200 || strings.HasPrefix(text, "{") || strings.HasPrefix(text, "<") {
		return ""
	}
	return text
}

func (p problem) words() string {
	var parts []string
	for _, part := range []string{p.kind, p.code, p.message, p.detail} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

// class is what an error in a 200 means, by its type: a word, or in older versions its place in the list of words.
func (p problem) class() finance.Class {
	switch p.kind {
	case "System", "0", "ServiceUnavailable", "3":
		return finance.Transient
	}
	return finance.Rejected
}
