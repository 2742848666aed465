package resume

import (
	"fmt"

	"syncer/finance"
)

// DaySearch looks for the first day that a provider gives, which has refused an older one: by halves, between the newest day
// that was refused and the oldest that was given. It is part of a stream's position, as JSON.
type DaySearch struct {
	Wanted  finance.Date `json:"wanted"`         // the day that the pass was to begin with
	Refused finance.Date `json:"refused"`        // the newest day refused
	Given   finance.Date `json:"given,omitzero"` // the oldest day given; zero: none yet
	Over    bool         `json:"over,omitzero"`  // the pass begins with the first day given
}

// Refuse notes that the day which was asked for is refused. It gives the next one to try: the first of the newest window, then
// the last day of all, then what lies between. ok is false where the days are not the matter, because the last one is
// refused as well. s is nil before the first refusal.
func (s *DaySearch) Refuse(day, newest, last finance.Date) (next DaySearch, try finance.Date, ok bool) {
	next = DaySearch{Wanted: day}
	if s != nil {
		next = *s
	}
	if next.Over || day >= last {
		return next, 0, false
	}
	next.Refused = day
	switch {
	case !next.Given.IsZero():
		try = next.between()
	case day < newest:
		try = newest
	default:
		try = last
	}
	return next, try, true
}

// Give notes that the day which was asked for is given. It gives the next one to try; ok is false where the search is over
// and the pass begins with the present page.
func (s *DaySearch) Give(day finance.Date) (next DaySearch, try finance.Date, ok bool) {
	next = *s
	if next.Over || day-next.Refused <= 1 {
		return next, 0, false
	}
	next.Given = day
	try = next.between()
	return next, try, true
}

// between is the next day to try, or the first of the pass where it is found.
func (s *DaySearch) between() finance.Date {
	if s.Given-s.Refused > 1 {
		return s.Refused + (s.Given-s.Refused)/2
	}
	s.Over = true
	return s.Given
}

// Missing says what a pass that begins with a day does not have.
func (s *DaySearch) Missing(first finance.Date) string {
	return fmt.Sprintf("the provider refuses the days before %s; wanted were those from %s on", first, s.Wanted)
}
