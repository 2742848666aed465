package report

import (
	"fmt"
	"io"
	"time"

	"syncer/persist/read"
	"syncer/report/text"
)

// Suspicion is why a consent is suspected to have ended.
type Suspicion struct {
	Since  time.Time `json:"since"`
	Until  time.Time `json:"not_called_before"`
	As     string    `json:"as"` // what it is if the refusals are true
	Reason string    `json:"reason"`
	Times  int       `json:"refusals"`
	Held   bool      `json:"held"` // until an operator accepts its end or the provider answers for it
}

func suspicionOf(s *read.Suspicion) *Suspicion {
	if s == nil {
		return nil
	}
	return &Suspicion{Since: s.Since, Until: s.Until, As: string(s.As), Reason: s.Reason, Times: s.Times, Held: s.Held}
}

// suspicionText says why a consent is suspected, and what comes next.
func suspicionText(s *read.Suspicion) string {
	text := fmt.Sprintf("to be %s since %s: %s; not called before %s",
		s.As, text.Clock(s.Since), s.Reason, text.Clock(s.Until))
	if s.Held {
		text += "; it ended together with too many others, so an operator decides"
	}
	return text
}

// Suspects are the suspected consents of a connection.
type Suspects struct {
	Connection string    `json:"connection"`
	Consents   int       `json:"consents"`
	Held       int       `json:"held"`
	Next       time.Time `json:"first_called_again"`
	Reason     string    `json:"reason"`
}

func suspectsOf(list []read.Suspects) []Suspects {
	out := []Suspects{}
	for _, s := range list {
		out = append(out, Suspects{s.Connection, s.Consents, s.Held, s.Next, s.Reason})
	}
	return out
}

// writeSuspects says which connections have suspected consents, and where an operator is to decide.
func writeSuspects(w io.Writer, p text.Paint, list []read.Suspects) {
	if len(list) > 0 {
		fmt.Fprintf(w, "\n%s\n", p.Bold("Consents that are suspected to have ended"))
	}
	for _, s := range list {
		line := fmt.Sprintf("%s: %s, the first is asked again at %s",
			text.Printable(s.Connection), text.Count(s.Consents, "consent"), text.Clock(s.Next))
		fmt.Fprintln(w, text.Paragraph(w, "  ", line))
		if s.Reason != "" {
			fmt.Fprintln(w, text.Paragraph(w, "    ", s.Reason))
		}
		if s.Held > 0 {
			held := fmt.Sprintf("%s ended with too many others and is held: ask the provider, "+
				"then `syncer consents accept-ends %s`", text.Count(s.Held, "consent"), s.Connection)
			fmt.Fprintln(w, p.Warn(text.Paragraph(w, "    ", held)))
		}
	}
}
