package report

import (
	"fmt"
	"io"

	"syncer/persist/connections"
	"syncer/persist/read"
	"syncer/report/text"
)

// batchesParked says how many batches of a run wait, for how long and why.
func batchesParked(r read.Report) string {
	batches := text.Thousands(r.Batches.Parked) + " batches are"
	if r.Batches.Parked == 1 {
		batches = "1 batch is"
	}
	return fmt.Sprintf("%s parked, the first until %s: %s", batches, text.Clock(r.ParkedUntil), r.ParkReason)
}

// unworkedText says that nobody works an open run, and what to do; empty: somebody does.
func unworkedText(r read.Report) string {
	switch {
	case !r.Running:
		return ""
	case r.NotConfigured != "":
		return r.NotConfigured
	case r.Unworked:
		return "no process works it: " + GoesOn(r.Run) + " goes on with it, as does `syncer serve`"
	}
	return ""
}

// runParked says for how long a run waits, and why.
func runParked(r read.Report) string {
	return "parked until " + text.Clock(r.ParkedUntil) + ": " + r.ParkReason
}

// writeParkedConnections tells which connections are not called, why, and how each is opened.
func writeParkedConnections(w io.Writer, p text.Paint, parked []connections.Connection) {
	fmt.Fprintf(w, "\n%s\n", p.Bold("Connections that are parked"))
	if len(parked) == 0 {
		fmt.Fprintln(w, "  none")
	}
	for _, c := range parked {
		why := " (" + c.ParkedClass + ")"
		if c.ByOperator() { // which the reason says
			why = ""
		}
		fmt.Fprintf(w, "  %s since %s%s\n", p.Bad(text.Printable(c.Name)), text.Clock(c.ParkedAt), why)
		fmt.Fprintln(w, text.Paragraph(w, "    ", c.ParkedReason+"; "+toOpen(c)))
	}
}
