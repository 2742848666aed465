package sbanken

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"syncer/sandbox"
)

func (s *Simulator) trace() string {
	return sandbox.UUIDs{Seed: sandbox.Mix(s.o.Seed, 'z')}.At(int(s.traces.Add(1)))
}

// envelope is the error shape of v1, and of the bank's 503 in all generations.
type envelope struct {
	ErrorType    any    `json:"errorType"`
	IsError      bool   `json:"isError"`
	ErrorCode    *int   `json:"errorCode"`
	ErrorMessage string `json:"errorMessage"`
	TraceID      string `json:"traceId"`
}

var errorTypes = map[int]string{
	http.StatusBadRequest: "Input", http.StatusNotFound: "NotFound", http.StatusConflict: "State",
	http.StatusServiceUnavailable: "ServiceUnavailable",
}

// fail answers an error the caller has made: the envelope in v1; in v2 a plain
// problem document (RFC 7807), which is our assumption.
func (s *Simulator) fail(w http.ResponseWriter, v1 bool, status int, message string) {
	if v1 {
		writeJSON(w, status, "application/json", envelope{
			ErrorType: errorTypes[status], IsError: true, ErrorMessage: message, TraceID: s.trace()})
		return
	}
	writeJSON(w, status, "application/problem+json", map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": message, "traceId": s.trace()})
}

// unauthorized has no body: nobody has recorded the bank's, and this is what
// its framework does by default.
func unauthorized(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", "Bearer")
	w.WriteHeader(http.StatusUnauthorized)
}

// problem is the bank's own body for what goes wrong on its side, for quotas
// and faults.
func (s *Simulator) problem(_ *http.Request, status int) (contentType, body string) {
	var v any
	switch {
	case status == http.StatusTooManyRequests:
		calls := s.o.Quota.Calls
		period := s.o.Quota.Period
		if calls == 0 || period == 0 {
			calls = 30
			period = time.Minute
		}
		return "text/plain", fmt.Sprintf("API calls quota exceeded! maximum admitted %d per %s.", calls, periodText(period))
	case status == http.StatusUnauthorized:
		return "text/plain", ""
	case status == http.StatusServiceUnavailable:
		v = envelope{ErrorType: 0, IsError: true, TraceID: s.trace(),
			ErrorMessage: "Could not complete the request due to an expected or unexpected error."}
	default:
		v = struct {
			Type, Title string
			Status      int
			Detail      string
			Instance    *string
			Extensions  struct {
				TraceID string `json:"traceId"`
			}
		}{Title: "Could not complete the request.", Status: status, Detail: "An error has occured.",
			Extensions: struct {
				TraceID string `json:"traceId"`
			}{s.trace()}}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "text/plain", err.Error()
	}
	return "application/json", string(b)
}

func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	sandbox.WriteJSON(w, status, v)
}
