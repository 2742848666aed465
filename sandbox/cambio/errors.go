package cambio

import (
	"encoding/json"
	"net/http"
	"strings"
)

// problem is the error body that quotas and faults use: that of the layer which
// would have answered.
func (s *Simulator) problem(r *http.Request, status int) (contentType, body string) {
	var v any
	contentType = plainJSON
	switch {
	case status == http.StatusTooManyRequests:
		v = map[string]any{"statusCode": status, "message": "Rate limit is exceeded. Try again in " + secondsHere + " seconds."}
	case status == http.StatusUnauthorized:
		v = map[string]any{"statusCode": status, "message": "Invalid access token."}
	case strings.HasPrefix(r.URL.Path, fhirRoot):
		contentType = fhirJSON
		v = map[string]any{"resourceType": "OperationOutcome", "issue": []any{
			issue{Code: "processing", Diagnostics: http.StatusText(status)}.json(),
		}}
	default:
		v = map[string]any{
			"error": http.StatusText(status), "path": r.URL.Path, "status": status, "timestamp": s.o.Kit.Clock.Now().UnixMilli(),
		}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "text/plain", http.StatusText(status)
	}
	return contentType, string(b)
}

// apim answers in the gateway's own shape of errors.
func (s *Simulator) apim(w http.ResponseWriter, status int, message string) {
	writeJSON(w, plainJSON, status, map[string]any{"statusCode": status, "message": message})
}

// cosmic answers in the shape of the REST services. The timestamp is in
// milliseconds.
func (s *Simulator) cosmic(w http.ResponseWriter, r *http.Request, status int, problem string) {
	writeJSON(w, plainJSON, status, map[string]any{
		"error": problem, "path": r.URL.Path, "status": status, "timestamp": s.o.Kit.Clock.Now().UnixMilli(),
	})
}

// issue is one issue of an OperationOutcome.
type issue struct {
	Severity, Code, Text, Diagnostics string
}

func (i issue) json() map[string]any {
	orDefault(&i.Severity, "error")
	m := map[string]any{"severity": i.Severity, "code": i.Code}
	if i.Text != "" {
		m["details"] = map[string]any{"text": i.Text}
	}
	if i.Diagnostics != "" {
		m["diagnostics"] = i.Diagnostics
	}
	return m
}

// outcome answers in FHIR's shape of errors.
func (s *Simulator) outcome(w http.ResponseWriter, status int, i issue) {
	writeJSON(w, fhirJSON, status, map[string]any{"resourceType": "OperationOutcome", "issue": []any{i.json()}})
}
