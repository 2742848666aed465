package norskgjeld

import (
	"encoding/csv"
	"net/http"
	"strconv"
	"time"
)

// listConsents streams the seeded consents as CSV, in constant memory.
func (s *Simulator) listConsents(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/csv")
	out := csv.NewWriter(w)
	defer out.Flush()
	if out.Write([]string{"id", "national_id", "scope", "given_at", "valid_until", "single_use", "client_ref"}) != nil {
		return // the reader is gone
	}
	for i := range s.Len() {
		c := s.Consent(i)
		err := out.Write([]string{c.ID, c.NationalID, c.Scope, c.GivenAt.Format(time.RFC3339),
			c.ValidUntil.Format(time.RFC3339), strconv.FormatBool(c.SingleUse), c.ClientRef})
		if err != nil {
			return
		}
	}
}

// Revoke is the person withdrawing a consent; false if it isn't active.
func (s *Simulator) Revoke(id string) bool {
	return s.register.revoke(id, s.o.Kit.Clock.Now(), func(ConsentInfo) bool { return true })
}

// Touch changes a balance of the person behind a consent; false for an unknown
// consent. A person without loans stays without.
func (s *Simulator) Touch(id string) bool {
	return s.register.change(id, func(p *personState) { p.version++ })
}

// Repay takes the last loan of the person behind a consent away.
func (s *Simulator) Repay(id string) bool {
	return s.register.change(id, func(p *personState) { p.repaid++ })
}

// Silence makes one creditor of the person behind a consent answer no more, or
// answer again.
func (s *Simulator) Silence(id string, silent bool) bool {
	return s.register.change(id, func(p *personState) { p.missing = silent })
}

// control is steered from outside under /_sandbox/norskgjeld/:
//
//	GET  consents                       id,national_id,scope,valid_until,single_use,client_ref as CSV
//	POST revoke|touch|repay?consent=ID
//	POST silence?consent=ID&silent=true|false
//	POST person?mood=consents|denies|cancels&national_id=...
func (s *Simulator) control() http.Handler {
	mux := http.NewServeMux()
	verb := func(name string, do func(r *http.Request, id string) bool) {
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
			if !do(r, r.URL.Query().Get("consent")) {
				http.Error(w, name+": no such active consent", http.StatusNotFound)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		})
	}
	verb("revoke", func(_ *http.Request, id string) bool { return s.Revoke(id) })
	verb("touch", func(_ *http.Request, id string) bool { return s.Touch(id) })
	verb("repay", func(_ *http.Request, id string) bool { return s.Repay(id) })
	verb("silence", func(r *http.Request, id string) bool {
		return s.Silence(id, r.URL.Query().Get("silent") != "false")
	})
	mux.HandleFunc("POST /person", s.sit)
	mux.HandleFunc("GET /consents", s.listConsents)
	return mux
}
