package rest

import (
	"fmt"
	"net/http"

	"syncer/fetch"
	"syncer/finance"
)

const (
	// defaultLookback is how many days before the watermark are read again where the job says nothing.
	defaultLookback = 10
	// earliest is the first day that is asked for, 2000-01-01: a stream that names none must not begin with the year 1.
	earliest finance.Date = 730120
)

// begin is where a new pass starts. The first one starts at the oldest day wanted. A later one starts as many days before the
// watermark as records come late, or where the last pass first met something that it could not have, however long ago that
// is: a bound here would skip the days before it in silence.
func (p *pass) begin() position {
	if !p.dated {
		return position{}
	}
	first := p.stream.Since
	if !p.through.IsZero() {
		first = p.late()
	}
	if !p.stream.Until.IsZero() { // a backfill never leaves its days
		first = max(first, p.stream.Since)
	}
	end := p.end()
	if given := end.AddDays(1 - p.reach); p.reach > 0 && p.through >= given {
		first = max(first, given) // further back lies only what the provider refuses
	}
	first = min(max(first, earliest), end)
	return position{From: first, To: p.windowEnd(first, end), End: end}
}

// late is the first day on which something may have come since the last pass.
func (p *pass) late() finance.Date {
	lookback := p.stream.Lookback
	if lookback <= 0 {
		lookback = defaultLookback
	}
	day := p.through.AddDays(-lookback)
	if !p.again.IsZero() {
		day = min(day, p.again)
	}
	return day
}

// end is the last day of a pass that begins now.
func (p *pass) end() finance.Date {
	if p.stream.Until.IsZero() {
		return p.stream.Today
	}
	return min(p.stream.Until, p.stream.Today)
}

func (p *pass) windowEnd(from, end finance.Date) finance.Date {
	if p.Pagination.Windows == nil {
		return end
	}
	return min(end, from.AddDays(p.Pagination.Windows.Days-1))
}

// last says that the present window is the pass's last.
func (p *pass) last() bool { return !p.dated || p.at.To == p.at.End }

// current says that the pass reaches today, so that what is pending is shown: one that was begun yesterday ends there.
func (p *pass) current() bool { return !p.dated || p.at.End >= p.stream.Today }

// elsewhere says that a record does not belong to the present window: what is pending belongs to the last one, whatever its
// day. A booked record is taken wherever it is shown, be it outside of the window: its key is the same in each.
func (p *pass) elsewhere(t *finance.Transaction) bool {
	return t.Status == finance.Pending && !p.last()
}

// search looks for the first day that a provider gives, which has refused an older one: by halves, between the newest day
// that was refused and the oldest that was given.
type search struct {
	Wanted  finance.Date `json:"wanted"`         // the day that the pass was to begin with
	Refused finance.Date `json:"refused"`        // the newest day refused
	Given   finance.Date `json:"given,omitzero"` // the oldest day given; zero: none yet
	Over    bool         `json:"over,omitzero"`  // the pass begins with the first day given
}

// refusedDays are the statuses by which providers refuse a day that lies too long ago.
func refusedDays(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusRequestedRangeNotSatisfiable, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// narrow leads from a refused day to a later one. ok is false where the days are not the matter: the newest window is refused
// as well.
func (p *pass) narrow(e *fetch.Error) (next string, ok bool) {
	if e.Class != finance.Rejected || !refusedDays(e.Status) || p.at.From == p.at.End {
		return "", false
	}
	s := search{Wanted: p.at.From}
	if p.at.Search != nil {
		s = *p.at.Search
	}
	if s.Over {
		return "", false
	}
	s.Refused = p.at.From
	newest := p.at.End
	if w := p.Pagination.Windows; w != nil {
		newest = max(p.at.From, p.at.End.AddDays(1-w.Days))
	}
	switch {
	case !s.Given.IsZero():
		return p.searchAt(s), true
	case p.at.From < newest:
		return p.lookAt(s, newest), true
	}
	return p.lookAt(s, p.at.End), true
}

// searchAt is the next day to try, or the first of the pass where it is found.
func (p *pass) searchAt(s search) string {
	if s.Given-s.Refused > 1 {
		return p.lookAt(s, s.Refused+(s.Given-s.Refused)/2)
	}
	s.Over = true
	return p.lookAt(s, s.Given)
}

func (p *pass) lookAt(s search, from finance.Date) string {
	at := position{From: from, To: p.windowEnd(from, p.at.End), End: p.at.End, Search: &s}
	return p.cursor(&at)
}

// given notes that the provider gives the day that was tried. It leads to the next day to try; with found the present page
// is the first of the pass.
func (p *pass) given() (next string, found bool) {
	s := *p.at.Search
	if s.Over || p.at.From-s.Refused <= 1 {
		p.reach = int(p.at.End-p.at.From) + 1
		return "", true
	}
	s.Given = p.at.From
	return p.searchAt(s), false
}

// refusal says what the provider does not give.
func (s *search) refusal(from finance.Date) string {
	return fmt.Sprintf("the provider refuses the days before %s; wanted were those from %s on", from, s.Wanted)
}
