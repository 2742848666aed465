package main

import (
	"fmt"
	"io"
	"time"

	"syncer/persist"
)

// statusGates is how many closed gates the screen has room for.
const statusGates = 10

// writeClosed lists what no call is made for just now, the longest pauses first.
func writeClosed(w io.Writer, p paint, gates []persist.ClosedGate) {
	if len(gates) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", p.bold("Pauses"))
	for i, g := range gates {
		if i == statusGates {
			fmt.Fprintf(w, "  and %s more (all: syncer status --json)\n", thousands(len(gates)-i))
			return
		}
		for _, line := range wrapped("  ", closedText(g)) {
			if g.Left >= persist.LongPause {
				line = p.warn(line)
			}
			fmt.Fprintln(w, line)
		}
		if g.Left >= persist.LongPause {
			fmt.Fprintln(w, "    ask the provider; if it was not meant:")
			fmt.Fprintf(w, "    syncer connections resume %s --reason TEXT\n", g.Connection)
		}
	}
}

// closedText is a closed gate on one line.
func closedText(g persist.ClosedGate) string {
	left := took(g.Left)
	const day = 24 * time.Hour
	if g.Left >= 2*day {
		left = count(int(g.Left/day), "day")
	}
	return fmt.Sprintf("%s is closed until %s (for another %s): %s", printable(g.Name), clock(g.Until), left, printable(g.Reason))
}

// leftAlone says why the breaker of a run's connection has opened.
func leftAlone(r persist.Report) string {
	times := "once"
	if r.LeftAlone > 1 {
		times = thousands(r.LeftAlone) + " times"
	}
	said := "the provider was left alone " + times + " because it failed all the time"
	if r.FailedWith != "" {
		said += ", the last time with " + printable(r.FailedWith)
	}
	return said
}

// paused says that a run's workers wait for a gate that holds up all of them.
func paused(r persist.Report) bool {
	for _, g := range r.Gates {
		if g.Stops() {
			return true
		}
	}
	return false
}
