package sbanken

import (
	"encoding/csv"
	"net/http"
	"strconv"

	"syncer/sandbox"
)

// Insert books a new transaction, back days before today, and returns its
// transactionId; "" for an unknown account.
func (s *Simulator) Insert(accountID string, back int) string {
	n, ok := s.world.findAccount(accountID)
	if !ok {
		return ""
	}
	l := s.stateOf(n)
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.insertNew(s.world.today() - back)
	return strconv.FormatInt(r.id(n, s.o.Seed), 10)
}

// Overcount makes every list count one row more than it has, so that its end never comes.
func (s *Simulator) Overcount() { s.over.Store(true) }

// Reserve makes a card reservation today; false for an unknown account.
func (s *Simulator) Reserve(accountID string) bool {
	return s.onAccount(accountID, func(l *accountState, today int) { l.reserve(today, today) })
}

// Book books all reservations of an account today, whenever they are due.
func (s *Simulator) Book(accountID string) bool {
	return s.onAccount(accountID, func(l *accountState, today int) {
		for _, r := range l.reservations {
			l.book(r, today)
		}
		l.reservations = nil
	})
}

// Release lets all reservations of an account lapse without a booking.
func (s *Simulator) Release(accountID string) bool {
	return s.onAccount(accountID, func(l *accountState, _ int) {
		l.reservations = nil
		l.revision++
	})
}

func (s *Simulator) onAccount(accountID string, f func(l *accountState, today int)) bool {
	n, ok := s.world.findAccount(accountID)
	if !ok {
		return false
	}
	l := s.stateOf(n)
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l, s.world.today())
	return true
}

func (l *accountState) insertNew(day int) row {
	return l.insert(row{content: sandbox.Mix(l.world.o.Seed, 'n', uint64(l.account), uint64(l.added)), day: day})
}

// control is steered from outside under /_sandbox/sbanken/:
//
//	GET  customers                     customer_id,account_id,account_number,type as CSV
//	POST insert?account=ID&back=DAYS   answers the transactionId
//	POST reserve|book|release?account=ID
func (s *Simulator) control() http.Handler {
	mux := http.NewServeMux()
	for name, do := range map[string]func(string) bool{"reserve": s.Reserve, "book": s.Book, "release": s.Release} {
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
			if !do(r.URL.Query().Get("account")) {
				http.Error(w, "no such account", http.StatusNotFound)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		})
	}
	mux.HandleFunc("POST /insert", func(w http.ResponseWriter, r *http.Request) {
		back, _ := strconv.Atoi(r.URL.Query().Get("back")) // absent: today
		id := s.Insert(r.URL.Query().Get("account"), back)
		if id == "" {
			http.Error(w, "no such account", http.StatusNotFound)
			return
		}
		writeJSON(w, http.StatusOK, "application/json", map[string]string{"transactionId": id})
	})
	mux.HandleFunc("GET /customers", s.listCustomers)
	return mux
}

func (s *Simulator) listCustomers(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/csv")
	out := csv.NewWriter(w)
	defer out.Flush()
	lines := [][]string{{"customer_id", "account_id", "account_number", "type"}}
	for i := range s.Len() {
		c := s.Customer(i)
		for _, a := range c.Accounts {
			lines = append(lines, []string{c.CustomerID, a.AccountID, a.AccountNumber, a.Type})
		}
		if out.WriteAll(lines) != nil {
			return // the reader is gone
		}
		lines = lines[:0]
	}
}
