package dbnordics

import (
	"net/http"
	"slices"
	"strings"

	"syncer/sandbox"
)

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
	case !ok, *st.fate == Unknown:
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
	case len(number) != length, strings.Trim(number, "0123456789") != "":
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
