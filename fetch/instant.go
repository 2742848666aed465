package fetch

import (
	"errors"
	"time"
)

// ParseInstant reads an instant as RFC 3339 writes it, with any number of decimals. What many programs
// write is read too: an offset without its colon (+0200, the default of Jackson) or without its minutes
// (+02), and a blank in the place of the T. A time without an offset is no instant.
func ParseInstant(text string) (time.Time, error) {
	const day = len("2006-01-02")
	if len(text) > day && (text[day] == ' ' || text[day] == 't') {
		text = text[:day] + "T" + text[day+1:]
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("not an instant in RFC 3339 form")
}
