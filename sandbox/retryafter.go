package sandbox

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// RetryAfter is a pause in one of the forms seen in the wild. The
// zero value sends none.
type RetryAfter struct {
	Seconds int `json:"seconds,omitempty"`
	// Form is "seconds" (the default); one of the three dates of RFC 9110
	// section 5.6.7: "imf", "rfc850", "asctime"; or what servers send although
	// no standard says so: "fraction", "unix", "unix-ms", "iso", "units",
	// "sentence".
	Form string `json:"form,omitempty"`
	// Header carries it in the place of Retry-After, such as X-RateLimit-Reset.
	Header string `json:"header,omitempty"`
	// Literal is sent as it is, for what nobody should send: "-5", "1.5",
	// "soon", twenty digits. It demands nothing that a proof could measure.
	Literal string `json:"literal,omitempty"`
}

// header returns the header's text and the pause it demands from now on. A
// date has whole seconds, so it may demand a little less than Seconds.
func (a RetryAfter) header(now time.Time) (string, time.Duration) {
	if a.Literal != "" {
		return a.Literal, 0
	}
	if a.Seconds <= 0 {
		return "", 0
	}
	pause := time.Duration(a.Seconds) * time.Second
	at := now.Add(pause).UTC().Truncate(time.Second)
	switch a.Form {
	case "imf":
		return at.Format(http.TimeFormat), at.Sub(now)
	case "rfc850":
		return at.Format("Monday, 02-Jan-06 15:04:05 GMT"), at.Sub(now)
	case "asctime":
		return at.Format(time.ANSIC), at.Sub(now)
	case "unix":
		return strconv.FormatInt(at.Unix(), 10), at.Sub(now)
	case "unix-ms":
		return strconv.FormatInt(now.Add(pause).UnixMilli(), 10), pause - time.Millisecond
	case "iso":
		return at.Format(time.RFC3339), at.Sub(now)
	case "fraction":
		return fmt.Sprintf("%d.000", a.Seconds), pause
	case "units":
		return pause.String(), pause
	case "sentence":
		return fmt.Sprintf("Please try again in %d seconds.", a.Seconds), pause
	}
	return strconv.Itoa(a.Seconds), pause
}
