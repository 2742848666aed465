package vipps

import (
	"net/http"
	"strconv"
)

// Grant gives or withdraws the access that a merchant grants in the portal; false for an unknown merchant.
func (s *Simulator) Grant(merchant int, granted bool) bool {
	if merchant < 0 || merchant >= s.o.Merchants {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused[merchant] = !granted
	return true
}

// Endless makes every last page lead on to itself, always by another cursor.
func (s *Simulator) Endless() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endless = true
}

// again is a cursor that leads to the page which begins at a place once more, under another name; ok is false where lists
// have ends.
func (s *Simulator) again(asked, list string, from int) (cursor string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return turned(asked, list, from), s.endless
}

// control is steered from outside under /_sandbox/vipps/:
//
//	POST grant?merchant=N&granted=true|false
func (s *Simulator) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /grant", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("merchant"))
		if err != nil || !s.Grant(n, r.URL.Query().Get("granted") != "false") {
			http.Error(w, "no such merchant", http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}
