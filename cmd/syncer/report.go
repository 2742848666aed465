package main

import (
	"fmt"
	"io"
	"strings"

	"syncer/finance"
	"syncer/persist"
)

// listedItems is how many incomplete items a report names; the rest is counted, and --json has them.
const listedItems = 10

// writeReport prints what is known of a run, for a person, in 80 columns.
func writeReport(w io.Writer, p paint, r persist.Report) {
	writeReportHead(w, p, r)
	writeCounts(w, r.Counts)
	writeClasses(w, r.ByClass)
	writeSlowest(w, p, r.Slowest)
	writeIncomplete(w, p, r)
	writeWithheld(w, p, r)
}

func writeReportHead(w io.Writer, p paint, r persist.Report) {
	fmt.Fprintf(w, "%s  %s\n", p.bold(fmt.Sprintf("Run %d %s", r.Run.ID, shorten(printable(r.Run.Job), 44))), p.state(r))
	about := []string{string(r.Run.Kind) + " for " + clock(r.Run.ScheduledFor), "over " + r.Run.Connection}
	if !r.Run.WindowFrom.IsZero() {
		about = append(about, fmt.Sprintf("days %s to %s", r.Run.WindowFrom, r.Run.WindowTo))
	}
	if r.Run.OfRun != 0 {
		about = append(about, fmt.Sprintf("again for run %d", r.Run.OfRun))
	}
	if len(r.Reruns) > 0 {
		about = append(about, "with its reruns "+joinIDs(r.Reruns))
	}
	did := []string{took(r.Wall) + " wall time", count(r.Calls, "call")}
	if r.Pauses > 0 {
		did = append(did, fmt.Sprintf("%s honoured (%s in all)", count(r.Pauses, "pause"), took(r.Paused)))
	} else {
		did = append(did, "no pause asked for")
	}
	if b := r.Batches; b.Pending+b.Working+b.Parked+b.Done > 0 {
		did = append(did, batchesText(b))
	}
	if r.Run.Skipped > 0 {
		did = append(did, count(r.Run.Skipped, "consent")+" left out by status, window or purpose")
	}
	if r.Run.Overlapped > 0 {
		did = append(did, count(r.Run.Overlapped, "item")+" left to an earlier run of the job, which was still at them")
	}
	for _, part := range [][]string{about, did} {
		fmt.Fprintln(w, strings.Join(wrapped("  ", strings.Join(part, ", ")), "\n"))
	}
	if said := nothingRead(r); said != "" {
		fmt.Fprintln(w, p.warn(strings.Join(wrapped("  ", said), "\n")))
	}
	if !r.ParkedUntil.IsZero() && r.Run.Verdict == "" {
		fmt.Fprintln(w, strings.Join(wrapped("  ", "parked until "+clock(r.ParkedUntil)+": "+r.ParkReason), "\n"))
	}
	for _, g := range r.Gates {
		if g.Stops() {
			fmt.Fprintln(w, p.warn(strings.Join(wrapped("  ", closedText(g)), "\n")))
		}
	}
	if r.LeftAlone > 0 {
		fmt.Fprintln(w, p.warn(strings.Join(wrapped("  ", leftAlone(r)), "\n")))
	}
	writeParked(w, p, r)
	for _, g := range r.Guards {
		writeGuard(w, p, g)
	}
}

// nothingRead says that a settled run has brought nothing, and why. Its verdict alone does not tell: a run whose consents
// have all ended is complete. Empty: something was read, or may still be.
func nothingRead(r persist.Report) string {
	if r.Run.Verdict == "" {
		return ""
	}
	items := 0
	for _, c := range r.Counts {
		if c.Rows+c.Empty+c.Partial+c.Records > 0 {
			return ""
		}
		items += c.Expected
	}
	switch {
	case items > 0:
		return "nothing was read: every item was excused or failed"
	case r.Run.Overlapped > 0:
		return "nothing was read: an earlier run of the job was still at all of its items"
	}
	return "nothing was read: there was no consent to read"
}

// writeParked says why whatever else the report names may have failed. The items alone don't tell: those that were on
// their way when the connection was parked failed by what they met themselves.
func writeParked(w io.Writer, p paint, r persist.Report) {
	if !r.Over.Parked || r.Run.Verdict == persist.VerdictComplete {
		return
	}
	said := fmt.Sprintf("connection %s is parked since %s: %s", r.Over.Name, clock(r.Over.ParkedAt), r.Over.ParkedReason)
	fmt.Fprintln(w, p.bad(strings.Join(wrapped("  ", said), "\n")))
	todo := "when that is mended: syncer connections open " + r.Over.Name
	if r.Over.ParkedFor != "" {
		todo = "its credentials are refused: put good ones into their place, or syncer connections open " + r.Over.Name
	}
	if r.Run.Verdict != "" {
		todo += fmt.Sprintf(", then syncer rerun %d", r.Run.ID)
	}
	fmt.Fprintln(w, strings.Join(wrapped("  ", todo), "\n"))
}

// runState is the one word for where a run stands.
func runState(r persist.Report) string {
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

// state colours runState.
func (p paint) state(r persist.Report) string {
	switch s := runState(r); s {
	case "complete":
		return p.good(s)
	case "failed":
		return p.bad(s)
	case "running":
		return s
	default:
		return p.warn(s)
	}
}

func batchesText(b persist.BatchCounts) string {
	all := b.Pending + b.Working + b.Parked + b.Done
	if b.Done == all {
		if all == 1 {
			return "1 batch"
		}
		return thousands(all) + " batches"
	}
	return fmt.Sprintf("%s of %s batches done (%s working, %s parked)", thousands(b.Done), thousands(all), thousands(b.Working), thousands(b.Parked))
}

func writeCounts(w io.Writer, counts []persist.Counts) {
	items := newTable("dataset", ">expected", ">rows", ">empty", ">partial", ">excused", ">failed", ">missing")
	records := newTable("records", ">read", ">inserted", ">updated", ">removed", ">quarantined")
	for _, c := range counts {
		items.add(c.Dataset, thousands(c.Expected), thousands(c.Rows), thousands(c.Empty), thousands(c.Partial),
			thousands(c.Excused), thousands(c.Failed), thousands(c.Missing))
		records.add(c.Dataset, thousands(c.Records), thousands(c.Inserted), thousands(c.Updated), thousands(c.Removed), thousands(c.Rejected))
	}
	for _, t := range []*table{items, records} {
		if len(t.rows) > 0 {
			fmt.Fprintln(w)
			t.write(w)
		}
	}
}

func writeClasses(w io.Writer, classes []persist.ClassCount) {
	if len(classes) == 0 {
		return
	}
	parts := make([]string, len(classes))
	for i, c := range classes {
		parts[i] = fmt.Sprintf("%s %s", c.Class, thousands(c.Calls))
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, strings.Join(wrapped("", "Calls by class: "+strings.Join(parts, ", ")), "\n"))
}

func writeSlowest(w io.Writer, p paint, slow []persist.SlowItem) {
	if len(slow) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", p.bold("Slowest items"))
	t := newTable(">consent", "dataset", ">took", ">pages", ">batch")
	t.indent = "  "
	for _, s := range slow {
		t.add(s.Consent, s.Dataset, took(s.Took), s.Pages, s.Batch)
	}
	t.write(w)
}

// writeIncomplete names what is not proven complete: it is why somebody reads the report.
func writeIncomplete(w io.Writer, p paint, r persist.Report) {
	all := 0
	for _, c := range r.Counts {
		all += c.Partial + c.Excused + c.Failed + c.Missing
	}
	all = max(all, len(r.NotComplete))
	if all == 0 {
		return
	}
	listed := r.NotComplete[:min(len(r.NotComplete), listedItems)]
	title := "Not complete: " + count(all, "item")
	if len(listed) < all {
		title += fmt.Sprintf(", here %d of them (all: syncer runs show %d --json)", len(listed), r.Run.ID)
	}
	writeItems(w, p, title, listed)
}

// writeWithheld names the accounts that the provider keeps to itself. Their items are proven without them, and somebody
// may wonder why an account has no rows.
func writeWithheld(w io.Writer, p paint, r persist.Report) {
	if len(r.Withheld) == 0 {
		return
	}
	listed := r.Withheld[:min(len(r.Withheld), listedItems)]
	title := "Withheld by the provider: accounts of " + count(len(r.Withheld), "item")
	if len(listed) < len(r.Withheld) {
		title += fmt.Sprintf(", here %d of them (all: syncer runs show %d --json)", len(listed), r.Run.ID)
	}
	writeItems(w, p, title, listed)
}

func writeItems(w io.Writer, p paint, title string, listed []persist.OpenItem) {
	fmt.Fprintf(w, "\n%s\n", p.bold(title))
	for _, item := range listed {
		fmt.Fprintf(w, "  consent %d %s: %s\n", item.Consent, item.Dataset, outcomeText(item.Outcome, item.Class))
		for _, l := range wrapped("    ", reasonText(item)) {
			fmt.Fprintln(w, l)
		}
	}
}

func outcomeText(o finance.Outcome, c finance.Class) string {
	switch {
	case o == "":
		return "not decided"
	case c == "":
		return string(o)
	}
	return fmt.Sprintf("%s (%s)", o, c)
}

// reasonText is why an item is not complete, and the ids by which the provider's support and `syncer call` find it.
func reasonText(item persist.OpenItem) string {
	parts := []string{}
	if item.Reason != "" {
		parts = append(parts, item.Reason)
	}
	if item.Correlation != "" {
		parts = append(parts, "provider's id "+item.Correlation)
	}
	if !item.Call.IsZero() {
		parts = append(parts, "call "+item.Call.String())
	}
	return strings.Join(parts, "; ")
}

func joinIDs(ids []int64) string { return strings.Trim(fmt.Sprint(ids), "[]") }
