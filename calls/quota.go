package calls

import (
	"slices"
	"time"

	"syncer/finance"
)

// Quota is how many calls a provider answers in a day of its own.
type Quota struct {
	PerDay int            // 0: no quota
	Resets time.Duration  // when the day begins, since midnight on the wall
	Zone   *time.Location // whose wall; nil: UTC
}

// Reset is when a provider's day turns into the next one. What is sent between From and Until may be
// counted to either, so it counts to both.
type Reset struct {
	From, Until time.Time
}

// resetDoubt is by how much the provider's clock may differ from ours, with the time that a call takes to
// arrive.
const resetDoubt = 10 * time.Second

// Turns are the four resets around a moment, in their order: of the day before it, of its own, and of the
// two behind it.
func (q Quota) Turns(around time.Time) []Reset {
	zone := q.Zone
	if zone == nil {
		zone = time.UTC
	}
	today := finance.DateOf(around.In(zone))
	turns := make([]Reset, 0, 4)
	for n := -1; n <= 2; n++ {
		turns = append(turns, q.turn(today.AddDays(n), zone))
	}
	return turns
}

// Next is the first reset whose day has surely begun after the moment.
func (q Quota) Next(moment time.Time) Reset {
	turns := q.Turns(moment)
	i := slices.IndexFunc(turns, func(r Reset) bool { return r.Until.After(moment) })
	return turns[max(i, 0)]
}

// turn is the reset of a day. A time that stands twice on the wall, since the clocks are put back, may be
// either; one that the clocks leave out is read by the time before the change and by the time behind it.
func (q Quota) turn(day finance.Date, zone *time.Location) Reset {
	wall := day.Time().Add(q.Resets)
	var exact, near []time.Time
	for _, side := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		_, offset := wall.Add(side).In(zone).Zone()
		at := wall.Add(-time.Duration(offset) * time.Second)
		near = append(near, at)
		if _, there := at.In(zone).Zone(); there == offset {
			exact = append(exact, at)
		}
	}
	if len(exact) > 0 {
		near = exact
	}
	first := slices.MinFunc(near, time.Time.Compare)
	last := slices.MaxFunc(near, time.Time.Compare)
	return Reset{From: first.Add(-resetDoubt), Until: last.Add(resetDoubt)}
}
