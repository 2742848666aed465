package dbnordics

import (
	"encoding/csv"
	"net/http"
	"strconv"
)

// Petition adds a petition to a Swedish company; the balance follows.
func (s *Simulator) Petition(i int) { s.change(i, func(st *state) { st.petitions++ }) }

// RemoveRemark takes the last remark, in Norway the last incident, away.
func (s *Simulator) RemoveRemark(i int) { s.change(i, func(st *state) { st.settled++ }) }

// Advance puts a new state before those of a Norwegian company's first incident.
func (s *Simulator) Advance(i int) { s.change(i, func(st *state) { st.advanced++ }) }

// Decree changes what becomes of questions about a company: Known, Unknown or
// Withheld.
func (s *Simulator) Decree(i int, fate string) { s.change(i, func(st *state) { st.fate = &fate }) }

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
	verb("settle", func(_ *http.Request, i int) { s.RemoveRemark(i) })
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
