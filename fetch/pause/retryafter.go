package pause

import (
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// Longest is as far as any announcement reaches. A longer one would overflow sums of durations; a bucket closed for
// ten years is somebody's task anyway.
const Longest = 10 * 365 * 24 * time.Hour

// Told is a pause as a provider has told it.
type Told struct {
	Pause  time.Duration // how long not to call, from the arrival of the answer on; 0: not at all
	Moment bool          // a moment was named and not a span, so the pause hangs on somebody's clock
}

// ParseRetryAfter reads Retry-After (RFC 9110 section 10.2.3) in the forms that servers really send: see Parse. The
// Longest of several values counts, since each of them wants to be kept. Moments are measured as ourClock says.
//
// ok is false where there is no usable value, invalid is true where there was one that can't be used: negative, empty, or
// words that name no time. Nothing is rounded down, and nothing reaches further than ten years.
func ParseRetryAfter(h http.Header, now time.Time) (d time.Duration, ok, invalid bool) {
	told, ok, invalid := retryAfter(h, ClockOf(h, now).At)
	return told.Pause, ok, invalid
}

// retryAfter reads the header, with moments measured from now.
func retryAfter(h http.Header, now time.Time) (most Told, ok, invalid bool) {
	for _, value := range h.Values("Retry-After") {
		told, fits := Parse(value, now)
		if !fits {
			told, fits = longestOf(strings.Split(value, ","), now) // a proxy has joined two of them
		}
		if !fits {
			invalid = true
			continue
		}
		ok = true
		if told.Pause >= most.Pause {
			most = told
		}
	}
	return most, ok, invalid && !ok
}

// longestOf reads values of which each must tell a pause.
func longestOf(values []string, now time.Time) (most Told, ok bool) {
	if len(values) < 2 {
		return most, false
	}
	for _, value := range values {
		told, fits := Parse(value, now)
		if !fits {
			return Told{}, false
		}
		if told.Pause >= most.Pause {
			most = told
		}
	}
	return most, true
}

// Parse reads a text that tells how long not to call, wherever it stands: seconds, with a fraction or not; a Unix
// time, which is a number that no span could be; an instant of ISO 8601; an HTTP date in any of its three forms; a span
// with its unit, such as "90 s" or "1m30s"; or a sentence that holds one, as InWords reads it. Moments are measured
// from now; one that has passed is a pause of 0. Nothing is rounded down, and nothing reaches further than ten years.
func Parse(text string, now time.Time) (told Told, ok bool) {
	text = strings.TrimSpace(text)
	if told, ok := number(text, now); ok {
		return told, true
	}
	if at, ok := momentOf(text); ok {
		return Told{clamp(at, now), true}, true
	}
	if d, rest, ok := span(text); ok && strings.Trim(rest, " .!") == "" {
		return Told{Pause: d}, true
	}
	return InWords(text, now)
}

// A number of so many seconds or more is a moment: the span would be of 31 years, and the Unix time was in 2001.
const leastUnixTime = 1_000_000_000

var plainNumber = regexp.MustCompile(`^[0-9]{1,19}(?:\.[0-9]{1,30})?$`)

// number reads seconds or a Unix time. Whether that is in seconds or in thousandths, millionths or thousand-millionths of
// them is told by its size: as seconds, 1e11 would be in the year 5138.
func number(text string, now time.Time) (told Told, ok bool) {
	if !plainNumber.MatchString(text) {
		return told, false
	}
	n, ok := new(big.Rat).SetString(text)
	if !ok {
		return told, false
	}
	if n.Cmp(big.NewRat(leastUnixTime, 1)) < 0 {
		return Told{Pause: nanoseconds(n, time.Second)}, true
	}
	perSecond := int64(1)
	for n.Cmp(big.NewRat(100*leastUnixTime, 1)) >= 0 {
		n.Quo(n, big.NewRat(1000, 1))
		perSecond *= 1000
	}
	whole, part := new(big.Int).DivMod(n.Num(), n.Denom(), new(big.Int))
	at := time.Unix(whole.Int64(), int64(nanoseconds(new(big.Rat).SetFrac(part, n.Denom()), time.Second)))
	return Told{clamp(at, now), true}, true
}

// nanoseconds is so many of a unit, rounded up, and at most the Longest pause.
func nanoseconds(n *big.Rat, unit time.Duration) time.Duration {
	n = new(big.Rat).Mul(n, new(big.Rat).SetInt64(int64(unit)))
	if n.Cmp(new(big.Rat).SetInt64(int64(Longest))) >= 0 {
		return Longest
	}
	up := new(big.Int).Add(n.Num(), new(big.Int).Sub(n.Denom(), big.NewInt(1)))
	return time.Duration(up.Div(up, n.Denom()).Int64())
}

// instants are how ISO 8601 and its relatives write a moment. One without a zone is meant in UTC, as everything in HTTP.
var instants = []string{
	time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05",
	"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05 UTC", "2006-01-02 15:04:05",
	time.RFC1123Z, "Mon, 02 Jan 2006 15:04:05 UTC",
}

// momentOf reads an instant or an HTTP date.
func momentOf(text string) (at time.Time, ok bool) {
	for _, layout := range instants {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	at, err := http.ParseTime(text)
	return at, err == nil
}

// units are how a span names its unit, in English.
var units = map[string]time.Duration{
	"ms": time.Millisecond, "msec": time.Millisecond, "millisecond": time.Millisecond,
	"s": time.Second, "sec": time.Second, "second": time.Second,
	"m": time.Minute, "min": time.Minute, "minute": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hour": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour,
}

var (
	onClock = regexp.MustCompile(`^(?:([0-9]{1,4})\.)?([0-9]{1,4}):([0-9]{2}):([0-9]{2})\b`) // .NET sets days before a point
	onePart = regexp.MustCompile(`^([0-9]{1,12}(?:[.,][0-9]{1,30})?)[ -]?([A-Za-z]+)`)
	between = regexp.MustCompile(`^(?:\s*,?\s*(?:and\s+)?)[0-9]`)
)

// span reads a span at the beginning of a text, and gives what stands behind it: "7 seconds", "1 hour and 30 minutes",
// "6m0.5s", "01:30:00", "5.03:23:11".
func span(text string) (d time.Duration, rest string, ok bool) {
	if t := onClock.FindStringSubmatch(text); t != nil {
		for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
			d = min(d+amount(t[i+1], unit), Longest)
		}
		return d, text[len(t[0]):], true
	}
	for {
		t := onePart.FindStringSubmatch(text)
		if t == nil {
			return d, text, ok
		}
		word := strings.ToLower(t[2])
		unit, known := units[word]
		if !known {
			unit, known = units[strings.TrimSuffix(word, "s")]
		}
		if !known {
			return d, text, ok
		}
		d = min(d+amount(t[1], unit), Longest)
		ok = true
		text = text[len(t[0]):]
		if !between.MatchString(text) {
			return d, text, true
		}
		text = strings.TrimLeft(text, " ,and")
	}
}

// thousands is how English writes a number of four to six digits. As a decimal it would be a shorter pause.
var thousands = regexp.MustCompile(`^[1-9][0-9]{0,2},[0-9]{3}$`)

// amount is a number with a point or a comma, of a unit.
func amount(text string, unit time.Duration) time.Duration {
	if thousands.MatchString(text) {
		text = strings.Replace(text, ",", "", 1)
	}
	n, ok := new(big.Rat).SetString(strings.Replace(text, ",", ".", 1))
	if !ok {
		return 0
	}
	return nanoseconds(n, unit)
}

// waitWords are what stands before the time in a sentence. Without such a word a number says something else: "the limit is
// 30 per 1 minute".
var (
	waitWords = regexp.MustCompile(`(?i)\b(?:again|retry|retried|retrying|wait|replenished|available|resets?|renewed|back|until)\b`)
	isoIn     = regexp.MustCompile(`^\D{0,40}?([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z| UTC| ?[+-][0-9]{2}:?[0-9]{2})?)`)
	dateIn    = regexp.MustCompile(`^\D{0,40}?((?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} (?:GMT|UTC|[+-][0-9]{4}))`)
	unixIn    = regexp.MustCompile(`^[0-9]{10,19}\b`)
	timeOfDay = regexp.MustCompile(`(?i)^[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?\s*(?:UTC|GMT|Z\b|[ap]\.?m\b)`)
	atMoment  = regexp.MustCompile(`(?i)\b(?:at|until)\s*$`)
	spanIn    = regexp.MustCompile(`^[^0-9.!?]{0,40}?([0-9])`)
)

// InWords reads the pause in a sentence in English: "Please try again in 3600 seconds", "Quota will be replenished in
// 01:30:00", "retry after 2026-11-30T00:00:00Z". ok is false where none is told.
func InWords(text string, now time.Time) (told Told, ok bool) {
	for _, word := range waitWords.FindAllStringIndex(text, -1) {
		behind := text[word[1]:]
		for _, written := range []*regexp.Regexp{isoIn, dateIn} {
			t := written.FindStringSubmatch(behind)
			if t == nil {
				continue
			}
			if at, ok := momentOf(t[1]); ok {
				return Told{clamp(at, now), true}, true
			}
		}
		t := spanIn.FindStringSubmatchIndex(behind)
		if t == nil {
			continue
		}
		said := behind[t[2]:]
		if told, ok := number(strings.TrimRight(said, " .!)"), now); ok {
			return told, true
		}
		if told, ok := number(unixIn.FindString(said), now); ok {
			return told, true
		}
		before := text[:word[1]+t[2]]
		if isTimeOfDay(before, said) {
			continue // of which day, and in which zone, is not told
		}
		if d, _, ok := span(said); ok {
			return Told{Pause: d}, true
		}
	}
	return told, false
}

// isTimeOfDay says that what is said in a sentence, behind some words of it, is a time of the day.
func isTimeOfDay(before, said string) bool {
	if timeOfDay.MatchString(said) {
		return true
	}
	return onClock.MatchString(said) && atMoment.MatchString(before)
}

// clamp is the time from a to b, between zero and the Longest pause. time.Time.Sub saturates, so a date in the year
// 9999 is no trap.
func clamp(at, from time.Time) time.Duration { return min(max(at.Sub(from), 0), Longest) }
