package report

import (
	"fmt"
	"io"
	"strings"

	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/report/text"
)

// WriteReport prints what is known of a run, for a person, as wide as the screen is.
func WriteReport(w io.Writer, p text.Paint, r read.Report) {
	writeReportHead(w, p, r)
	writeCounts(w, r.Counts)
	writeClasses(w, r.ByClass)
	writeSlowest(w, p, r.Slowest)
	writeQuarantine(w, p, r.Quarantine)
	writeIncomplete(w, p, r)
	writeWithheld(w, p, r)
}

func writeReportHead(w io.Writer, p text.Paint, r read.Report) {
	fmt.Fprintf(w, "%s  %s\n", p.Bold(fmt.Sprintf("Run %d %s", r.Run.ID, text.Short(w, r.Run.Job, 44))), paintedState(p, r))
	about := []string{string(r.Run.Kind) + " for " + text.Clock(r.Run.ScheduledFor), "over " + r.Run.Connection}
	if !r.Run.WindowFrom.IsZero() {
		about = append(about, fmt.Sprintf("days %s to %s", r.Run.WindowFrom, r.Run.WindowTo))
	}
	if r.Run.OfRun != 0 {
		about = append(about, fmt.Sprintf("again for run %d", r.Run.OfRun))
	}
	if len(r.Reruns) > 0 {
		about = append(about, "with its reruns "+joinIDs(r.Reruns))
	}
	did := []string{text.Took(r.Wall) + " wall time", text.Count(r.Calls, "call")}
	if r.Pauses > 0 {
		did = append(did, fmt.Sprintf("%s honoured (%s asked for in all)", text.Count(r.Pauses, "pause"), text.Took(r.Paused)))
	} else {
		did = append(did, "no pause asked for")
	}
	if b := r.Batches; b.Pending+b.Working+b.Parked+b.Done > 0 {
		did = append(did, batchesText(b))
	}
	if r.Run.Skipped > 0 {
		did = append(did, text.Count(r.Run.Skipped, "consent")+" left out by status, window or purpose")
	}
	if r.Run.Overlapped > 0 {
		did = append(did, text.Count(r.Run.Overlapped, "item")+" left to an earlier run of the job, which was still at them")
	}
	for _, part := range [][]string{about, did} {
		fmt.Fprintln(w, text.Paragraph(w, "  ", strings.Join(part, ", ")))
	}
	if said := nothingRead(r); said != "" {
		fmt.Fprintln(w, p.Warn(text.Paragraph(w, "  ", said)))
	}
	if !r.ParkedUntil.IsZero() && r.Run.Verdict == "" {
		fmt.Fprintln(w, text.Paragraph(w, "  ", runParked(r)))
	}
	if said := unworkedText(r); said != "" {
		fmt.Fprintln(w, p.Warn(text.Paragraph(w, "  ", said)))
	}
	for _, g := range r.Gates {
		if g.Stops() {
			fmt.Fprintln(w, p.Warn(text.Paragraph(w, "  ", ClosedText(g))))
		}
	}
	if r.LeftAlone > 0 {
		fmt.Fprintln(w, p.Warn(text.Paragraph(w, "  ", leftAlone(r))))
	}
	writeParked(w, p, r)
	for _, g := range r.Guards {
		WriteGuard(w, p, g)
	}
	writeDrifts(w, p, r.Drifts, func(read.Drift) string { return "" })
	if r.NewAccounts > 0 {
		fmt.Fprintln(w, p.Warn(text.Paragraph(w, "  ", newAccounts(r))))
	}
}

// newAccounts says that accounts may have other ids since a renewal.
func newAccounts(r read.Report) string {
	return fmt.Sprintf("%s of renewed consents %s new, while others of them are not listed any more: have their ids changed? "+
		"Where something of an account stays the same, same_as in its description lets it go on; where it stands there already, "+
		"what it names is another value now, or is that of two accounts",
		text.Count(r.NewAccounts, "account"), text.IsOrAre(r.NewAccounts))
}

// nothingRead says that a settled run has brought nothing, and why. Its verdict alone does not tell: a run whose consents
// have all ended is complete. Empty: something was read, or may still be.
func nothingRead(r read.Report) string {
	if r.Run.Verdict == "" {
		return ""
	}
	items := 0
	for _, c := range r.Counts {
		if c.Rows+c.Empty+c.Partial+c.Records.Read > 0 {
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
func writeParked(w io.Writer, p text.Paint, r read.Report) {
	if !r.Over.Parked || r.Run.Verdict == queue.VerdictComplete {
		return
	}
	said := fmt.Sprintf("connection %s is parked since %s: %s", r.Over.Name, text.Clock(r.Over.ParkedAt), r.Over.ParkedReason)
	fmt.Fprintln(w, p.Bad(text.Paragraph(w, "  ", said)))
	todo := "when that is mended: `syncer connections open " + r.Over.Name + "`"
	if r.Over.ParkedFor != "" {
		todo = "its credentials are refused: put good ones into their place, or `syncer connections open " + r.Over.Name + "`"
	}
	if r.Run.Verdict != "" {
		todo += fmt.Sprintf(", then `syncer rerun %d`", r.Run.ID)
	}
	fmt.Fprintln(w, text.Paragraph(w, "  ", todo))
}

func batchesText(b read.BatchCounts) string {
	all := b.Pending + b.Working + b.Parked + b.Done
	if b.Done == all {
		if all == 1 {
			return "1 batch"
		}
		return text.Thousands(all) + " batches"
	}
	return fmt.Sprintf("%s of %s batches done (%s working, %s parked)", text.Thousands(b.Done), text.Thousands(all), text.Thousands(b.Working), text.Thousands(b.Parked))
}

func writeCounts(w io.Writer, counts []read.Counts) {
	items := text.NewTable("dataset", ">expected", ">rows", ">empty", ">partial", ">excused", ">failed", ">missing")
	records := text.NewTable("records", ">read", ">unchanged", ">inserted", ">updated", ">removed", ">quarantined")
	for _, c := range counts {
		items.Add(c.Dataset, text.Thousands(c.Expected), text.Thousands(c.Rows), text.Thousands(c.Empty), text.Thousands(c.Partial),
			text.Thousands(c.Excused), text.Thousands(c.Failed), text.Thousands(c.Missing))
		addRecords(records, string(c.Dataset), c.Records, text.Thousands(c.Rejected))
		if c.Figures != (read.Records{}) {
			addRecords(records, "balances", c.Figures, "")
		}
	}
	for _, t := range []*text.Table{items, records} {
		if !t.Empty() {
			fmt.Fprintln(w)
			t.Write(w)
		}
	}
}

// addRecords is a line of what was read and what became of it.
func addRecords(t *text.Table, what string, n read.Records, quarantined string) {
	t.Add(what, text.Thousands(n.Read), text.Thousands(n.Unchanged()), text.Thousands(n.Inserted), text.Thousands(n.Updated),
		text.Thousands(n.Removed), quarantined)
}

func writeClasses(w io.Writer, classes []read.ClassCount) {
	if len(classes) == 0 {
		return
	}
	parts := make([]string, len(classes))
	for i, c := range classes {
		parts[i] = fmt.Sprintf("%s %s", c.Class, text.Thousands(c.Calls))
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, text.Paragraph(w, "", "Calls by class: "+strings.Join(parts, ", ")))
}

func writeSlowest(w io.Writer, p text.Paint, slow []read.SlowItem) {
	if len(slow) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", p.Bold("Slowest items"))
	t := text.NewTable(">consent", "~external id", "dataset", ">took", ">pages", ">batch")
	t.Indent = "  "
	for _, s := range slow {
		t.Add(s.Consent, shownID(s.External), s.Dataset, text.Took(s.Took), s.Pages, s.Batch)
	}
	t.Write(w)
}

// writeIncomplete says why what is not proven complete is not: it is why somebody reads the report.
func writeIncomplete(w io.Writer, p text.Paint, r read.Report) {
	writeCauses(w, p, "Not complete: "+ofKinds(r.Causes)+everyItem(r, r.Causes), r.Causes)
}

// writeWithheld names the accounts that the provider keeps to itself. Their items are proven without them, and somebody
// may wonder why an account has no rows.
func writeWithheld(w io.Writer, p text.Paint, r read.Report) {
	writeCauses(w, p, "Withheld by the provider: accounts of "+ofKinds(r.WithheldCauses)+everyItem(r, r.WithheldCauses), r.WithheldCauses)
}
