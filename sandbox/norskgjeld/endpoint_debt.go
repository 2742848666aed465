package norskgjeld

import (
	"net/http"
	"time"

	"syncer/sandbox"
)

func (s *Simulator) serveDebt(w http.ResponseWriter, r *http.Request, id string, grant sandbox.Grant) {
	l, ok := s.register.collect(id, s.o.Kit.Clock.Now(), func(c ConsentInfo) bool {
		// The token of an authorization code is bound to its consent.
		bound := grant.Subject == "" || grant.Subject == c.ID
		return bound && c.ClientID == grant.ClientID && hasScope(grant.Scope, c.Scope)
	})
	switch {
	case ok && l.expired:
		s.fail(w, r, http.StatusForbidden, "invalid consent",
			"Consent expired at "+l.consent.ValidUntil.UTC().Format(time.RFC3339Nano))
	case !ok, l.inactive:
		s.fail(w, r, http.StatusForbidden, "no valid consent", "")
	default:
		sandbox.WriteJSON(w, http.StatusOK, s.answer(r, l))
	}
}

func (s *Simulator) serveStatus(w http.ResponseWriter, id string, grant sandbox.Grant) {
	now := s.o.Kit.Clock.Now()
	s.register.mu.Lock()
	c, index, ok := s.register.find(id)
	active := ok && c.ClientID == grant.ClientID && !s.register.validityOf(c, index, now).inactive
	s.register.mu.Unlock()
	body := map[string]any{"active": active}
	if ok {
		body["expires_at"] = c.ValidUntil.Unix()
	}
	if s.o.StatusAsText {
		body["active"] = map[bool]string{true: "true", false: "false"}[active]
		if ok {
			body["expires_at"] = c.ValidUntil.UTC().Format(time.RFC3339)
		}
	}
	sandbox.WriteJSON(w, http.StatusOK, body)
}

func (s *Simulator) serveRevoke(w http.ResponseWriter, r *http.Request, id string, grant sandbox.Grant) {
	mine := func(c ConsentInfo) bool { return c.ClientID == grant.ClientID }
	if !s.register.revoke(id, s.o.Kit.Clock.Now(), mine) {
		s.fail(w, r, http.StatusForbidden, "no valid consent", "")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// answer is the whole answer for a consent. A wrong subject is the neighbour's
// data under the consent that was asked for.
func (s *Simulator) answer(r *http.Request, l lookup) debtInformation {
	person, state := l.consent.NationalID, l.person
	if _, wrong := sandbox.FaultOf(r, sandbox.WrongSubject); wrong {
		person = sandbox.NationalID(s.o.Seed, l.index+1)
		state = personState{}
	}
	loans, missing := s.register.debts(person, state)
	return debtInformation{
		SSN: person, Loans: loans, Missing: missing, Answered: len(loans) - missing,
		Consent: consentBlock{ID: l.consent.ID, Exp: l.consent.ValidUntil.Unix(), Scope: l.consent.Scope},
	}
}
