package rest

import (
	"syncer/fetch"
	"syncer/fetch/resume"
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

// elsewhere says that records of a status do not belong to the present window: what is pending belongs to the one that ends
// today, whatever its day, since an API shows it in every window. A booked record is taken wherever it is shown, be it
// outside of the window: its key is the same in each.
func (p *pass) elsewhere(status string) bool {
	return status == finance.Pending && !p.reachesToday()
}

// reachesToday says that the present window ends today.
func (p *pass) reachesToday() bool { return p.last() && p.current() }

// narrow leads from a refused day to a later one. ok is false where the days are not the matter: the newest window is refused
// as well.
func (p *pass) narrow(e *fetch.Error) (next string, ok bool) {
	if !fetch.RefusesDay(e) {
		return "", false
	}
	newest := p.at.End
	if w := p.Pagination.Windows; w != nil {
		newest = p.at.End.AddDays(1 - w.Days)
	}
	search, day, ok := p.at.Search.Refuse(p.at.From, newest, p.at.End)
	if !ok {
		return "", false
	}
	return p.lookAt(search, day), true
}

func (p *pass) lookAt(s resume.DaySearch, from finance.Date) string {
	at := position{From: from, To: p.windowEnd(from, p.at.End), End: p.at.End, Search: &s}
	return p.cursor(&at)
}
