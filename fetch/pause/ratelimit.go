package pause

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// saneReset is the longest reset that a rate-limit header is believed beside an answer that is no refusal. These headers
// have many dialects, and a misread timestamp must not park a provider for years; Retry-After is there for long pauses.
// Of a 429 without Retry-After the reset is all there is to know, and no quota is for longer than a month.
const (
	saneReset  = 15 * time.Minute
	saneRefill = 31 * 24 * time.Hour
)

// spent reads the rate-limit headers in use: RateLimit (the IETF drafts, old and new syntax), RateLimit-*,
// X-RateLimit-* and X-Rate-Limit-*. It is how long until the allowance is filled again, where the answer says that
// none is left; zero otherwise, and for everything that can't be read. So these headers can only slow down. A 429 says
// by itself that none is left, unless its headers say that some is: then it is another limit that it was refused for.
func spent(status int, h http.Header, now time.Time) Told {
	refused := status == http.StatusTooManyRequests
	remaining, reset := combined(h.Get("RateLimit"))
	resets := []string{reset}
	for _, prefix := range []string{"RateLimit-", "X-RateLimit-", "X-Rate-Limit-"} {
		told := remaining != "" || refused
		if told && strings.Join(resets, "") != "" {
			break
		}
		remaining = h.Get(prefix + "Remaining")
		resets = h.Values(prefix + "Reset")
	}
	most := saneReset
	if refused {
		most = saneRefill
		remaining = cmp.Or(remaining, "0")
	}
	if n, err := strconv.ParseFloat(remaining, 64); err != nil || n != 0 {
		return Told{}
	}
	var longest Told
	for _, reset := range resets {
		told, _ := Parse(reset, now)
		if told.Pause > longest.Pause && told.Pause <= most {
			longest = told
		}
	}
	return longest
}

// combined takes remaining and reset out of `limit=10, remaining=0, reset=5` or `"default";r=0;t=5`.
func combined(v string) (remaining, reset string) {
	for part := range strings.FieldsFuncSeq(v, func(r rune) bool { return strings.ContainsRune(",; ", r) }) {
		switch key, value, _ := strings.Cut(part, "="); key {
		case "remaining", "r":
			if remaining == "0" {
				return remaining, reset // the policy that is spent counts, not the next one
			}
			remaining = value
		case "reset", "t":
			reset = value
		}
	}
	return remaining, reset
}
