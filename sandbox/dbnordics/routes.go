package dbnordics

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"

	"syncer/sandbox"
)

// describe recognises a request. The company is named in the body only, so the
// body is read and put back.
func (s *Simulator) describe(r *http.Request) sandbox.Call {
	path := r.URL.Path
	call := sandbox.Call{Bucket: s.sandbox.ClientOf(r), Template: path}
	if _, known, _ := s.production.Bearer(r); known || path == ProductionToken {
		call.Bucket = s.production.ClientOf(r)
	}
	switch {
	case path == SandboxToken, path == ProductionToken:
		call.Bucket = call.Bucket + "/token"
		call.Token = true
	case strings.HasPrefix(path, CreditData+"/companies/"):
		country := strings.ToUpper(strings.TrimPrefix(path, CreditData+"/companies/"))
		if c, ok := s.world.find(country, short(country, readQuestion(r).RegistrationNumber)); ok {
			call.Subject = c.Subject
		}
	case strings.HasPrefix(path, Decisions+"/") && r.Method == http.MethodGet:
		call.Template = Decisions + "/{kind}/{correlationId}"
	}
	return call
}

// question is the body of a question about a company.
type question struct {
	RegistrationNumber string   `json:"registrationNumber"`
	Language           string   `json:"language"`
	Segments           []string `json:"segments"`
	Reference          string   `json:"reference"`
	OnBehalfOf         string   `json:"onBehalfOf"`

	malformed bool
}

// readQuestion reads the body and leaves it to be read again.
func readQuestion(r *http.Request) (q question) {
	body := readBody(r)
	q.malformed = json.Unmarshal(body, &q) != nil
	return q
}

func readBody(r *http.Request) []byte {
	if r.Body == nil {
		return nil
	}
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20)) // a broken upload is a malformed question
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body
}

// short is a Swedish number without the century that some write before it.
func short(country, number string) string {
	if country == "SE" && len(number) == 12 {
		return number[2:]
	}
	return number
}

func (s *Simulator) serve(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	switch {
	case path == SandboxToken:
		s.sandbox.ServeHTTP(w, r)
	case path == ProductionToken:
		s.production.ServeHTTP(w, r)
	case path == CreditData+"/companies":
		s.guard(w, r, http.MethodPost, "credit_data_companies", s.serveSearch)
	case strings.HasPrefix(path, CreditData+"/companies/"):
		s.guard(w, r, http.MethodPost, "credit_data_companies", s.serveReport)
	case strings.HasPrefix(path, Decisions+"/"):
		s.guard(w, r, "", "rgs-decision", s.serveDecision)
	case path == Persons+"/", path == Persons+"/person/search":
		s.guard(w, r, http.MethodGet, "bci", s.servePersons)
	default:
		s.fail(w, http.StatusNotFound, "No such resource")
	}
}

// guard checks method, token and scope. 403 for a token without the scope is
// assumed: the documents only name the scopes.
func (s *Simulator) guard(w http.ResponseWriter, r *http.Request, method, scope string, next http.HandlerFunc) {
	endpoints := []*sandbox.OAuth2{s.sandbox}
	if s.o.Production {
		endpoints = []*sandbox.OAuth2{s.production}
	} else if strings.HasPrefix(scope, "rgs-") { // decisions take production's tokens, also for tests
		endpoints = append(endpoints, s.production)
	}
	for _, endpoint := range endpoints {
		grant, _, live := endpoint.Bearer(r)
		held := strings.Fields(grant.Scope + " " + grant.Audience)
		switch {
		case !live:
			continue
		case !slices.Contains(held, scope) && !slices.Contains(held, scope+"-test"):
			sandbox.WriteJSON(w, http.StatusForbidden, map[string]string{"error": "insufficient_scope",
				"error_description": "The token has not the scope " + scope})
		case method != "" && r.Method != method:
			s.fail(w, http.StatusMethodNotAllowed, "Method not allowed")
		default:
			next(w, r)
		}
		return
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	sandbox.WriteJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token",
		"error_description": "Invalid Token: token not found, expired or invalid"})
}

func (s *Simulator) count(subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[subject]++
}

// correlation is the next correlation id.
func (s *Simulator) correlation() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counter++
	return sandbox.UUIDs{Seed: s.o.Seed}.At(int(s.counter))
}
