package fetchtest

import (
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"syncer/fetch"
	"syncer/finance"
)

// untilMidnight waits until so long before the provider's next midnight, and sets the stream's day.
func (p *pass) untilMidnight(before time.Duration) {
	p.t.Helper()
	zone, err := fetch.LoadZone(p.h.Calendar)
	if err != nil {
		p.t.Fatal(err)
	}
	now := p.h.Now().In(zone)
	year, month, day := now.Date()
	<-time.After(time.Date(year, month, day+1, 0, 0, 0, 0, zone).Add(-before).Sub(now))
	p.dated()
}

// dated sets the stream's day to the connection's.
func (p *pass) dated() {
	p.t.Helper()
	if !p.s.Today.IsZero() {
		p.s.Today = finance.DateOf(p.h.Now().In(p.zone()))
	}
}

func (p *pass) zone() *time.Location {
	p.t.Helper()
	zone, err := p.h.Provider.ZoneOf(p.h.Connection)
	if err != nil {
		p.t.Fatal(err)
	}
	return zone
}

// midnight proves that a pass may begin before midnight and end after it.
func (p *pass) midnight(k int) {
	p.untilMidnight(time.Minute)
	usual := p.usual()
	next, _, _ := p.reading("", -1, func(page int) {
		if page == k {
			<-time.After(2 * time.Minute)
			p.grow()
		}
	})
	p.nothingInvented()
	p.dated()
	p.proves(next, usual)
}

// behindMidnight proves that one which was killed before midnight is taken up after it, by the same run.
func (p *pass) behindMidnight(k int) {
	p.untilMidnight(time.Minute)
	usual := p.usual()
	next, _, _ := p.read("", k)
	<-time.After(2 * time.Minute)
	p.dated()
	p.grow()
	next = p.toTheEnd(next)
	p.nothingInvented()
	p.proves(next, usual)
}

// newDay proves that what has happened on the day which has begun for the provider is read, although it has not begun
// everywhere.
func (p *pass) newDay() {
	p.untilMidnight(-10 * time.Minute)
	before := p.truth()
	if p.h.Grow != nil && p.h.Grow(p.s) && gocmp.Equal(before, p.truth()) {
		p.t.Error("nothing is read of what has happened since the provider's midnight")
	}
	p.toTheEnd("")
	p.exact("ten minutes after the provider's midnight")
}
