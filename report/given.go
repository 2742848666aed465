package report

import (
	"fmt"
	"time"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/consents"
	"syncer/report/text"
)

// GivenConsent is a consent that a person has given in the browser: the JSON of `consents authorize`.
type GivenConsent struct {
	Event      string     `json:"event"` // given; asked before it has the link
	Consent    int64      `json:"consent"`
	Connection string     `json:"connection"`
	ExternalID string     `json:"external_id"`
	Was        string     `json:"was,omitempty"` // its status before, if it was known
	Scopes     []string   `json:"scopes"`
	ValidUntil *time.Time `json:"valid_until,omitempty"`
	SingleUse  bool       `json:"single_use"`
	Refreshed  bool       `json:"refreshed"` // by a refresh token that is kept, sealed
}

// GivenOf is what was given over a connection, and how it is kept.
func GivenOf(connection string, kept consents.GiveResult, got fetch.Consented) GivenConsent {
	return GivenConsent{
		Event: "given", Consent: kept.ID, Connection: connection, ExternalID: got.ExternalID, Was: string(kept.Was),
		Scopes: append([]string{}, got.Scopes...), ValidUntil: instant(got.ValidUntil), SingleUse: got.SingleUse,
		Refreshed: !got.Refresh.IsZero(),
	}
}

// Text tells what was given, without telling who has given it.
func (g GivenConsent) Text() string {
	what := fmt.Sprintf("Consent %d was given over %s", g.Consent, g.Connection)
	switch g.Was {
	case "":
	case string(finance.ConsentActive):
		what = fmt.Sprintf("Consent %d over %s was active and has been given again", g.Consent, g.Connection)
	default:
		what = fmt.Sprintf("Consent %d over %s was %s and is active again", g.Consent, g.Connection, g.Was)
	}
	switch {
	case g.SingleUse:
		return what + ". It is good for one answer until " + text.Clock(timeOf(g.ValidUntil)) + ": run its job now."
	case g.ValidUntil == nil:
		return what + "."
	}
	return what + ". It is good until " + text.Clock(timeOf(g.ValidUntil)) + "."
}

// timeOf is an instant that may be left out; the zero time if it is.
func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
