package norskgjeld

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"syncer/sandbox"
)

// registration is the body of PUT /v1/consent/agreement. The registry's own
// sample sends the days as text, its schema says number: both are taken.
type registration struct {
	NIN             string    `json:"nin"`
	Scope           string    `json:"scope_of_consent"`
	Days            looseDays `json:"consent_duration_days"`
	ClientConsentID string    `json:"client_consent_id"`
}

type looseDays int

func (d *looseDays) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		text = string(b)
	}
	n, err := strconv.ParseInt(text, 10, 32)
	*d = looseDays(n)
	return err
}

func (a registration) problem() string {
	switch {
	case !sandbox.ValidNationalID(a.NIN):
		return "nin is not a valid national identity number"
	case a.Scope != Presentation && a.Scope != Processing:
		return "scope_of_consent is unknown"
	case a.Days < 1:
		return "consent_duration_days must be positive"
	case a.ClientConsentID == "":
		return "client_consent_id is missing"
	}
	return ""
}

func (s *Simulator) serveAgreement(w http.ResponseWriter, r *http.Request) {
	grant, known, live := s.tokens.Bearer(r)
	if !known || !live {
		w.WriteHeader(http.StatusUnauthorized) // without a body, says the schema
		return
	}
	if r.Method != http.MethodPut {
		s.springError(w, r, http.StatusMethodNotAllowed, "")
		return
	}
	if !strings.HasSuffix(grant.Audience, agreementService) || !hasScope(grant.Scope, "consent.create") {
		s.springError(w, r, http.StatusForbidden, "")
		return
	}
	var asked registration
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&asked); err != nil {
		s.springError(w, r, http.StatusBadRequest, "malformed body")
		return
	}
	if problem := asked.problem(); problem != "" {
		s.springError(w, r, http.StatusBadRequest, problem)
		return
	}
	info, ok := s.register.register(asked, grant.ClientID, s.o.Kit.Clock.Now())
	if !ok {
		s.springError(w, r, http.StatusConflict, "client_consent_id already registered with different data")
		return
	}
	sandbox.WriteJSON(w, http.StatusOK, map[string]any{
		"client_consent_id": info.ClientRef,
		"consent": map[string]string{
			"id": info.ID, "scope_of_consent": info.Scope,
			"expires_at": info.ValidUntil.Format(time.RFC3339),
		},
	})
}

// register records a consent, or returns the one that the same data made
// before; false if the reference stands for other data.
func (g *register) register(asked registration, client string, now time.Time) (ConsentInfo, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	ref := clientRef{client, asked.ClientConsentID}
	if i, ok := g.byRef[ref]; ok {
		old := g.added[i]
		same := old.info.NationalID == asked.NIN && old.info.Scope == asked.Scope && old.days == int(asked.Days)
		return old.info, same
	}
	index := g.o.Consents + len(g.added)
	info := ConsentInfo{
		ID: g.ids.At(index), NationalID: asked.NIN, Scope: asked.Scope, GivenAt: now,
		ValidUntil: endOfDay(now, min(int(asked.Days), maxDays(asked.Scope))),
		ClientID:   client, ClientRef: asked.ClientConsentID,
	}
	g.byRef[ref] = len(g.added)
	g.added = append(g.added, agreement{info: info, days: int(asked.Days)})
	g.append(event{index: index, at: now})
	return info, true
}
