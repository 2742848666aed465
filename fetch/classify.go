package fetch

import (
	"bytes"
	"net/http"

	"syncer/finance"
)

// ByStatus is what an answer's status means where the provider has said nothing more particular. A connector asks it
// for the statuses that it has no words of its own for, and adds the reason and the correlation.
//
// A 200 whose body does not begin and end like a JSON object is transient: a page of a proxy, or an answer that was
// cut without its Content-Length to tell.
func ByStatus(a *Answer) finance.Class {
	switch {
	case a.Status == http.StatusNoContent:
		return finance.OK
	case a.Status >= 200 && a.Status < 300:
		if body := bytes.TrimSpace(a.Body); len(body) < 2 || body[0] != '{' || body[len(body)-1] != '}' {
			return finance.Transient
		}
		return finance.OK
	case a.Status >= 300 && a.Status < 400:
		return finance.Fatal
	case a.Status == http.StatusTooManyRequests || a.Status == http.StatusServiceUnavailable:
		return finance.Throttled
	case a.Status >= 500 && a.Header.Get("Retry-After") != "":
		return finance.Throttled
	case a.Status >= 500 || a.Status == http.StatusRequestTimeout || a.Status == http.StatusTooEarly || a.Status == http.StatusLocked:
		return finance.Transient
	case a.Status == http.StatusUnauthorized:
		return finance.TokenDenied
	default:
		return finance.Rejected
	}
}
