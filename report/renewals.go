package report

import (
	"time"

	"syncer/persist/read"
	"syncer/report/text"
)

// Renewal is how far a consent has gone on under another id of its provider.
type Renewal struct {
	New       string     `json:"new"`
	Old       string     `json:"old"`
	State     string     `json:"state"` // waiting, trial, done, refused, replaced or withdrawn
	Reason    string     `json:"reason,omitempty"`
	NotBefore *time.Time `json:"not_before,omitempty"` // it is not tried before
	ValidFrom *time.Time `json:"valid_from,omitempty"`
	At        time.Time  `json:"at"`
}

// renewalsOf are the renewals of a consent for programs, oldest first.
func renewalsOf(list []read.Renewal) []Renewal {
	var all []Renewal
	for _, r := range list {
		all = append(all, Renewal{
			New: r.New, Old: r.Old, State: r.State, Reason: r.Reason,
			NotBefore: instant(r.NotBefore), ValidFrom: instant(r.From), At: r.At,
		})
	}
	return all
}

// renewalText is one line of the renewals of a consent.
func renewalText(r read.Renewal) string {
	said := "renewal of " + r.Old + " as " + r.New
	switch r.State {
	case "waiting":
		said += " waits until it is tried"
		switch {
		case r.Reason != "":
			said += " again, at " + text.Clock(r.NotBefore) + ": it was refused: " + r.Reason
		case r.From.After(time.Now()):
			said += ", from " + text.Clock(r.From)
		}
	case "trial":
		said += " is on trial: the new id is called, and the old one is kept until there is an answer"
	case "done":
		said += " is done: the old id is not called any more"
	case "refused":
		said += " was refused: " + r.Reason
	case "replaced":
		said += " was replaced by a newer one"
	case "withdrawn":
		said += " was withdrawn: " + r.Reason + ". No list brings it back; `syncer consents renew` does"
	}
	return said
}

// LikelyRenewal is a new consent that looks like the renewal of a known one: the JSON of `consents list --renewals`.
type LikelyRenewal struct {
	Connection string     `json:"connection"`
	Old        int64      `json:"old"`
	OldID      string     `json:"old_id"`
	OldStatus  string     `json:"old_status"`
	OldUntil   *time.Time `json:"old_valid_until,omitempty"`
	New        int64      `json:"new"`
	NewID      string     `json:"new_id"`
}

// LikelyRenewalOf is a likely renewal for programs.
func LikelyRenewalOf(l read.LikelyRenewal) LikelyRenewal {
	return LikelyRenewal{
		Connection: l.Connection, Old: l.Old, OldID: l.OldID, OldStatus: string(l.OldStatus),
		OldUntil: instant(l.OldUntil), New: l.New, NewID: l.NewID,
	}
}
