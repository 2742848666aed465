package cli

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// beating is a worker whose heartbeat a test decides on.
type beating struct {
	alive bool
	err   error
}

func (b beating) Alive(context.Context) (bool, error) { return b.alive, b.err }

func TestHealth(t *testing.T) {
	left, leave := context.WithCancel(t.Context())
	leave()
	for name, c := range map[string]struct {
		leaving context.Context
		worker  beating
		ready   int
		says    string
	}{
		"working":                   {t.Context(), beating{alive: true}, http.StatusOK, "ok"},
		"leaving":                   {left, beating{alive: true}, http.StatusServiceUnavailable, "leaving"},
		"the heartbeat has stopped": {t.Context(), beating{}, http.StatusServiceUnavailable, "heartbeat"},
		"the database does not answer": {t.Context(), beating{err: errors.New("dial postgres://u:s3cret@db")},
			http.StatusServiceUnavailable, "database"},
	} {
		t.Run(name, func(t *testing.T) {
			handler := healthHandler(ready{c.leaving, c.worker})
			for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": c.ready, "/": http.StatusNotFound} {
				answer := httptest.NewRecorder()
				handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
				if answer.Code != want {
					t.Errorf("%s: status %d, want %d", path, answer.Code, want)
				}
				if body := answer.Body.String(); path == "/readyz" && !strings.Contains(body, c.says) || strings.Contains(body, "s3cret") {
					t.Errorf("%s says %q", path, body)
				}
			}
		})
	}
}
