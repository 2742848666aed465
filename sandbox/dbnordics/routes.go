package dbnordics

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
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
	case path == SandboxToken || path == ProductionToken:
		call.Bucket, call.Token = call.Bucket+"/token", true
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
	case path == Persons+"/" || path == Persons+"/person/search":
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

// serveReport answers with the credit data of a company.
func (s *Simulator) serveReport(w http.ResponseWriter, r *http.Request) {
	country := strings.ToUpper(strings.TrimPrefix(r.URL.Path, CreditData+"/companies/"))
	q := readQuestion(r)
	if field, why := q.fault(country); field != "" {
		s.invalid(w, field, q.RegistrationNumber, why)
		return
	}
	c, ok := s.world.find(country, short(country, q.RegistrationNumber))
	st := s.stateOf(c, ok)
	switch {
	case !ok || *st.fate == Unknown:
		s.fail(w, http.StatusNotFound, "Company not found")
		return
	case *st.fate == Withheld:
		s.fail(w, http.StatusUnavailableForLegalReasons, "The company exists but can't be delivered due to legal reasons")
		return
	}
	if _, wrong := sandbox.FaultOf(r, sandbox.WrongSubject); wrong {
		c = s.neighbour(c)
	}
	about := s.subject(c, st, q.Language)
	answer := s.report(about, q.Segments)
	if s.o.CorrelationInReports {
		answer.CorrelationID = s.correlation()
	}
	s.count(c.Subject)
	status := http.StatusOK
	if about.incomplete {
		status = http.StatusMultiStatus
	}
	sandbox.WriteJSON(w, status, answer)
}

// fault is what the vendor's validation finds.
func (q question) fault(country string) (field, why string) {
	length := map[string]int{"SE": 10, "NO": 9}[country]
	number := short(country, q.RegistrationNumber)
	switch {
	case q.malformed:
		return "RequestModel", "Malformed JSON request"
	case length == 0:
		return "country", "Country is not part of this simulation"
	case len(number) != length || strings.Trim(number, "0123456789") != "":
		return "registrationNumber", "The registration number " + q.RegistrationNumber + " is not valid"
	case q.Language != "" && !slices.Contains([]string{"SV", "EN", "NO", "DA", "FI"}, q.Language):
		return "language", "Unsupported language"
	}
	for _, one := range q.Segments {
		if !slices.Contains([]string{"RISK", "FINANCE", "MANAGEMENT", "OWNERSHIP", "EVENTS", "COMPANY_INFORMATION"}, one) {
			return "segments", "Unknown segment"
		}
	}
	return "", ""
}

func (s *Simulator) stateOf(c CompanyInfo, known bool) state {
	s.mu.Lock()
	defer s.mu.Unlock()
	var st state
	if known {
		st = s.touched[c.Index]
	}
	if st.fate == nil {
		st.fate = &c.Fate
	}
	return st
}

// neighbour is another company of the same country.
func (s *Simulator) neighbour(c CompanyInfo) CompanyInfo {
	for step := 1; step < s.o.Companies; step++ {
		if other := s.Company((c.Index + step) % s.o.Companies); other.Country == c.Country {
			return other
		}
	}
	return c
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

// control is steered from outside under /_sandbox/dbnordics/:
//
//	GET  companies                      subject,country,registration_number,sole_trader,fate as CSV
//	POST petition|settle|advance?company=INDEX
//	POST decree?company=INDEX&fate=unknown|withheld|
func (s *Simulator) control() http.Handler {
	mux := http.NewServeMux()
	verb := func(name string, do func(r *http.Request, i int)) {
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
			i, err := strconv.Atoi(r.URL.Query().Get("company"))
			if err != nil || i < 0 || i >= s.o.Companies {
				http.Error(w, name+": company must be an index below "+strconv.Itoa(s.o.Companies), http.StatusNotFound)
				return
			}
			do(r, i)
			w.WriteHeader(http.StatusNoContent)
		})
	}
	verb("petition", func(_ *http.Request, i int) { s.Petition(i) })
	verb("settle", func(_ *http.Request, i int) { s.Settle(i) })
	verb("advance", func(_ *http.Request, i int) { s.Advance(i) })
	verb("decree", func(r *http.Request, i int) { s.Decree(i, r.URL.Query().Get("fate")) })
	mux.HandleFunc("GET /companies", s.listCompanies)
	return mux
}

func (s *Simulator) listCompanies(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/csv")
	out := csv.NewWriter(w)
	defer out.Flush()
	if out.Write([]string{"subject", "country", "registration_number", "sole_trader", "fate"}) != nil {
		return // the reader is gone
	}
	for i := range s.Len() {
		c := s.Company(i)
		if out.Write([]string{c.Subject, c.Country, c.RegistrationNumber, strconv.FormatBool(c.SoleTrader), c.Fate}) != nil {
			return
		}
	}
}
