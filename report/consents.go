package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"syncer/finance"
	"syncer/jobs"
	"syncer/persist/read"
	"syncer/report/text"
)

// Consent is the JSON of `consents list` and `consents show`.
type Consent struct {
	ID           int64           `json:"id"`
	Connection   string          `json:"connection"`
	ExternalID   string          `json:"external_id"`
	Status       string          `json:"status"`
	Scopes       []string        `json:"scopes"`
	Purpose      string          `json:"purpose,omitempty"`
	ValidFrom    *time.Time      `json:"valid_from,omitempty"`
	ValidUntil   *time.Time      `json:"valid_until,omitempty"`
	SingleUse    bool            `json:"single_use"`
	ReadsPerDay  int             `json:"reads_per_day,omitempty"`
	SubjectKnown bool            `json:"subject_known"`
	Unopened     string          `json:"subject_unopened,omitempty"` // no call is made
	LastRead     *time.Time      `json:"last_read,omitempty"`        // with --expiring: when it was last read completely
	Suspicion    *Suspicion      `json:"suspicion,omitempty"`        // of show: why it is suspected
	OnTrial      bool            `json:"on_trial,omitempty"`         // nobody was answered under external_id yet
	Renewals     []Renewal       `json:"renewals,omitempty"`         // of show: oldest first
	History      []ConsentChange `json:"history,omitempty"`
}

// ConsentChange is one line of the history of a consent.
type ConsentChange struct {
	At     time.Time `json:"at"`
	Source string    `json:"source"`
	From   string    `json:"from,omitempty"`
	To     string    `json:"to"`
	Reason string    `json:"reason,omitempty"`
	Call   string    `json:"call,omitempty"`
}

// ConsentOf is a consent for programs, without what only `consents show` tells.
func ConsentOf(c finance.Consent) Consent {
	unopened := ""
	if err := c.Subject.Unopened(); err != nil {
		unopened = err.Error()
	}
	return Consent{
		Unopened: unopened,
		ID:       c.ID, Connection: c.Connection, ExternalID: c.ExternalID, Status: string(c.Status),
		Scopes:  append([]string{}, c.Scopes...),
		Purpose: c.Purpose, ValidFrom: instant(c.ValidFrom), ValidUntil: instant(c.ValidUntil), SingleUse: c.SingleUse,
		ReadsPerDay: c.ReadsPerDay, SubjectKnown: c.Subject.Known(),
		OnTrial: c.OnTrial,
	}
}

// ExpiringConsentOf is a consent with when it was last read completely.
func ExpiringConsentOf(c read.ExpiringConsent) Consent {
	j := ConsentOf(c.Consent)
	j.LastRead = instant(c.LastRead)
	return j
}

// consentChangesOf is the history of a consent for programs.
func consentChangesOf(history []read.ConsentChange) []ConsentChange {
	var list []ConsentChange
	for _, e := range history {
		change := ConsentChange{At: e.At, Source: string(e.Source), From: string(e.From), To: string(e.To), Reason: e.Reason}
		if !e.Call.IsZero() {
			change.Call = e.Call.String()
		}
		list = append(list, change)
	}
	return list
}

// ConsentDetails are what is known of one consent.
type ConsentDetails struct {
	finance.Consent
	Suspicion *read.Suspicion // nil: it is not suspected
	Renewals  []read.Renewal
	History   []read.ConsentChange
}

// JSON is what `consents show` tells programs.
func (d ConsentDetails) JSON() Consent {
	j := ConsentOf(d.Consent)
	j.Suspicion, j.Renewals, j.History = suspicionOf(d.Suspicion), renewalsOf(d.Renewals), consentChangesOf(d.History)
	return j
}

// Write is what `consents show` tells people.
func (d ConsentDetails) Write(w io.Writer) {
	c := d.Consent
	subject := "not known"
	reads := "no bound"
	use := "many"
	until := "open-ended"
	if !c.ValidUntil.IsZero() {
		until = text.Clock(c.ValidUntil)
	}
	if c.Subject.Known() {
		subject = "known (keyed hash)"
	}
	if err := c.Subject.Unopened(); err != nil {
		subject = err.Error()
	}
	if c.ReadsPerDay > 0 {
		reads = strconv.Itoa(c.ReadsPerDay)
	}
	if c.SingleUse {
		use = "one"
	}
	text.WriteFields(w, [][2]string{
		{"consent", strconv.FormatInt(c.ID, 10)},
		{"connection", c.Connection},
		{"external id", c.ExternalID},
		{"status", string(c.Status)},
		{"subject", subject},
		{"scopes", strings.Join(c.Scopes, " ")},
		{"purpose", c.Purpose},
		{"valid from", text.Clock(c.ValidFrom)},
		{"valid until", until},
		{"uses", use},
		{"reads a day", reads},
	})
	if d.Suspicion != nil {
		fmt.Fprintln(w, text.Paragraph(w, "  ", "suspected "+suspicionText(d.Suspicion)))
	}
	for _, r := range d.Renewals {
		fmt.Fprintln(w, text.Paragraph(w, "  ", renewalText(r)))
	}
	for i, e := range d.History {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, text.Paragraph(w, "  ", changeText(e)))
	}
}

// LastDay is the last day in a zone that begins before an instant at which something ends: a consent that ends at midnight
// holds for no moment of the day that begins then.
func LastDay(end time.Time, zone *time.Location) string {
	return end.Add(-time.Nanosecond).In(zone).Format(time.DateOnly)
}

// changeText is one line of a consent's history.
func changeText(e read.ConsentChange) string {
	said := text.Clock(e.At) + " " + string(e.To)
	if e.From != "" {
		said = text.Clock(e.At) + " " + string(e.From) + " → " + string(e.To)
	}
	said += " (" + string(e.Source) + ")"
	if e.Reason != "" {
		said += ": " + e.Reason
	}
	if !e.Call.IsZero() {
		said += "; call " + e.Call.String()
	}
	return said
}

// FeedResult is what was read of a provider's feed of consent events: the JSON of `consents sync`.
type FeedResult struct {
	Connection string `json:"connection"`
	HasFeed    bool   `json:"has_feed"`
	Events     int    `json:"events"`
	Changed    int    `json:"changed"`
	Gap        bool   `json:"gap"`
	Asked      int    `json:"asked"` // one by one, after a gap
}

// FeedResultOf is what was read of the feed of a connection.
func FeedResultOf(connection string, r jobs.FeedResult) FeedResult {
	return FeedResult{
		Connection: connection, HasFeed: r.Read, Events: r.Events, Changed: r.Changed, Gap: r.Gap, Asked: r.Asked,
	}
}
