package rest

import (
	"regexp"
	"strings"
	"time"

	"syncer/fetch"
)

// wait reads the pause that an API tells in its body.
type wait struct {
	slots   []int
	pattern *regexp.Regexp // nil: the place holds nothing but a pause, or a sentence in English
	unit    string
}

// unitNames are the units of Wait as pause.Parse reads them.
var unitNames = map[string]string{"milliseconds": "ms", "seconds": "s", "minutes": "m", "hours": "h", "days": "d"}

func newWait(w *Wait, s *shape) wait {
	read := wait{slots: s.slots(w.Path), unit: "s"}
	if w.Unit != "" {
		read.unit = unitNames[w.Unit]
	}
	if w.Pattern != "" {
		read.pattern = regexp.MustCompile(w.Pattern) // the checker has proven it
	}
	return read
}

// in is the pause that an answer's body tells; 0 where it tells none.
func (w wait) in(a *fetch.Answer, found values) time.Duration {
	text, err := textOf(found.first(w.slots))
	if err != nil {
		return 0
	}
	if w.pattern == nil {
		return a.PauseIn(text)
	}
	t := w.pattern.FindStringSubmatch(text)
	if t == nil {
		return 0
	}
	return a.PauseIn(strings.TrimSpace(t[1]) + " " + w.unit)
}
