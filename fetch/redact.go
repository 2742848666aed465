package fetch

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

// redaction is what must not come back out of an answer: into a reason, a correlation id, a log line or a record.
type redaction struct {
	secrets []string
	subject string // the national identity number that the call asked with, if it did
	consent string // the provider's id of the consent, which stands in addresses
}

// redaction is what must not come back out of the answers to a request. The token is that of the attempt, or empty.
func (r *request) redaction(token string) redaction {
	d := redaction{secrets: append([]string{token}, r.c.shown()...)}
	if k := r.task.Consent; k != nil {
		d.subject, _ = k.Subject.Reveal()
		d.consent = k.ExternalID
	}
	return d
}

// words makes a provider's words fit for a log and a table: one printable line of at most 300 characters, without
// what looks like a national identity number or a token, and without what must not come back.
func (d redaction) words(s string) string {
	s = d.withoutSecrets(s)
	if len(d.consent) >= shortestSecret {
		for _, before := range []string{"/", "="} {
			s = strings.ReplaceAll(s, before+d.consent, before+"{consent}")
		}
	}
	s = finance.MaskNationalIDs(s, d.subject)
	s = longNumber.ReplaceAllStringFunc(s, func(digits string) string {
		if len(digits) < 11 || len(digits) > 13 || len(digits) == 13 && isDigit(digits[6]) {
			return digits
		}
		return finance.Masked
	})
	return shorten(printable(s), longestReason)
}

// correlation makes the provider's id of a call fit to be stored: some gateways build it of what they were sent.
func (d redaction) correlation(id string) string {
	id = finance.MaskNationalIDs(d.withoutSecrets(id), d.subject)
	return shorten(printable(id), longestCorrelation)
}

// withoutSecrets takes out secrets, as they are and as they stand in a query, and tokens. Of a very long text it gives
// the beginning: what follows must not chew on megabytes.
func (d redaction) withoutSecrets(s string) string {
	for _, secret := range d.secrets {
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

// clean is redaction.words for what is said outside a request.
func clean(s string, secrets ...string) string { return redaction{secrets: secrets}.words(s) }

// CleanCorrelation is a provider's id of a call as it is stored, so that it can be looked up by what a provider says.
func CleanCorrelation(id string) string { return redaction{}.correlation(id) }

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

// correlationIn is the provider's own id of a call as it comes: what the connector found, else the usual headers.
func correlationIn(found string, h http.Header) string {
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
