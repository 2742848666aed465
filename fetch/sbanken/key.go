package sbanken

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// Ids that we make. A row of the recent list has the year in its id, see wholePrefix.
const (
	recentPrefix   = "recent-"
	archivedPrefix = "archived-"
)

// likeness is what tells rows without an id apart: account, day, amount, text and code, hashed to 24 hex digits.
// Rows that are alike in all this are numbered, so that two coffees on one day stay two.
func (t *row) likeness() string {
	var buf [256]byte
	b := buf[:0]
	for _, part := range [...]string{t.AccountID, t.BookedOn.String(), t.Amount.String(), t.Text, t.Code} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}

// mark is what a row is recognised by on the next page.
func (t *row) mark() string {
	if t.ID != "" {
		return t.ID
	}
	return t.likeness()
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

// ownKey is the bank's own key of a row that can't be kept. The recent list's are of no use: see recent.
func (d *reader) ownKey(t *row) string {
	if d.at.List == recent {
		return ""
	}
	return t.ID
}
