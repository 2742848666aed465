package report

import (
	"fmt"
	"time"

	"syncer/persist/connections"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/report/text"
)

// Connection is the JSON of `connections list`.
type Connection struct {
	Name         string     `json:"name"`
	Provider     string     `json:"provider"`
	State        string     `json:"state"` // open, parked, or unused: no command has used it yet
	ParkedAt     *time.Time `json:"parked_at,omitempty"`
	ParkedClass  string     `json:"parked_class,omitempty"`
	ParkedReason string     `json:"parked_reason,omitempty"`
	ParkedAlone  bool       `json:"parked_for_its_credentials,omitempty"` // others are used as soon as they are configured
	FeedReadAt   *time.Time `json:"feed_read_at,omitempty"`
}

// ConnectionOf is a connection that was used, for programs.
func ConnectionOf(c connections.Connection) Connection {
	j := Connection{Name: c.Name, Provider: c.Provider, State: "open", FeedReadAt: instant(c.FeedReadAt)}
	if c.Parked {
		j.State = "parked"
		j.ParkedAlone = c.ParkedFor != ""
		j.ParkedAt = instant(c.ParkedAt)
		j.ParkedClass = c.ParkedClass
		j.ParkedReason = c.ParkedReason
	}
	return j
}

// toOpen says what opens a parked connection.
func toOpen(c connections.Connection) string {
	if c.ParkedFor != "" {
		return "other credentials are used as soon as they are there; to try the same ones again: `syncer connections open " + c.Name + "`"
	}
	if c.ByOperator() { // it is not called by check either
		return "when that is over: `syncer connections open " + c.Name + "`"
	}
	return "when that is mended: `syncer check`, then `syncer connections open " + c.Name + "`"
}

// MovedConnection is what `connections move` has done.
type MovedConnection struct {
	Connection string `json:"connection"`
	From       string `json:"from"`
	To         string `json:"to"`
	Ended      int    `json:"consents_ended"`
	Kept       int    `json:"consents_kept"`
	Batches    int    `json:"batches_taken_from_workers"`
}

// RenamedConnection is what `connections rename` has done.
type RenamedConnection struct {
	From     string `json:"from"`
	To       string `json:"to"`
	Provider string `json:"provider"`
	Doubles  int    `json:"consents_known"` // imported under the new name already, and known
	Joined   int    `json:"consents_new"`   // likewise, and not known
}

// ResumedConnection is what `connections resume` has done.
type ResumedConnection struct {
	Connection string       `json:"connection"`
	Ended      []ClosedGate `json:"ended"`
	Closed     []ClosedGate `json:"still_closed"`
}

// ForgottenText says what to do about a connection that the configuration does not name.
func ForgottenText(c read.ActiveConsents) string {
	return fmt.Sprintf("connection %s has %s, and this configuration does not name it: it does not read them. "+
		"If it has another name now: syncer connections rename %[1]s NEW --reason TEXT",
		c.Connection, text.Count(c.Consents, "active consent"))
}

// OrphanText says what to do about an open run of a job that there is no more.
func OrphanText(r queue.Run) string {
	return fmt.Sprintf("run %d of %s is not finished, and this configuration has no such job: it does not work it. "+
		"`syncer runs close %[1]d` ends it; a job of that name goes on with it", r.ID, r.Job)
}
