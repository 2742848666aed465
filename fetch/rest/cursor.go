package rest

import (
	"bytes"
	"encoding/json"
	"slices"

	"syncer/fetch/resume"
	"syncer/finance"
)

// cursor is where a stream stands, as JSON. Between passes it holds Through alone, or nothing where the request names no
// days:
//
//	{"v":1,"through":"2026-11-20"}
//
// and Again too, if something was missing. Within a pass it also holds the place that is read next. A cursor that can't be right is refused: to begin anew in
// silence would hide what broke it.
type cursor struct {
	V       int          `json:"v"`
	Through finance.Date `json:"through,omitzero"` // everything up to and with this day has been read
	// Again is the first day of the oldest window that was not complete, in this pass, or between passes in the last one:
	// a record could not be read, or the provider left something out. The next pass begins there, however far behind
	// Through it is, because nothing else leads back to what is missing.
	Again finance.Date `json:"again,omitzero"`
	// Reach is how many days the provider gives, the last one included, as a search has found; 0: it has refused none. A pass that has all
	// since the watermark does not look back further, or it would be refused every night.
	Reach int       `json:"reach,omitzero"`
	Pass  *position `json:"pass,omitempty"` // nil: between passes
	ends
}

// position is a place in a list, or in a window of one.
type position struct {
	From finance.Date `json:"from,omitzero"` // the first day of the window
	To   finance.Date `json:"to,omitzero"`   // its last day
	End  finance.Date `json:"end,omitzero"`  // the last day of the pass

	Link   string `json:"link,omitzero"`   // the next page's address, from the host on
	After  string `json:"after,omitzero"`  // the provider's cursor
	Page   int    `json:"page,omitzero"`   // pages of the list behind us
	Offset int    `json:"offset,omitzero"` // records of the list behind us
	Total  int64  `json:"total,omitzero"`  // records that the list had, as it was told last; 0: not told
	Pages  int64  `json:"pages,omitzero"`  // the same of pages
	Last   string `json:"last,omitzero"`   // the mark of the last record behind us, of a list that is paged by number or offset
	Shown  string `json:"shown,omitzero"`  // what that record showed
	Tries  int    `json:"tries,omitzero"`  // how often the list had moved
	Anew   bool   `json:"anew,omitzero"`   // it was begun anew, because it had moved while the pass was broken off

	Search *resume.DaySearch `json:"search,omitempty"` // the provider has refused a day: which is the first that it gives?

	// Earlier are ids that were made on the pages behind us, so that the twin of a record gets another. Base is how many of
	// them stood before the present window.
	Earlier []string `json:"earlier,omitempty"`
	Base    int      `json:"base,omitzero"`
	// Spoilt is of earlier versions, which kept the proof of a set in the position. It is not used.
	Spoilt bool `json:"spoilt,omitzero"`
}

// Bounds of a position. mostEarlier keeps the cursor, which is written with every page, in bounds.
const (
	mostEarlier = 10_000
	longestText = 8 << 10
)

func (c cursor) String() string {
	b, err := json.Marshal(c)
	if err != nil {
		panic("rest: a cursor has no JSON form: " + err.Error()) // can't be: it holds texts and numbers
	}
	return string(b)
}

// readCursor reads a stored cursor and checks it against the description: one of another way of paging would be read
// wrongly.
func (p *compiledReading) readCursor(text string, today finance.Date) (c cursor, err error) {
	if text == "" {
		return cursor{V: 1}, nil
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if d.Decode(&c) != nil || d.More() {
		return c, resume.Misfit("the stored cursor can't be read")
	}
	latest := today.AddDays(1) // one day of grace for calendars that differ
	switch {
	case c.V != 1:
		return c, resume.Misfit("the stored cursor is of another version")
	case c.Through > latest, c.Again > latest:
		return c, resume.Misfit(resume.InTheFuture)
	case !p.mayHave(&c):
		return c, resume.Misfit("the stored cursor is not one of this description")
	case c.Pass != nil && !p.sound(c.Pass, latest):
		return c, resume.Misfit("the stored cursor is not one of this description, or contradicts itself")
	}
	return c, nil
}

// mayHave says whether the days of a cursor can be those of this reading: of one that asks for no days it has none.
func (p *compiledReading) mayHave(c *cursor) bool {
	if min(int(c.Through), int(c.Again), c.Reach) < 0 {
		return false
	}
	if !p.dated {
		return c.Through.IsZero() && c.Again.IsZero() && c.Reach == 0
	}
	return !c.Through.IsZero() || c.Pass != nil
}

// sound says whether a position can be one of this reading's.
func (p *compiledReading) sound(at *position, latest finance.Date) bool {
	if !at.inBounds() {
		return false
	}
	if !p.holdsDays(at, latest) {
		return false
	}
	if !p.Pagination.leadsOn(at) {
		return false
	}
	searched := at.Search != nil && p.dated
	return searched || p.Pagination.paged()
}

// inBounds says that a position is no larger than any that is written here.
func (at *position) inBounds() bool {
	if min(int64(at.Page), int64(at.Offset), at.Total, at.Pages, int64(at.Tries), int64(at.Base)) < 0 {
		return false
	}
	switch {
	case at.Tries > mostTries, len(at.Earlier) > mostEarlier, at.Base > len(at.Earlier):
		return false
	}
	return max(len(at.Link), len(at.After)) <= longestText
}

// holdsDays says that a position has a window within its pass where the request names days, and none elsewhere.
func (p *compiledReading) holdsDays(at *position, latest finance.Date) bool {
	if !p.dated {
		return at.From == 0 && at.To == 0 && at.End == 0
	}
	return at.From > 0 && slices.IsSorted([]finance.Date{at.From, at.To, at.End, latest})
}

// leadsOn says that what a position goes on by is what this way of paging goes on by.
func (p *Pagination) leadsOn(at *position) bool {
	linked := p.NextLink != nil || p.LinkHeader != nil
	switch {
	case at.Link != "" && !linked:
		return false
	case at.After != "" && p.Cursor == nil:
		return false
	case at.Page != 0 && p.Page == nil:
		return false
	}
	return p.counts() || at.uncounted()
}

// uncounted says that a position counts neither pages nor records.
func (at *position) uncounted() bool {
	return at.Offset == 0 && at.Total == 0 && at.Pages == 0
}

// opens says that the position is the beginning of a list.
func (at *position) opens() bool {
	return at.Link == "" && at.After == "" && at.Page == 0 && at.Offset == 0
}
