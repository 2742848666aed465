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
