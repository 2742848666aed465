package jsonread

import (
	"errors"
	"time"
)

// ParseInstant reads an instant as RFC 3339 writes it, with any number of decimals. What many programs
// write is read too: an offset without its colon (+0200, the default of Jackson) or without its minutes
// (+02), and a blank in the place of the T. A time without an offset is no instant, and neither is one of a
// year 0.
func ParseInstant(text string) (time.Time, error) {
	return parsed(text, time.UTC, time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07")
}

// ParseInstantIn reads an instant as ParseInstant does. A time without an offset is that of the zone, and the
// seconds may be missing.
func ParseInstantIn(text string, zone *time.Location) (time.Time, error) {
	if at, err := ParseInstant(text); err == nil {
		return at, nil
	}
	return parsed(text, zone, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02T15:04Z07:00",
		"2006-01-02T15:04Z0700", "2006-01-02T15:04Z07")
}

// parsed reads a text by the first layout that fits.
func parsed(text string, zone *time.Location, layouts ...string) (time.Time, error) {
	const day = len("2006-01-02")
	if len(text) > day && (text[day] == ' ' || text[day] == 't') {
		text = text[:day] + "T" + text[day+1:]
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil && Speakable(t) {
			return t, nil
		}
	}
	return time.Time{}, errors.New("not an instant in RFC 3339 form")
}

// Speakable says whether an instant lies in the years 1 to 9999 of the zone that it is told in.
func Speakable(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9999 }

// InUTC is an instant in UTC. By the first hours of year 1 and the last ones of year 9999 programs say "never".
// An offset or a zone can move these into a year that has no form: such an instant is none, as 0001-01-01 in
// UTC is none.
func InUTC(t time.Time) time.Time {
	if t = t.UTC(); Speakable(t) {
		return t
	}
	return time.Time{}
}
