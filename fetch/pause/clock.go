package pause

import (
	"net/http"
	"time"
)

// apart is how far the provider's clock may be from ours. An answer's own Date makes a moment that it names independent
// of both clocks, but some servers write a Date that is nobody's clock: of 1970 beside a pause until tonight, it would
// close the gate for half a century.
const apart = 5 * time.Minute

// Clock is the time that moments of an answer are measured from.
type Clock struct {
	At  time.Time     // the answer's own Date, or our time where there is none to believe
	Off time.Duration // how far a Date that is not believed is from our time; 0: there is no such Date
}

// ClockOf is the clock of an answer that arrived at the given moment. The answer was on its way after its Date, so that
// waiting the difference to it never calls early.
func ClockOf(h http.Header, arrived time.Time) Clock {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return Clock{At: arrived}
	}
	if off := date.Sub(arrived); off.Abs() > apart {
		return Clock{At: arrived, Off: off}
	}
	return Clock{At: date}
}

// inAnotherZone says that the Date is not believed, and that it is off by no more than the zones of the earth are.
func (c Clock) inAnotherZone() bool { return c.Off != 0 && c.Off.Abs() <= 24*time.Hour }
