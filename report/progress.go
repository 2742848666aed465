package report

import (
	"fmt"
	"strings"

	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/report/text"
)

// runState is the one word for where a run stands.
func runState(r read.Report) string {
	switch {
	case r.Run.Verdict != "":
		return string(r.Run.Verdict)
	case r.Batches.Working > 0 && paused(r):
		return "paused"
	case r.Batches.Working > 0:
		return "running"
	case !r.ParkedUntil.IsZero():
		return "parked"
	}
	return "waiting for a worker"
}

// paintedState colours runState.
func paintedState(p text.Paint, r read.Report) string {
	switch s := runState(r); s {
	case "complete":
		return p.Good(s)
	case "failed":
		return p.Bad(s)
	case "running":
		return s
	default:
		return p.Warn(s)
	}
}

// paused says that a run's workers wait for a gate that holds up all of them.
func paused(r read.Report) bool {
	for _, g := range r.Gates {
		if g.Stops() {
			return true
		}
	}
	return false
}

// leftAlone says why the breaker of a run's connection has opened.
func leftAlone(r read.Report) string {
	times := "once"
	if r.LeftAlone > 1 {
		times = text.Thousands(r.LeftAlone) + " times"
	}
	said := "the provider was left alone " + times + " because it failed all the time"
	if r.FailedWith != "" {
		said += ", the last time with " + text.Printable(r.FailedWith)
	}
	return said
}

// GoesOn is the command that goes on with an unfinished run.
func GoesOn(r queue.Run) string {
	switch r.Kind {
	case queue.Rerun:
		return fmt.Sprintf("`syncer rerun %d`", r.OfRun)
	case queue.Backfill:
		return fmt.Sprintf("`syncer backfill %s` with the same days", r.Job)
	case queue.Final:
		return fmt.Sprintf("`syncer work --job %s`", r.Job)
	}
	return fmt.Sprintf("`syncer run %s`", r.Job)
}

// Tenths is how much of a run is decided, from 0 to 10.
func Tenths(r read.Report) int {
	done, all := decided(r)
	if all == 0 {
		return 0
	}
	return done * 10 / all
}

// decided counts the items of a report that have an outcome, and all of them.
func decided(r read.Report) (done, all int) {
	for _, c := range r.Counts {
		all += c.Expected
		done += c.Expected - c.Missing
	}
	return done, all
}

// ProgressLine is where a run stands, on one line.
func ProgressLine(r read.Report) string {
	done, all := decided(r)
	parts := []string{fmt.Sprintf("run %d %s", r.Run.ID, r.Run.Job), fmt.Sprintf("%s/%s items", text.Thousands(done), text.Thousands(all)), text.Count(r.Calls, "call")}
	failed := 0
	records := 0
	for _, c := range r.Counts {
		failed += c.Failed
		records += c.Records.Read
	}
	parts = append(parts, text.Count(records, "record"))
	if failed > 0 {
		parts = append(parts, text.Thousands(failed)+" failed")
	}
	if r.Pauses > 0 {
		parts = append(parts, text.Count(r.Pauses, "pause"))
	}
	if !r.ParkedUntil.IsZero() && r.Run.Verdict == "" {
		parts = append(parts, "parked until "+text.Clock(r.ParkedUntil))
	}
	parts = append(parts, text.Took(r.Wall))
	return strings.Join(parts, " · ")
}
