package fetch

import (
	"net/http"

	"syncer/fetch/redact"
)

// redaction is what must not come back out of the answers to a request. The token is that of the attempt, or empty.
func (r *request) redaction(token string) redact.Redaction {
	d := redact.Redaction{Secrets: append([]string{token}, r.c.shown()...)}
	if k := r.task.Consent; k != nil {
		d.Subject, _ = k.Subject.Reveal()
		d.Consent = k.ExternalID
	}
	return d
}

// correlation is the provider's id of this call, as its headers tell it.
func (a *attempt) correlation(h http.Header) string {
	return a.redaction(a.token.AccessToken).Correlation(redact.CorrelationIn("", h))
}
