package norskgjeld

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"syncer/sandbox"
)

// trace is the id an error carries: the caller's own, or a made up one.
func (s *Simulator) trace(r *http.Request) string {
	if id := r.Header.Get("X-Trace-ID"); id != "" {
		return id
	}
	return sandbox.UUIDs{Seed: s.o.Seed}.At(int(s.errors.Add(1)))
}

// fail answers in the debt API's shape of errors.
func (s *Simulator) fail(w http.ResponseWriter, r *http.Request, status int, problem, description string) {
	body := struct {
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
		TraceID     string `json:"trace_id"`
		Timestamp   string `json:"timestamp"`
	}{problem, description, s.trace(r), s.o.Kit.Clock.Now().UTC().Format("2006-01-02T15:04:05.000000Z")}
	sandbox.WriteJSON(w, status, body)
}

// springError answers in the shape of the agreement service.
func (s *Simulator) springError(w http.ResponseWriter, r *http.Request, status int, message string) {
	id := sandbox.UUIDs{Seed: s.o.Seed}.At(int(s.errors.Add(1)))
	body := struct {
		Timestamp string `json:"timestamp"`
		Path      string `json:"path"`
		Status    int    `json:"status"`
		Error     string `json:"error"`
		Message   string `json:"message,omitempty"`
		RequestID string `json:"requestId"`
	}{s.o.Kit.Clock.Now().UTC().Format("2006-01-02T15:04:05.000+00:00"), r.URL.Path, status,
		http.StatusText(status), message, id[:8] + "-" + id[9:12]}
	sandbox.WriteJSON(w, status, body)
}

// problem is the error body that quotas and faults use. 429 is not documented.
func (s *Simulator) problem(r *http.Request, status int) (contentType, body string) {
	word := map[int]string{
		http.StatusTooManyRequests: "too many requests", http.StatusInternalServerError: "server error",
		http.StatusForbidden: "invalid access token", http.StatusUnauthorized: "invalid access token",
	}[status]
	if word == "" {
		word = strings.ToLower(http.StatusText(status))
	}
	b, err := json.Marshal(map[string]string{"error": word, "trace_id": s.trace(r),
		"timestamp": s.o.Kit.Clock.Now().UTC().Format(time.RFC3339Nano)})
	if err != nil {
		return "text/plain", word
	}
	return "application/json", string(b)
}
