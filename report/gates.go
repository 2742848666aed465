package report

import (
	"fmt"
	"io"
	"time"

	"syncer/persist/admit"
	"syncer/report/text"
)

// ClosedGate is a gate that lets no call through for now.
type ClosedGate struct {
	Gate       string     `json:"gate"`
	Connection string     `json:"connection"`
	Alone      bool       `json:"alone"` // of one consent or account, and nobody else
	Until      *time.Time `json:"until"`
	Left       float64    `json:"left_seconds"`
	Reason     string     `json:"reason"`
	Rate       bool       `json:"waits_for_its_rate,omitempty"`    // and no pause has closed it
	Pace       float64    `json:"seconds_between_calls,omitempty"` // by that rate, where it is in the caller's own configuration
	Call       string     `json:"call,omitempty"`                  // that was told
}

// ClosedGatesOf are closed gates for programs.
func ClosedGatesOf(gates []admit.ClosedGate) []ClosedGate {
	list := []ClosedGate{}
	for _, g := range gates {
		j := ClosedGate{
			Gate: g.Name, Connection: g.Connection, Alone: g.Alone, Until: instant(g.Until), Left: g.Left.Seconds(), Reason: g.Reason,
		}
		if g.Rate {
			j.Rate = true
			j.Pace = g.Pace.Seconds()
			j.Reason = rateReason(g)
		}
		if !g.Call.IsZero() {
			j.Call = g.Call.String()
		}
		list = append(list, j)
	}
	return list
}

// statusGates is how many closed gates the screen has room for.
const statusGates = 10

// writeClosed lists what no call is made for just now, the longest pauses first.
func writeClosed(w io.Writer, p text.Paint, gates []admit.ClosedGate) {
	if len(gates) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", p.Bold("Pauses"))
	for i, g := range gates {
		if i == statusGates {
			fmt.Fprintf(w, "  and %s more (all: syncer status --json)\n", text.Thousands(len(gates)-i))
			return
		}
		for _, line := range text.Lines(w, "  ", ClosedText(g)) {
			if g.Left >= admit.LongPause {
				line = p.Warn(line)
			}
			fmt.Fprintln(w, line)
		}
		if g.Left >= admit.LongPause && !g.Rate {
			fmt.Fprintln(w, "    ask the provider; if it was not meant:")
			fmt.Fprintf(w, "    syncer connections resume %s --reason TEXT\n", g.Connection)
		}
	}
}

// ClosedText is a closed gate on one line.
func ClosedText(g admit.ClosedGate) string {
	left := text.Took(g.Left)
	const day = 24 * time.Hour
	if g.Left >= 2*day {
		left = text.Count(int(g.Left/day), "day")
	}
	if g.Rate {
		return fmt.Sprintf("%s waits until %s (for another %s): %s", text.Printable(g.Name), text.Clock(g.Until), left, rateReason(g))
	}
	return fmt.Sprintf("%s is closed until %s (for another %s): %s", text.Printable(g.Name), text.Clock(g.Until), left, text.Printable(g.Reason))
}

// rateReason says why a gate waits that no pause has closed.
func rateReason(g admit.ClosedGate) string {
	if g.Pace == 0 {
		return "the calls until then are given out, by the rate that another process has in its configuration"
	}
	return "its rate in the configuration is one call in " + text.Took(g.Pace) + ", and the calls until then are given out"
}
