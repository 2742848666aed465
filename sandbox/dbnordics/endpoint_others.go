package dbnordics

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"syncer/sandbox"
)

// overview is a hit of the search.
type overview struct {
	Name               string `json:"name"`
	Country            string `json:"country"`
	RegistrationNumber string `json:"registrationNumber"`
	DUNS               string `json:"dunsNumber"`
	Active             bool   `json:"active"`
	HeadQuarter        bool   `json:"headQuarter"`
	LegalForm          string `json:"legalForm"`
}

type search struct {
	Country            string `json:"country"`
	Name               string `json:"name"`
	RegistrationNumber string `json:"registrationNumber"`
	DUNS               string `json:"dunsNumber"`
	Offset             int    `json:"offset"`
	Limit              *int   `json:"limit"`
}

func (q search) hits(c CompanyInfo) bool {
	if c.Country != q.Country || c.Fate == Unknown {
		return false
	}
	if !slices.Contains([]string{"", c.RegistrationNumber}, q.RegistrationNumber) {
		return false
	}
	if !slices.Contains([]string{"", c.DUNS}, q.DUNS) {
		return false
	}
	return strings.Contains(strings.ToLower(c.Name), strings.ToLower(q.Name))
}

// isFull says that a search names a country and something of a company.
func (q search) isFull() bool { return q.Country != "" && q.Name+q.RegistrationNumber+q.DUNS != "" }

// serveSearch finds companies by name, registration number or DUNS number. It is
// no credit report.
func (s *Simulator) serveSearch(w http.ResponseWriter, r *http.Request) {
	var q search
	if json.Unmarshal(readBody(r), &q) != nil || !q.isFull() {
		s.invalid(w, "country", q.Country, "country and one of name, registrationNumber, dunsNumber are required")
		return
	}
	limit := 20
	if q.Limit != nil {
		limit = *q.Limit
	}
	if min(limit, q.Offset) < 0 || limit > 200 || q.Offset+limit > 10_000 {
		s.invalid(w, "limit", "", "limit is 0 to 200, offset and limit at most 10000")
		return
	}
	found := []overview{}
	count := 0
	for i := range s.o.Companies {
		c := s.Company(i)
		if !q.hits(c) {
			continue
		}
		if count++; count > q.Offset && len(found) < limit {
			found = append(found, overview{c.Name, c.Country, c.RegistrationNumber, c.DUNS, true, true, "LIMITED_COMPANY"})
		}
	}
	sandbox.WriteJSON(w, http.StatusOK, map[string]any{
		"companies": found, "_paging": map[string]int{"resultCount": count, "limit": limit, "offset": q.Offset},
	})
}

// serveDecision decides on a company and keeps what it said under the
// correlation id, where it can be read again.
func (s *Simulator) serveDecision(w http.ResponseWriter, r *http.Request) {
	kind, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, Decisions+"/"), "/")
	if r.Method == http.MethodGet {
		s.mu.Lock()
		body, ok := s.decisions[kind+"/"+rest]
		s.mu.Unlock()
		if !ok {
			s.fail(w, http.StatusNotFound, "Decision not found")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body) // the caller may be gone
		return
	}
	var q struct {
		RegistrationNumber string `json:"registrationNumber"`
		RulesetKey         string `json:"rulesetKey"`
		Reference          string `json:"reference"`
	}
	country := strings.ToUpper(rest)
	malformed := json.Unmarshal(readBody(r), &q) != nil
	c, ok := s.world.find(country, short(country, q.RegistrationNumber))
	switch {
	case kind != "company", malformed, len(q.RulesetKey) != 16:
		s.invalid(w, "rulesetKey", q.RulesetKey, "rulesetKey has 16 characters; only companies are simulated")
	case !ok, c.Fate == Unknown:
		s.fail(w, http.StatusNotFound, "Company not found")
	default:
		s.decide(w, kind, c, q.RulesetKey, q.Reference)
	}
}

func (s *Simulator) decide(w http.ResponseWriter, kind string, c CompanyInfo, ruleset, reference string) {
	id := s.correlation()
	code := "A"
	label := "Approve"
	if !s.world.happens(chanceClean, c.Index, s.o.Clean) {
		code = "R"
		label = "Reject"
	}
	decision := map[string]string{"code": code, "label": label}
	body, err := json.Marshal(map[string]any{
		"correlationId": id,
		"ruleset":       map[string]string{"key": ruleset, "name": "Sim ruleset"},
		"subjectData":   map[string]string{"registrationNumber": c.RegistrationNumber, "name": c.Name, "countryCode": c.Country},
		"decisionResult": map[string]any{"decision": decision, "ruleModuleResults": []any{
			map[string]any{"moduleName": "Credit Data", "decision": map[string]string{"code": code}}}},
		"userData": map[string]string{"reference": reference},
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.mu.Lock()
	s.decisions[kind+"/"+id] = body
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the caller may be gone
}

// servePersons is the person search of Consumer Intelligence v2, by personal
// number. A miss has no body.
func (s *Simulator) servePersons(w http.ResponseWriter, r *http.Request) {
	number := r.URL.Query().Get("legalId")
	c, ok := s.world.find("SE", short("SE", number))
	switch {
	case r.URL.Query().Get("sourceCountry") == "":
		s.invalid(w, "sourceCountry", "", "sourceCountry is mandatory")
	case (!ok || !c.SoleTrader) && s.o.MissIsEmpty200:
		w.WriteHeader(http.StatusOK)
	case !ok, !c.SoleTrader:
		w.WriteHeader(http.StatusNoContent)
	default:
		sandbox.WriteJSON(w, http.StatusOK, map[string]any{"persons": []any{map[string]any{
			"lastModified": s.o.Start.Format("2006-01-02T15:04:05Z"), "sourceList": []string{"SPAR"},
			"person": map[string]any{
				"gedi": "UNKNOWN", "legalId": number, "protectedIdentity": false, "firstNames": []string{"Sim"},
				"preferredFirstName": nil, "familyName": "Simsson", "gender": "Female", "deceased": false,
				"phoneList": []any{}, "addressList": []any{},
			},
		}}})
	}
}
