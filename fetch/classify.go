package fetch

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"

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

// besideError are the members that may stand beside an error in an answer that holds nothing else.
var besideError = map[string]bool{
	"error": true, "error_description": true, "error_uri": true, "message": true, "code": true, "errorCode": true,
	"status": true, "statusCode": true, "path": true, "timestamp": true, "detail": true, "retry_after": true,
	"trace_id": true, "traceId": true, "correlation_id": true, "correlationId": true, "request_id": true, "requestId": true,
}

// limitWords are how an error says that there were too many calls.
var limitWords = regexp.MustCompile(`(?i)rate[ _-]?limit|throttl|too[ _-]?many[ _-]?requests`)

// errorAlone says whether a body is a JSON object with an error and nothing else, and whether that is about the rate.
func errorAlone(body []byte) (alone, limited bool) {
	const longestError = 4 << 10
	var members map[string]json.RawMessage
	if len(body) > longestError || !bytes.Contains(body, []byte(`"error"`)) || json.Unmarshal(body, &members) != nil {
		return false, false
	}
	for name := range members {
		if !besideError[name] {
			return false, false
		}
	}
	switch string(members["error"]) {
	case "", "null", "false", `""`, "0", "{}":
		return false, false
	}
	return true, limitWords.Match(body)
}
