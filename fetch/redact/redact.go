package redact

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"syncer/finance"
)

// What a provider writes may hold a customer's number or echo what we sent. longNumber matches runs of digits, so
// that only whole ones of 11 or 12 digits are masked; token matches JWTs and anything announced as a bearer token.
var (
	longNumber = regexp.MustCompile(`\d{6}[ .-]\d{5,6}|\d+`)
	token      = regexp.MustCompile(`eyJ[\w-]{8,}(\.[\w-]*)*|(?i:bearer)\s+[\w.~+/=-]{8,}`)
)

const (
	longestReason      = 300
	longestCorrelation = 128
	// shortestSecret is the length from which a secret is looked for: a shorter one would blank out ordinary words.
	shortestSecret = 6
)

// Redaction is what must not come back out of an answer: into a reason, a correlation id, a log line or a record.
type Redaction struct {
	Secrets []string // the access token and the client's secrets
	Subject string   // the national identity number that the call asked with, if it did
	Consent string   // the provider's id of the consent, which stands in addresses
}

// Words makes a provider's words fit for a log and a table: one printable line of at most 300 characters, without
// what looks like a national identity number or a token, and without what must not come back.
func (d Redaction) Words(s string) string {
	s = d.withoutSecrets(s)
	if len(d.Consent) >= shortestSecret {
		for _, before := range []string{"/", "="} {
			s = strings.ReplaceAll(s, before+d.Consent, before+"{consent}")
		}
	}
	s = finance.MaskNationalIDs(s, d.Subject)
	s = longNumber.ReplaceAllStringFunc(s, func(digits string) string {
		if isNumber(digits) {
			return finance.Masked
		}
		return digits
	})
	return shorten(printable(s), longestReason)
}

// Correlation makes the provider's id of a call fit to be stored: some gateways build it of what they were sent.
func (d Redaction) Correlation(id string) string {
	id = finance.MaskNationalIDs(d.withoutSecrets(id), d.Subject)
	return shorten(printable(id), longestCorrelation)
}

// withoutSecrets takes out secrets, as they are and as they stand in a query, and tokens. Of a very long text it gives
// the beginning: what follows must not chew on megabytes.
func (d Redaction) withoutSecrets(s string) string {
	for _, secret := range d.Secrets {
		if len(secret) < shortestSecret {
			continue
		}
		s = strings.ReplaceAll(s, secret, "[redacted]")
		s = strings.ReplaceAll(s, url.QueryEscape(secret), "[redacted]")
	}
	if len(s) > 8*longestReason {
		s = s[:8*longestReason]
	}
	return token.ReplaceAllString(s, "[token]")
}

// Words is Redaction.Words for what is said outside a request.
func Words(s string, secrets ...string) string { return Redaction{Secrets: secrets}.Words(s) }

// Correlation is a provider's id of a call as it is stored, so that it can be looked up by what a provider says.
func Correlation(id string) string { return Redaction{}.Correlation(id) }

// isNumber says that a run of digits is of the length of a national identity number, or of two parts of one.
func isNumber(run string) bool {
	switch len(run) {
	case 11, 12:
		return true
	case 13:
		return !isDigit(run[6])
	}
	return false
}

func isDigit(b byte) bool { return b-'0' <= 9 }

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

// CorrelationIn is the provider's own id of a call as it comes: what the connector found, else the usual headers.
func CorrelationIn(found string, h http.Header) string {
	for _, name := range []string{
		"X-Correlation-Id", "X-Request-Id", "X-Cos-Correlation-Id", "Correlation-Id", "Request-Id", "X-Trace-Id",
		"X-Amzn-Requestid", "Traceparent",
	} {
		if found != "" {
			break
		}
		found = h.Get(name)
	}
	return found
}
