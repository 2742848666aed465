package sbanken

import (
	"fmt"
	"strings"

	"syncer/fetch"
	"syncer/finance"
)

// Ids that we make. A row of the recent list has the year in its id, see wholePrefix.
const (
	recentPrefix   = "recent-"
	archivedPrefix = "archived-"
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
	return n == 0 && d.at.Index > 0 && (mark == "" || d.at.Last == "" || mark == d.at.Last)
}

// ownKey is the bank's own key of a row that can't be kept. The recent list's are of no use: see recent.
func (d *reader) ownKey(t *row) string {
	if d.at.List == recent {
		return ""
	}
	return t.ID
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
	d.got.page.Records.Transactions = append(d.got.page.Records.Transactions, t.Transaction)
}

// made is an id for a row that has none: prefix, likeness and a number that counts rows of the same likeness, those of
// the pages before included.
func (d *reader) made(prefix string, t *row) string {
	stem := prefix + t.likeness() + "-"
	if d.numbers == nil {
		d.numbers = map[string]int{}
	}
	n, known := d.numbers[stem]
	if !known {
		for _, id := range d.at.Earlier {
			if strings.HasPrefix(id, stem) {
				n++
			}
		}
	}
	d.numbers[stem] = n + 1
	return fmt.Sprintf("%s%d", stem, n)
}

var _ fetch.Connector = (*connector)(nil)
