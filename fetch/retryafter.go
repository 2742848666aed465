package fetch

import (
	"net/http"
	"strconv"
	"time"
)

// longest is as far as any announcement reaches. A longer one would overflow sums of durations; a bucket closed for
// ten years is somebody's task anyway.
const longest = 10 * 365 * 24 * time.Hour

// ParseRetryAfter reads Retry-After (RFC 9110 section 10.2.3): how long not to call, from the arrival of the answer
// on. It takes whole seconds, or any of the three forms of an HTTP date, which is measured against the answer's own
// Date so that neither clock need be right; now stands in where there is none. The answer was on its way after that
// Date, so waiting the difference never calls early.
//
// ok is false where there is no usable value, invalid is true where there was one that can't be used: negative,
// fractional, text, empty or several. Nothing is rounded down, and nothing reaches further than ten years.
func ParseRetryAfter(h http.Header, now time.Time) (d time.Duration, ok, invalid bool) {
	values := h.Values("Retry-After")
	if len(values) == 0 {
		return 0, false, false
	}
	if len(values) > 1 {
		return 0, false, true
	}
	if d, ok := wholeSeconds(values[0]); ok {
		return d, true, false
	}
	at, err := http.ParseTime(values[0])
	if err != nil {
		return 0, false, true
	}
	return clamp(at, serverTime(h, now)), true, false
}

// wholeSeconds reads up to 18 digits and nothing else.
func wholeSeconds(s string) (time.Duration, bool) {
	if len(s) == 0 || len(s) > 18 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, false
	}
	if n > int64(longest/time.Second) {
		return longest, true
	}
	return time.Duration(n) * time.Second, true
}

// serverTime is the answer's Date, or now.
func serverTime(h http.Header, now time.Time) time.Time {
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		return t
	}
	return now
}

// clamp is the time from a to b, between zero and the longest pause. time.Time.Sub saturates, so a date in the year
// 9999 is no trap.
func clamp(at, from time.Time) time.Duration { return min(max(at.Sub(from), 0), longest) }
