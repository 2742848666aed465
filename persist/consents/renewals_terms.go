package consents

import (
	"strings"
	"time"

	"syncer/finance"
)

// termColumns are the columns of consents that belong to an id and not to the person behind it: a renewal brings
// others, and if it is refused those before come back.
func termColumns() []string {
	return []string{
		"purpose", "scopes", "valid_from", "valid_until", "listed_until", "single_use",
		"reads_per_day", "reads_of_connection",
		"status", "ended_at", "ended_reason", "status_asked_at",
		"suspected_at", "suspected_until", "suspected_as", "suspected_reason", "suspected_dataset", "suspected_times",
		"held_at", "held_told",
	}
}

// termsInForce is SQL for the terms of a consent c as a renewal's row keeps them.
func termsInForce() string {
	return `(SELECT jsonb_object_agg(t.key, t.value) FROM jsonb_each(to_jsonb(c)) t
		WHERE t.key IN ('` + strings.Join(termColumns(), "', '") + `'))`
}

// putTerms is SQL that gives a consent c the terms that an expression holds. Where they name no number of reads a day the
// consent has that of its connection as it is now, which may have been changed while they waited.
func putTerms(from string) string {
	columns := strings.Join(termColumns(), ", ")
	return "(" + columns + ") = (SELECT " + columns + `
		FROM jsonb_populate_record(NULL::consents, ` + from + ` || (
			SELECT CASE
				WHEN ` + from + `->>'reads_per_day' IS NULL OR ` + from + `->>'reads_of_connection' = 'true'
				THEN jsonb_build_object(
					'reads_per_day', n.reads_per_day,
					'reads_of_connection', n.reads_per_day IS NOT NULL
				)
				ELSE '{}' END
			FROM connections n
			WHERE n.name = c.connection
		)))`
}

// terms are what a renewal brings, as its row keeps them: by the names of the columns. A column that is left out is
// null.
type terms struct {
	Purpose   string     `json:"purpose"`
	Scopes    []string   `json:"scopes"`
	From      time.Time  `json:"valid_from"`
	Until     *time.Time `json:"valid_until"`
	SingleUse bool       `json:"single_use"`
	Reads     *int32     `json:"reads_per_day"`
	Follows   bool       `json:"reads_of_connection"`

	Status finance.ConsentStatus `json:"status"`
	Times  int                   `json:"suspected_times"`
	Told   bool                  `json:"held_told"`
}
