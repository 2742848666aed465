package cambio

import (
	"bytes"
	"encoding/json"
	"regexp"

	"syncer/fetch/resume"
)

// cursor is a place inside a pass, as JSON; between passes there is none, since every pass reads all there is. A cursor
// that can't be right is refused: to begin anew in silence would hide what broke it.
type cursor struct {
	V       int    `json:"v"`
	At      string `json:"at"`                // the part that comes next
	Patient string `json:"patient,omitempty"` // the FHIR server's id of the patient
	Link    string `json:"link,omitempty"`    // the page that comes next; empty: the search is made
	Again   int    `json:"again,omitempty"`   // how often pages had expired, so that a new search is a new place
	Seen    int64  `json:"seen,omitempty"`    // invoices on the pages before, in whatever state
	Total   *int64 `json:"total,omitempty"`   // how many the search had, as the page before told; nil: it did not tell

	// Holes and Earlier are of earlier versions, which kept the proof of the set in the position. They are not used.
	Holes   bool     `json:"holes,omitempty"`
	Earlier []string `json:"earlier,omitempty"`
}

// The parts of a pass. It begins with a look for the patient, which has no cursor.
const (
	atInvoices = "invoices"
	atVisits   = "visits"
)

// resourceID is the form of ids in FHIR (R4, datatype id). A personnummer has it too; that is looked at elsewhere.
var resourceID = regexp.MustCompile(`^[A-Za-z0-9.-]{1,64}$`)

func (c cursor) String() string {
	c.V = 1
	b, err := json.Marshal(c)
	if err != nil {
		panic("cambio: a cursor has no JSON form: " + err.Error()) // can't be: it holds texts and numbers
	}
	return string(b)
}

func readCursor(text string) (c cursor, err error) {
	if text == "" {
		return cursor{V: 1}, nil
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if d.Decode(&c) != nil || d.More() {
		return c, resume.Misfit("the stored cursor can't be read")
	}
	switch {
	case c.V != 1:
		return c, resume.Misfit("the stored cursor is of another version")
	case !c.sound():
		return c, resume.Misfit("the stored cursor contradicts itself")
	}
	return c, nil
}

func (c *cursor) sound() bool {
	switch c.At {
	case atInvoices:
		return resourceID.MatchString(c.Patient) && c.counts() && (c.Link != "" || c.fresh())
	case atVisits:
		return c.fresh() && c.namesNothing()
	}
	return false
}

// fresh says that no page is behind the place.
func (c *cursor) fresh() bool { return c.Seen == 0 && !c.Holes && len(c.Earlier) == 0 }

// namesNothing says that the place is in no search.
func (c *cursor) namesNothing() bool {
	return c.Patient == "" && c.Link == "" && c.Total == nil && c.Again == 0
}

// counts says that what is counted can be: a total is told by a page, which has led on.
func (c *cursor) counts() bool {
	if min(int64(c.Again), c.Seen) < 0 {
		return false
	}
	if c.Total == nil {
		return true
	}
	return *c.Total >= 0 && c.Link != ""
}
