package jobs

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"syncer/crontab"
)

// CatchUp says what becomes of ticks that passed while nobody was there to fire them.
type CatchUp string

// The catch-up policies. Latest fires the newest missed tick and records the others as skipped.
const (
	CatchUpLatest CatchUp = "latest"
	CatchUpAll    CatchUp = "all"
	CatchUpNone   CatchUp = "none"
)

// Schedule is a cron expression in a time zone of its own. It implements cron.Schedule.
//
// Two kinds of schedules need two ways of counting. One that names hours ("30 2 * * *") means a time on the wall: on
// the night when that time does not exist it fires at the first instant after the gap, on the night when it comes
// twice it fires at the first. One that runs in every hour ("*/15 * * * *") means an interval, and keeps it through
// both nights. Plain cron/v3 counts only in the second way: it skips 02:30 in spring and fires it twice in autumn.
type Schedule struct {
	expr string
	zone *time.Location
	spec *cron.SpecSchedule
	wall bool
}

// hoursMask has a bit for each hour of the day; cron marks "every hour" by all of them.
const hoursMask = 1<<24 - 1

// ParseSchedule reads a cron expression as crontab.Parse does, for a time zone that is given apart.
func ParseSchedule(expr string, zone *time.Location) (*Schedule, error) {
	expr = strings.TrimSpace(expr)
	spec, err := crontab.Parse(expr)
	if err != nil {
		return nil, fmt.Errorf("schedule: %w", err)
	}
	everyHour := spec.Hour&hoursMask == hoursMask
	return &Schedule{expr: expr, zone: zone, spec: spec, wall: !everyHour}, nil
}

// String is the expression and its zone.
func (s *Schedule) String() string { return s.expr + " " + s.zone.String() }

// Same says whether another schedule, as its String has it, fires at the same times because it says the
// same in other words: */1 is *, and 0-59 of the minutes too. A text that is no schedule is not the
// same.
func (s *Schedule) Same(text string) bool {
	if text == s.String() {
		return true
	}
	expr, ok := strings.CutSuffix(text, " "+s.zone.String())
	if !ok {
		return false
	}
	other, err := crontab.Parse(expr)
	return err == nil && times(other) == times(s.spec)
}

// times are what a schedule names. Cron marks a star by the highest bit. That counts for the days
// alone: of day and weekday one that is no star is enough.
func times(s *cron.SpecSchedule) [5]uint64 {
	const star = 1 << 63
	return [5]uint64{s.Minute &^ star, s.Hour &^ star, s.Dom, s.Month &^ star, s.Dow}
}

// Next is the first nominal time after t, or the zero time if there is none within five years.
func (s *Schedule) Next(t time.Time) time.Time {
	if !s.wall {
		spec := *s.spec
		spec.Location = s.zone
		return spec.Next(t.In(s.zone))
	}
	// The search begins a little before t on the wall: around a change of clocks wall time is not monotone.
	for wall := s.spec.Next(onWall(t.In(s.zone)).Add(-4 * time.Hour)); !wall.IsZero(); wall = s.spec.Next(wall) {
		if at := s.instant(wall); at.After(t) {
			return at
		}
	}
	return time.Time{}
}

// Between gives the nominal times in (after, until], oldest first, at most the newest max of them, and how many there
// are in all.
func (s *Schedule) Between(after, until time.Time, max int) (ticks []time.Time, all int) {
	for at := s.Next(after); !at.IsZero() && !at.After(until); at = s.Next(at) {
		all++
		if len(ticks) == max {
			ticks = append(ticks[:0], ticks[1:]...)
		}
		ticks = append(ticks, at)
	}
	return ticks, all
}

// onWall is what a clock on the wall shows at t, written as if it hung in Greenwich.
func onWall(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// instant is the first instant at which a clock in the zone shows the given wall time, or the end of the gap in which
// that time is missing.
func (s *Schedule) instant(wall time.Time) time.Time {
	_, before := wall.Add(-26 * time.Hour).In(s.zone).Zone()
	_, after := wall.Add(26 * time.Hour).In(s.zone).Zone()
	var first time.Time
	for _, offset := range []int{before, after} {
		at := wall.Add(-time.Duration(offset) * time.Second).In(s.zone)
		if onWall(at).Equal(wall) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if first.IsZero() {
		skipped := wall.Add(-time.Duration(before) * time.Second).In(s.zone)
		first, _ = skipped.ZoneBounds()
	}
	return first
}
