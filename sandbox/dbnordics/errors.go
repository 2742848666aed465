package dbnordics

import (
	"encoding/json"
	"net/http"
	"strings"

	"syncer/sandbox"
)

// subError is one thing that is wrong with a request. It repeats the value.
type subError struct {
	Object        string `json:"object"`
	Field         string `json:"field"`
	RejectedValue string `json:"rejectedValue"`
	Message       string `json:"message"`
}

// guideline is the vendor's own model of an error.
type guideline struct {
	Status     int        `json:"status"`
	StatusText string     `json:"statusText"`
	Message    string     `json:"message"`
	Timestamp  string     `json:"timestamp"` // local, without a zone
	SubErrors  []subError `json:"subErrors,omitempty"`
}

func (s *Simulator) fail(w http.ResponseWriter, status int, message string) {
	sandbox.WriteJSON(w, status, s.envelope(status, message, nil))
}

func (s *Simulator) invalid(w http.ResponseWriter, field, value, why string) {
	sandbox.WriteJSON(w, http.StatusBadRequest, s.envelope(http.StatusBadRequest, "Validation error",
		[]subError{{"RequestModel", field, value, why}}))
}

// envelope is an error in the form that the options choose.
func (s *Simulator) envelope(status int, message string, wrong []subError) any {
	var list []map[string]string
	for _, one := range wrong {
		list = append(list, map[string]string{"field": one.Field, "code": "INVALID", "errorMessage": one.Message})
	}
	switch s.o.Envelope {
	case "detail":
		return map[string]any{"detail": message, "errorCode": status, "validationErrors": list}
	case "errors":
		return map[string]any{"errorMessage": message, "errors": list}
	case "generic": // hides the field
		if len(wrong) > 0 {
			message = "Request body contains one or more errors"
		}
		return map[string]any{"message": message}
	}
	return guideline{
		Status: status, StatusText: strings.ToUpper(http.StatusText(status)), Message: message,
		Timestamp: s.o.Kit.Clock.Now().Format("2006-01-02T15:04:05.9999"), SubErrors: wrong,
	}
}

// problem is the error body of quotas and faults.
func (s *Simulator) problem(_ *http.Request, status int) (contentType, body string) {
	b, err := json.Marshal(s.envelope(status, "Simulated fault", nil))
	if err != nil {
		return "text/plain", http.StatusText(status)
	}
	return "application/json", string(b)
}
