package sbanken

import (
	"errors"

	"syncer/fetch"
)

// list is what an answer says around its items.
type list struct {
	available int64 // rows of the whole span, however many are in this answer
	items     int
	null      bool // items is null: they may be none, and nothing proves it
}

// readList reads the envelope of a list, which both generations share; items reads the array and counts.
//
// An answer without availableItems or items is no list but something that happens to be JSON. Null items are none, and prove nothing.
func readList(s *fetch.Scanner, items func() int) (l list, err error) {
	counted, listed := false, false
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
	case !counted || !listed:
		return l, errors.New("the answer is no list: availableItems or items are missing")
	}
	return l, nil
}
