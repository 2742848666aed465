package pause

import (
	"net/http"
	"time"
)

// Where an announced pause stands, as Announcement.Source and fetch.Error.Told say it.
const (
	ByHeader    = "retry-after"
	ByRateLimit = "rate-limit"
	InBody      = "told in the body"
)

// Announcement is what an answer's headers say of the calls to come. It is read once, when they arrive.
type Announcement struct {
	Pause      time.Duration // how long not to call, from the arrival of the answer on; 0: nothing is announced
	Asked      bool          // there is a Retry-After, whether or not it can be read
	Source     string        // where the pause stands
	Unreadable bool          // there is a Retry-After that can't be used
	Clock      Clock         // what moments are measured from
	Moved      bool          // a moment was measured by our clock, because the answer's Date is not believed
}

// ByRetryAfter says that the pause stands in the header Retry-After.
func (a Announcement) ByRetryAfter() bool { return a.Source == ByHeader }

// Announced reads the headers of an answer that arrived at the given moment, whatever its status: a pause can only slow
// us down.
func Announced(status int, h http.Header, arrived time.Time) *Announcement {
	a := &Announcement{
		Asked: h.Get("Retry-After") != "",
		Clock: ClockOf(h, arrived),
	}
	a.read(status, h)
	if a.Pause == 0 && a.Clock.inAnotherZone() {
		// By our clock the moment has passed. A server that writes its local time writes it everywhere, and then its Date
		// says what it means.
		a.Clock.At = a.Clock.At.Add(a.Clock.Off)
		a.read(status, h)
	}
	return a
}

// read reads the pause, with moments measured by the clock.
func (a *Announcement) read(status int, h http.Header) {
	told, ok, invalid := retryAfter(h, a.Clock.At)
	a.Unreadable = invalid
	if ok && told.Pause > 0 {
		a.Pause = told.Pause
		a.Source = ByHeader
	} else if told = spent(status, h, a.Clock.At); told.Pause > 0 {
		a.Pause = told.Pause
		a.Source = ByRateLimit
	}
	a.Moved = told.Moment && a.Clock.Off != 0
}
