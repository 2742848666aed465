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
	remaining, resets := combined(strings.Join(h.Values("RateLimit"), ","))
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

// combined takes remaining and reset out of `limit=10, remaining=0, reset=5`, and out of policies as in
// `"burst";r=3;t=1, "day";r=0;t=5`. Of more than one policy those count that are spent, if any is, with the resets of them all.
func combined(v string) (remaining string, resets []string) {
	for _, p := range policiesIn(v) {
		switch {
		case p.remaining == remaining:
			resets = append(resets, p.reset)
		case remaining == "", p.remaining == "0":
			remaining = p.remaining
			resets = []string{p.reset}
		}
	}
	return remaining, resets
}

// policy is what a rate-limit header says of one of its policies. Empty: it doesn't say.
type policy struct{ remaining, reset string }

// policiesIn cuts a header into its policies: one begins with its name, or with a member that the one before has already.
func policiesIn(v string) (found []policy) {
	var p policy
	next := func() {
		if p != (policy{}) {
			found = append(found, p)
		}
		p = policy{}
	}
	for part := range strings.FieldsFuncSeq(v, func(r rune) bool { return strings.ContainsRune(",; ", r) }) {
		key, value, _ := strings.Cut(part, "=")
		switch {
		case strings.HasPrefix(key, `"`):
			next()
		case key == "remaining", key == "r":
			if p.remaining != "" {
				next()
			}
			p.remaining = value
		case key == "reset", key == "t":
			if p.reset != "" {
				next()
			}
			p.reset = value
		}
	}
	next()
	return found
}
