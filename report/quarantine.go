package report

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"syncer/finance"
	"syncer/persist/read"
	"syncer/report/text"
)

// QuarantinedRecord is a record that could not be read or stored: the JSON of `quarantine list`.
type QuarantinedRecord struct {
	ID         int64      `json:"id"`
	Connection string     `json:"connection"`
	Consent    int64      `json:"consent"`
	External   string     `json:"external_id,omitempty"` // the provider's id of the consent
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
	Run        int64      `json:"run,omitempty"` // that has met it last
	ResolvedAt *time.Time `json:"resolved_at,omitempty"`
	ResolvedAs string     `json:"resolved_as,omitempty"` // read, gone, replaced or accepted
	Note       string     `json:"note,omitempty"`
}

// QuarantinedOf is a record in quarantine for programs. What looks like a national identity number is hidden.
func QuarantinedOf(r read.QuarantinedRecord) QuarantinedRecord {
	return QuarantinedRecord{
		ID: r.ID, Connection: r.Connection, Consent: r.Consent, External: shownID(r.External), Run: r.LastRun,
		Dataset: string(r.Dataset), Account: shownID(r.Account),
		Key: shownID(r.Key), Call: r.Call.String(), Place: r.Place, Reason: r.Reason, Times: r.Times, Waits: r.Held,
		FirstAt: instant(r.FirstAt), LastAt: instant(r.LastAt),
		ResolvedAt: instant(r.ResolvedAt), ResolvedAs: r.ResolvedAs, Note: r.Note,
	}
}

// shownID hides an id that a provider has made of its customer's number.
func shownID(id string) string {
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

// QuarantineCause is why records of a run could not be read or stored.
type QuarantineCause struct {
	Dataset  string `json:"dataset"`
	Reason   string `json:"reason"`
	Records  int    `json:"records"`
	ID       int64  `json:"id"`      // of the first of them in quarantine
	Consent  int64  `json:"consent"` // of that one
	External string `json:"external_id,omitempty"`
}

func quarantineCausesOf(q read.QuarantineCauses) (list []QuarantineCause) {
	for _, c := range q.List {
		list = append(list, QuarantineCause{string(c.Dataset), c.Reason, c.Records, c.ID, c.Consent, shownID(c.External)})
	}
	return list
}

// writeQuarantine says why records of a run could not be read or stored, and where each is found.
func writeQuarantine(w io.Writer, p text.Paint, q read.QuarantineCauses) {
	if len(q.List) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", p.Bold("In quarantine: syncer quarantine list"))
	for _, c := range q.List {
		said := fmt.Sprintf("record %d of %s, %s: %s", c.ID, c.Dataset, consentText(c.Consent, c.External), c.Reason)
		if c.Records > 1 {
			said = fmt.Sprintf("%s of %s: %s; such as record %d, of %s", text.Count(c.Records, "record"), c.Dataset, c.Reason,
				c.ID, consentText(c.Consent, c.External))
		}
		fmt.Fprintln(w, text.Paragraph(w, "  ", said))
	}
	if q.More > 0 {
		fmt.Fprintf(w, "  and %s for other reasons\n", text.Count(q.More, "record"))
	}
}

// consentText names a consent by our number and by the provider's id.
func consentText(id int64, external string) string {
	switch {
	case external == "":
		return fmt.Sprintf("consent %d", id)
	case finance.HoldsNationalID(external):
		return fmt.Sprintf("consent %d (its id is hidden: it looks like a person's number)", id)
	}
	return fmt.Sprintf("consent %d (%s)", id, text.Printable(external))
}

// State is the one word for where a record in quarantine stands.
func (r QuarantinedRecord) State() string {
	if r.ResolvedAs == "" {
		return "open"
	}
	return r.ResolvedAs
}

// Write tells what is known of a record in quarantine, and what can be done about it.
func (r QuarantinedRecord) Write(w io.Writer) {
	waits := "no: only a retry, or a run that reads that far back, meets the record again"
	if r.Waits {
		waits = "yes: the next run reads it again"
	}
	if r.ResolvedAs != "" {
		waits = ""
	}
	text.WriteFields(w, [][2]string{
		{"record", strconv.FormatInt(r.ID, 10)},
		{"state", r.State()},
		{"reason", r.Reason},
		{"connection", r.Connection},
		{"consent", consentText(r.Consent, r.External)},
		{"dataset", r.Dataset},
		{"account", r.Account},
		{"key", r.Key},
		{"call", r.Call + ", place " + strconv.Itoa(int(r.Place)) + " of its answer"},
		{"met by", text.Count(r.Times, "run") + ", the last was run " + number(r.Run)},
		{"first", clockOf(r.FirstAt)},
		{"last", clockOf(r.LastAt)},
		{"position waits", waits},
		{"resolved", clockOf(r.ResolvedAt)},
		{"note", r.Note},
	})
	if r.ResolvedAs != "" {
		return
	}
	said := fmt.Sprintf("To read it again: `syncer quarantine retry %[1]d`. To do without it: `syncer quarantine accept %[1]d "+
		"--reason TEXT`.", r.ID)
	fmt.Fprintf(w, "\n%s\n", text.Paragraph(w, "", said))
}

func clockOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return text.Clock(*t)
}
