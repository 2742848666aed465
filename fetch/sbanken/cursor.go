package sbanken

import (
	"bytes"
	"encoding/json"
	"time"

	"syncer/fetch/resume"
	"syncer/finance"
)

// cursor is where an account's transactions stand, as JSON. Between passes it holds Through alone:
//
//	{"v":1,"through":"2026-11-20"}
//
// or, if there were rows that could not be read, Again too. Within a pass it also holds the place in the list that is being read. A cursor that can't be right is refused: to
// begin anew in silence would hide what broke it and read years again.
type cursor struct {
	V       int          `json:"v"`
	Through finance.Date `json:"through,omitzero"` // the archive has been read up to and with this day
	// Again is the first day of the oldest window with a row that could not be read, in this pass, or between passes in the
	// last one. The next pass begins there, however far behind Through it is: the row would be lost otherwise, because
	// nothing else leads back to it.
	Again finance.Date `json:"again,omitzero"`
	Pass  *position    `json:"pass,omitempty"` // nil: between passes
}

// The two lists.
const (
	archive = "archive"
	recent  = "recent"
)

// position is a place in a list. Lists are paged by offset and may move between two pages, so a position remembers
// how many rows the list had and which row was the last: the next page is asked for from that row on, and if either
// has changed, the list is read again.
type position struct {
	List  string       `json:"list"`
	From  finance.Date `json:"from"`
	To    finance.Date `json:"to,omitzero"`    // archive: the last day of the window
	Index int          `json:"index,omitzero"` // rows of the list that are behind us
	Total int64        `json:"total,omitzero"` // rows that the list had
	Last  string       `json:"last,omitzero"`  // the mark of the last row behind us
	Tries int          `json:"tries,omitzero"` // how often the list had moved

	Search *resume.DaySearch `json:"search,omitempty"` // the bank has refused a day: which is the first that it gives?

	// The recent list shows archived rows too. Tail is how many the archive had from the day Over on, and Seen how
	// many the recent list has shown; if it shows more, rows were archived between the two, and the archive is read
	// again from Over on, Back times at most.
	Over finance.Date `json:"over,omitzero"`
	Tail int          `json:"tail,omitzero"`
	Seen int          `json:"seen,omitzero"`
	Back int          `json:"back,omitzero"`
	// Earlier are the ids made for rows of the recent list on the pages behind us.
	Earlier []string `json:"earlier,omitempty"`
}

func (c cursor) String() string {
	b, err := json.Marshal(c)
	if err != nil {
		panic("sbanken: a cursor has no JSON form: " + err.Error()) // can't be: it holds texts and numbers
	}
	return string(b)
}

func readCursor(text string, today finance.Date) (c cursor, err error) {
	if text == "" {
		return cursor{V: 1}, nil
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if d.Decode(&c) != nil || d.More() {
		return c, resume.Misfit("the stored cursor can't be read")
	}
	switch latest := today.AddDays(1); { // one day of grace for calendars that differ
	case c.V != 1:
		return c, resume.Misfit("the stored cursor is of another version")
	case c.Through > latest, c.Again > latest:
		return c, resume.Misfit(resume.InTheFuture)
	case c.Pass != nil && !c.Pass.sound(latest):
		return c, resume.Misfit("the stored cursor contradicts itself, or lies in the future (is this machine's clock right?)")
	}
	return c, nil
}

func (p *position) sound(latest finance.Date) bool {
	if p.From < earliest || p.Total < int64(p.Index) {
		return false
	}
	if min(p.Index, p.Tail, p.Seen, p.Tries, p.Back) < 0 {
		return false
	}
	switch p.List {
	case archive:
		return p.From <= p.To && p.To <= min(latest, yearEnd(p.From))
	case recent:
		return p.From <= min(latest, p.Over)
	}
	return false
}

// earliest is the first day that the bank answers for.
const earliest finance.Date = 730120 // 2000-01-01

// yearEnd is the 31st of December of a day's year. No window reaches beyond one: the bank has answered such spans with
// the part in the later year only. So no window is longer than the 366 days allowed either.
func yearEnd(d finance.Date) finance.Date { return finance.NewDate(d.Time().Year(), time.December, 31) }
