package fetch

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// saneReset is the longest reset that a rate-limit header is believed. These headers have many dialects, and a
// misread timestamp must not park a provider for years; Retry-After is there for long pauses.
const saneReset = 15 * time.Minute

// spentFor reads the rate-limit headers in use: RateLimit (the IETF drafts, old and new syntax), RateLimit-*,
// X-RateLimit-* and X-Rate-Limit-*. It is how long until the allowance is filled again, where the answer says that
// none is left; zero otherwise, and for everything that can't be read. So these headers can only slow down.
func spentFor(h http.Header, now time.Time) time.Duration {
	remaining, reset := combined(h.Get("RateLimit"))
	for _, prefix := range []string{"RateLimit-", "X-RateLimit-", "X-Rate-Limit-"} {
		if remaining == "" || reset == "" {
			remaining, reset = h.Get(prefix+"Remaining"), h.Get(prefix+"Reset")
		}
	}
	if n, err := strconv.ParseFloat(remaining, 64); err != nil || n != 0 {
		return 0
	}
	d := resetIn(strings.TrimSpace(reset), serverTime(h, now))
	if d > saneReset {
		return 0
	}
	return d
}

// combined takes remaining and reset out of `limit=10, remaining=0, reset=5` or `"default";r=0;t=5`.
func combined(v string) (remaining, reset string) {
	for part := range strings.FieldsFuncSeq(v, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		switch key, value, _ := strings.Cut(part, "="); key {
		case "remaining", "r":
			remaining = value
		case "reset", "t":
			reset = value
		}
	}
	return remaining, reset
}

// resetIn reads a reset: seconds from now, a Unix time in seconds or milliseconds, or a date.
func resetIn(s string, now time.Time) time.Duration {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		switch {
		case n < 0 || n > 1e14:
			return 0
		case n >= 1e12:
			return clamp(time.UnixMilli(n), now)
		case n >= 1e9:
			return clamp(time.Unix(n, 0), now)
		}
		return time.Duration(n) * time.Second
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return clamp(t, now)
	}
	if t, err := http.ParseTime(s); err == nil {
		return clamp(t, now)
	}
	return 0
}
