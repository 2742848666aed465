package sbanken

import (
	"cmp"
	"slices"
	"sync"

	"syncer/sandbox"
)

// accountState is what has happened on one account since the world began. Rows that
// were there at the beginning are not in it.
type accountState struct {
	world   *world
	account int

	mu           sync.Mutex
	rows         []row // inserted and booked ones, newest first
	reservations []reservation
	added        int // numbers rows
	made         int // numbers reservations
	pages        int // list pages answered, for Drift
	revision     int // grows with every change
}

// reservation is a card purchase that is not booked yet.
type reservation struct {
	row
	due int // the day it will be booked
}

func newAccountState(w *world, account int) *accountState {
	l := &accountState{world: w, account: account}
	for j := range max(0, w.o.Reservations) {
		l.reserve(w.day0-j%3, w.day0)
	}
	return l
}

// reserve adds a reservation that is booked after the day `after`, and at most
// four days after it was made.
func (l *accountState) reserve(day, after int) {
	h := sandbox.Mix(l.world.o.Seed, 'r', uint64(l.account), uint64(l.made))
	l.made++
	l.reservations = append(l.reservations, reservation{
		row: row{content: h, day: day, kind: reserved},
		due: after + 1 + int(h>>8%uint64(4-(after-day))),
	})
	l.revision++
}

// bookDue books the reservations whose day has come. The caller holds mu.
func (l *accountState) bookDue(today int) {
	l.reservations = slices.DeleteFunc(l.reservations, func(r reservation) bool {
		if r.due > today {
			return false
		}
		l.book(r, r.due)
		return true
	})
}

// book turns a reservation into a transaction with another text, code and, for
// one in three, another amount.
func (l *accountState) book(r reservation, day int) {
	if l.world.o.LateBooked {
		day = r.day
	}
	l.insert(row{content: r.content, day: day, kind: booked, purchased: r.day})
}

func (l *accountState) insert(r row) row {
	l.added++
	r.number = l.world.o.Transactions + l.added
	l.rows = append(l.rows, r)
	slices.SortStableFunc(l.rows, newestFirst)
	l.revision++
	return r
}

func newestFirst(a, b row) int {
	return cmp.Or(cmp.Compare(b.day, a.day), cmp.Compare(b.number, a.number))
}

// query is a span of days, both included, of one list.
type query struct {
	first, last   int
	index, length int
	archive       bool
	reservations  bool
}

// listing is one answer: the rows of a page, and how many rows the span has.
type listing struct {
	rows      []row
	available int
}

// read merges seeded and later rows of a span, newest first, and returns one
// page. It costs what the page holds, wherever in the list the page is. The
// caller holds mu.
func (l *accountState) read(q query) listing {
	w := l.world
	from := w.newerThan(w.day0 - q.last)
	to := max(from, w.newerThan(w.day0-q.first+1))
	later := l.laterRows(q)
	out := listing{available: to - from + len(later)}
	end := min(q.index+q.length, out.available)
	out.rows = make([]row, 0, max(0, end-q.index))
	passed := 0 // later rows before the position
	for position := 0; position < end; position++ {
		if passed < len(later) && l.rank(later[passed], from)+passed == position {
			if position >= q.index {
				out.rows = append(out.rows, later[passed])
			}
			passed++
			continue
		}
		if position < q.index { // skip to the next later row or to the page
			next := q.index
			if passed < len(later) {
				next = min(next, l.rank(later[passed], from)+passed)
			}
			position = max(position, next-1)
			continue
		}
		out.rows = append(out.rows, w.seeded(l.account, from+position-passed))
	}
	return out
}

// rank is how many seeded rows of the span come before a later row: those of
// newer days. Within a day, what came later stands first.
func (l *accountState) rank(r row, from int) int {
	return max(0, l.world.newerThan(l.world.day0-r.day)-from)
}

func (l *accountState) laterRows(q query) []row {
	var out []row
	for _, r := range l.rows {
		if r.day >= q.first && r.day <= q.last {
			out = append(out, r)
		}
	}
	if !q.reservations {
		return out
	}
	for _, r := range l.reservations {
		if r.day >= q.first && r.day <= q.last {
			out = append(out, r.row)
		}
	}
	// Reservations have no number of their own; they stand before the booked
	// rows of their day.
	slices.SortStableFunc(out, func(a, b row) int {
		return cmp.Or(cmp.Compare(b.day, a.day), cmp.Compare(b.kind.order(), a.kind.order()), cmp.Compare(b.number, a.number))
	})
	return out
}

// sums are the øre that later rows and reservations add to the balance.
func (l *accountState) sums() (bookedOre, reservedOre int64) {
	creditCard := isCreditCard(l.account)
	for _, r := range l.rows {
		bookedOre += r.ore(creditCard)
	}
	for _, r := range l.reservations {
		reservedOre += r.ore(creditCard)
	}
	return bookedOre, reservedOre
}
