package fetch

import (
	"net/http"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a provider writes may hold a customer's number or echo what we sent. nationalID matches runs of digits, so
// that only whole ones of 11 or 12 digits are masked; token matches JWTs and anything announced as a bearer token.
var (
	nationalID = regexp.MustCompile(`\d{6}[ .-]\d{5,6}|\d+`)
	token      = regexp.MustCompile(`eyJ[\w-]{8,}(\.[\w-]*)*|(?i:bearer)\s+[\w.~+/=-]{8,}`)
)

const (
	longestReason      = 300
	longestCorrelation = 128
)

// clean makes a provider's words fit for a log and a table: one printable line of at most 300 characters, without
// what looks like a national identity number or a token, and without the given secrets.
func clean(s string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) >= 6 { // a shorter one would blank out ordinary words
			s = strings.ReplaceAll(s, secret, "[redacted]")
		}
	}
	if len(s) > 8*longestReason {
		s = s[:8*longestReason] // the expressions below must not chew on megabytes
	}
	s = token.ReplaceAllString(s, "[token]")
	s = nationalID.ReplaceAllStringFunc(s, func(digits string) string {
		if len(digits) < 11 || len(digits) > 13 || len(digits) == 13 && isDigit(digits[6]) {
			return digits
		}
		return "[number]"
	})
	return shorten(printable(s), longestReason)
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// printable keeps what can be seen and turns every run of the rest into one blank: line breaks would forge log lines
// and escape codes would paint the operator's terminal.
func printable(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
}

func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// correlationOf is the provider's own id of a call: what the connector found, else the usual headers.
func correlationOf(found string, h http.Header) string {
	for _, name := range []string{
		"X-Correlation-Id", "X-Request-Id", "X-Cos-Correlation-Id", "Correlation-Id", "Request-Id", "X-Trace-Id",
		"X-Amzn-Requestid", "Traceparent",
	} {
		if found != "" {
			break
		}
		found = h.Get(name)
	}
	return shorten(printable(found), longestCorrelation)
}
