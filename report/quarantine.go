package report

import (
	"time"

	"syncer/finance"
	"syncer/persist/read"
)

// QuarantinedRecord is a record that could not be read or stored: the JSON of `quarantine list`.
type QuarantinedRecord struct {
	ID         int64      `json:"id"`
	Connection string     `json:"connection"`
	Consent    int64      `json:"consent"`
	Dataset    string     `json:"dataset"`
	Account    string     `json:"account,omitempty"`
	Key        string     `json:"key,omitempty"` // the provider's; left out: it could not be read
	Call       string     `json:"call"`          // whose answer has it
	Place      int32      `json:"place"`         // in that answer
	Reason     string     `json:"reason"`
	Times      int        `json:"times"` // runs that have met it
	Waits      bool       `json:"waits"` // the stream's position waits for it
	FirstAt    *time.Time `json:"first_at,omitempty"`
	LastAt     *time.Time `json:"last_at,omitempty"`
	ResolvedAt *time.Time `json:"resolved_at,omitempty"`
	ResolvedAs string     `json:"resolved_as,omitempty"` // read, gone, replaced or accepted
	Note       string     `json:"note,omitempty"`
}

// QuarantinedOf is a record in quarantine for programs. What looks like a national identity number is hidden.
func QuarantinedOf(r read.QuarantinedRecord) QuarantinedRecord {
	key := r.Key
	if finance.HoldsNationalID(key) {
		key = "(hidden: it looks like a person's number)"
	}
	return QuarantinedRecord{
		ID: r.ID, Connection: r.Connection, Consent: r.Consent,
		Dataset: string(r.Dataset), Account: shownAccount(r.Account),
		Key: key, Call: r.Call.String(), Place: r.Place, Reason: r.Reason, Times: r.Times, Waits: r.Held,
		FirstAt: instant(r.FirstAt), LastAt: instant(r.LastAt),
		ResolvedAt: instant(r.ResolvedAt), ResolvedAs: r.ResolvedAs, Note: r.Note,
	}
}

// shownAccount hides an account's id that a provider has made of its customer's number.
func shownAccount(id string) string {
	if finance.HoldsNationalID(id) {
		return "(hidden: it looks like a person's number)"
	}
	return id
}

// AcceptedRecord is what `quarantine accept` has done.
type AcceptedRecord struct {
	Event string `json:"event"` // accepted
	ID    int64  `json:"id"`
}
