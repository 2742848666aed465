package fetch

import (
	"net/http"
	"time"
)

// apart is how far the provider's clock may be from ours. An answer's own Date makes a moment that it names independent
// of both clocks, but some servers write a Date that is nobody's clock: of 1970 beside a pause until tonight, it would
// close the gate for half a century.
const apart = 5 * time.Minute

// clock is the time that moments of an answer are measured from.
type clock struct {
	at  time.Time     // the answer's own Date, or our time where there is none to believe
	off time.Duration // how far a Date that is not believed is from our time; 0: there is no such Date
}

// clockOf is the clock of an answer that arrived at the given moment. The answer was on its way after its Date, so that
// waiting the difference to it never calls early.
func clockOf(h http.Header, arrived time.Time) clock {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return clock{at: arrived}
	}
	if off := date.Sub(arrived); off.Abs() > apart {
		return clock{at: arrived, off: off}
	}
	return clock{at: date}
}
