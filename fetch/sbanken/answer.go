package sbanken

import (
	"errors"
	"fmt"

	"syncer/fetch/jsonread"
	"syncer/finance"
)

// reader reads the rows of one answer.
type reader struct {
	rows    rowReader
	at      *position
	over    finance.Date   // the day from which archived rows are counted
	numbers map[string]int // how many rows of a likeness there were
	got     answer
}

// items reads the array of rows and keeps those that belong to the list.
func (d *reader) items() (n int) {
	for a := d.rows.s.Array(); a.Next(); n++ {
		var t row
		d.rows.row(&t)
		if why := a.Broken(); why != "" {
			d.rows.extra.Reset()
			d.got.last = ""
			if !d.repeated(n, "") {
				d.got.page.Rejects = append(d.got.page.Rejects, a.Reject(why, d.ownKey(&t)))
			}
			continue
		}
		t.Extra = d.rows.extra.JSON()
		t.Place = a.Place()
		d.place(&t, n)
	}
	return n
}

// repeated says whether the row is the one that the page before ended with.
func (d *reader) repeated(n int, mark string) bool {
	if n > 0 || d.at.Index == 0 {
		return false
	}
	return sameMark(mark, d.at.Last)
}

// sameMark says that two rows are the same, as far as they can be told: one that could not be read has no mark.
func sameMark(a, b string) bool {
	if a == "" || b == "" {
		return true
	}
	return a == b
}

func (d *reader) place(t *row, n int) {
	mark := t.mark()
	d.got.last = mark
	if n == 0 {
		d.got.first = mark
	}
	if d.got.oldest.IsZero() || t.BookedOn < d.got.oldest {
		d.got.oldest = t.BookedOn
	}
	if d.repeated(n, mark) {
		return
	}
	if d.at.List == recent {
		d.recent(t)
	} else {
		d.archived(t)
	}
}

// archived keeps a row of the archive if it belongs to the window: a span has been seen to show its neighbour's rows.
func (d *reader) archived(t *row) {
	if t.BookedOn < d.at.From || t.BookedOn > d.at.To {
		return
	}
	if t.BookedOn >= d.over {
		d.got.archived++
	}
	if t.ID == "" {
		d.got.nameless = true
		t.ID = d.made(archivedPrefix, t)
		t.Made = true
	}
	d.keep(t)
}

// recent keeps a row of the recent list that the archive does not have. The id that such a row shows now and then is
// gone in the next answer, so it is not used.
func (d *reader) recent(t *row) {
	if t.archived {
		if t.BookedOn >= d.over {
			d.got.archived++
		}
		return
	}
	t.ID = d.made(fmt.Sprintf("%s%d-", recentPrefix, t.BookedOn.Time().Year()), t)
	t.Made = true
	d.keep(t)
}

func (d *reader) keep(t *row) {
	d.got.page.Records.Transactions = jsonread.Append(d.rows.s, d.got.page.Records.Transactions, t.Transaction)
}

// list is what an answer says around its items.
type list struct {
	available int64 // rows of the whole span, however many are in this answer
	items     int
	null      bool // items is null: they may be none, and nothing proves it
}

// readList reads the envelope of a list, which both generations share; items reads the array and counts.
//
// An answer without availableItems or items is no list but something that happens to be JSON. Null items are none, and prove nothing.
func readList(s *jsonread.Scanner, items func() int) (l list, err error) {
	counted := false
	listed := false
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "availableItems":
			l.available, counted = s.Int()
		case "items":
			listed = true
			l.null = s.Peek() != '['
			l.items = items()
		}
	}
	switch {
	case s.End() != nil:
		return l, s.Err()
	case !counted, !listed:
		return l, errors.New("the answer is no list: availableItems or items are missing")
	}
	return l, nil
}
