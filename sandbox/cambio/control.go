package cambio

import (
	"encoding/csv"
	"net/http"
	"strconv"

	"syncer/sandbox"
)

// Bill makes one more issued invoice for patient i.
func (s *Simulator) Bill(i int) { s.world.alter(i, func(c *change) { c.billed++ }) }

// Pay settles the oldest open invoice of patient i; false if there is none.
func (s *Simulator) Pay(i int) bool {
	list := s.world.invoices(i)
	for n := len(list) - 1; n >= 0; n-- {
		if list[n].Status == "issued" {
			s.world.alter(i, func(c *change) { c.paid[list[n].ID] = true })
			return true
		}
	}
	return false
}

// Drop takes the newest invoice of patient i away, so that the list is shorter.
func (s *Simulator) Drop(i int) { s.world.alter(i, func(c *change) { c.gone++ }) }

// Endless makes the last page of every search lead on to itself, always by
// another link.
func (s *Simulator) Endless() { s.endless.Store(true) }

// Raise makes the fee of patient i's newest contact 50 kronor higher.
func (s *Simulator) Raise(i int) { s.world.alter(i, func(c *change) { c.raised++ }) }

// Close closes the record of patient i to the client, as when the patient blocks
// it: every service answers 403.
func (s *Simulator) Close(i int) { s.world.alter(i, func(c *change) { c.closed = true }) }

// control is steered from outside under /_sandbox/cambio/:
//
//	GET  patients                     personnummer,id,internal_id,family,given,open as CSV
//	POST bill|pay|raise|close?patient=NUMBER  a personnummer
//	POST sit?patient=NUMBER&mood=MOOD   who logs in next: consents, denies, cancels
func (s *Simulator) control() http.Handler {
	mux := http.NewServeMux()
	verb := func(name string, do func(int) bool) {
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
			i, ok := s.world.byNumber(r.URL.Query().Get("patient"))
			if !ok || !do(i) {
				http.Error(w, name+": no such patient, or nothing to do", http.StatusNotFound)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		})
	}
	verb("bill", func(i int) bool { s.Bill(i); return true })
	verb("raise", func(i int) bool { s.Raise(i); return true })
	verb("close", func(i int) bool { s.Close(i); return true })
	verb("pay", s.Pay)
	mux.HandleFunc("POST /sit", func(w http.ResponseWriter, r *http.Request) {
		s.auth.Sit(sandbox.Person{NationalID: r.URL.Query().Get("patient"), Mood: sandbox.Mood(r.URL.Query().Get("mood"))})
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /patients", s.listPatients)
	return mux
}

func (s *Simulator) listPatients(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/csv")
	out := csv.NewWriter(w)
	defer out.Flush()
	if out.Write([]string{"personnummer", "id", "internal_id", "family", "given", "open"}) != nil {
		return // the reader is gone
	}
	for i := range s.Len() {
		p := s.Patient(i)
		if out.Write([]string{p.Personnummer, p.ID, p.InternalID, p.Family, p.Given, strconv.Itoa(p.Open)}) != nil {
			return
		}
	}
}
