package vipps

import (
	"encoding/json"
	"fmt"
	"net/http"

	"syncer/sandbox"
)

func (s *Simulator) trace() string {
	return sandbox.UUIDs{Seed: sandbox.Mix(s.o.Seed, 'z')}.At(int(s.traces.Add(1)))
}

// traceParent is a trace id in the W3C form that the newer APIs' errors carry.
func (s *Simulator) traceParent() string {
	n := s.traces.Add(1)
	return fmt.Sprintf("00-%016x%016x-%016x-00", sandbox.Mix(s.o.Seed, n), n, sandbox.Mix(s.o.Seed, n, 1))
}

// document is a problem document (RFC 7807) with the vendor's members.
func (s *Simulator) document(status int, title, detail string) map[string]any {
	return map[string]any{
		"type": "https://developer.vippsmobilepay.com/docs/APIs/report-api", "title": title, "status": status,
		"detail": detail, "instance": "/report", "traceId": s.traceParent(),
	}
}

func (s *Simulator) fail(w http.ResponseWriter, status int, title, detail string) {
	writeJSON(w, status, "application/problem+json", s.document(status, title, detail))
}

// notParsed is a 400 that names the input.
func (s *Simulator) notParsed(w http.ResponseWriter, name string) {
	d := s.document(http.StatusBadRequest, "Bad Request", "Input could not be parsed.")
	d["code"] = 10002
	d["extraDetails"] = []map[string]string{{"name": name, "reason": "could not be parsed"}}
	writeJSON(w, http.StatusBadRequest, "application/problem+json", d)
}

// gatewayError is the shape of what stands before the APIs.
func gatewayError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, "application/json", map[string]any{
		"responseInfo": map[string]any{"responseCode": status, "responseMessage": http.StatusText(status)},
		"result":       map[string]string{"message": message},
	})
}

// problem is the vendor's own body for quotas and faults.
func (s *Simulator) problem(_ *http.Request, status int) (contentType, body string) {
	contentType = "application/json"
	var v any
	switch status {
	case http.StatusTooManyRequests:
		v = map[string]any{"statusCode": status, "message": "Rate limit is exceeded. Try again in 1 seconds."}
	case http.StatusUnauthorized:
		v = map[string]any{"responseInfo": map[string]any{"responseCode": status, "responseMessage": "Unauthorized"},
			"result": map[string]string{"message": "Something went wrong, please try again later."}}
	case http.StatusInternalServerError:
		v = map[string]any{"errorCode": 10001, "errorMessage": "Unexpected error", "contextId": s.trace()}
	case http.StatusLocked:
		contentType = "application/problem+json"
		v = s.document(status, "Locked", "The resource is locked. Retry the request.")
	default:
		contentType = "application/problem+json"
		v = s.document(status, http.StatusText(status), "The request could not be completed.")
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "text/plain", err.Error()
	}
	return contentType, string(b)
}

func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType+"; charset=utf-8")
	sandbox.WriteJSON(w, status, v)
}
