package rest

import (
	"bytes"
	"encoding/json"

	"syncer/fetch"
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

	Search *fetch.DaySearch `json:"search,omitempty"` // the provider has refused a day: which is the first that it gives?

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
		return c, fetch.Misfit("the stored cursor can't be read")
	}
	switch latest := today.AddDays(1); { // one day of grace for calendars that differ
	case c.V != 1:
		return c, fetch.Misfit("the stored cursor is of another version")
	case c.Through > latest || c.Again > latest:
		return c, fetch.Misfit(fetch.InTheFuture)
	case c.Through < 0 || c.Again < 0 || c.Reach < 0 || c.Reach > 0 && !p.dated || !p.dated && (!c.Through.IsZero() || !c.Again.IsZero()),
		p.dated && c.Through.IsZero() && c.Pass == nil:
		return c, fetch.Misfit("the stored cursor is not one of this description")
	case c.Pass != nil && !p.sound(c.Pass, latest):
		return c, fetch.Misfit("the stored cursor is not one of this description, or contradicts itself")
	}
	return c, nil
}

// sound says whether a position can be one of this reading's.
func (p *compiledReading) sound(at *position, latest finance.Date) bool {
	of := &p.Pagination
	if at.Page < 0 || at.Offset < 0 || at.Total < 0 || at.Pages < 0 || at.Tries < 0 || at.Tries > mostTries || len(at.Earlier) > mostEarlier ||
		at.Base < 0 || at.Base > len(at.Earlier) || len(at.Link) > longestText || len(at.After) > longestText {
		return false
	}
	if p.dated {
		if at.From <= 0 || at.From > at.To || at.To > at.End || at.End > latest {
			return false
		}
	} else if at.From != 0 || at.To != 0 || at.End != 0 {
		return false
	}
	linked := of.NextLink != nil || of.LinkHeader != nil
	counted := of.Page != nil || of.Offset != nil
	searched := at.Search != nil && p.dated
	return (of.paged() || searched) && (at.Link == "" || linked) && (at.After == "" || of.Cursor != nil) &&
		(at.Page == 0 || of.Page != nil) && (at.Offset == 0 && at.Total == 0 && at.Pages == 0 || counted)
}

// opens says that the position is the beginning of a list.
func (at *position) opens() bool {
	return at.Link == "" && at.After == "" && at.Page == 0 && at.Offset == 0
}
