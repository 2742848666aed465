package report

import (
	"fmt"
	"time"

	"syncer/finance"
	"syncer/jobs"
	"syncer/report/text"
)

// Backfill is how a backfill ends, for scripts; the reports of its runs come before it.
type Backfill struct {
	Event    string     `json:"event"` // backfill
	Job      string     `json:"job"`
	Windows  int        `json:"windows"`
	Planned  int        `json:"planned"`
	Complete int        `json:"complete_already"`
	Later    []Window   `json:"left_for_later"`
	Next     *time.Time `json:"reads_back_at,omitempty"`
}

// Window is a range of days, both included.
type Window struct {
	From finance.Date `json:"from"`
	To   finance.Date `json:"to"`
}

// BackfillOf is how a backfill of a job ends that was asked for so many windows.
func BackfillOf(job string, windows int, plan jobs.BackfillPlan) Backfill {
	j := Backfill{Event: "backfill", Job: job, Windows: windows, Planned: plan.Planned,
		Complete: plan.Ready, Later: []Window{}, Next: instant(plan.Reads.Next)}
	for _, w := range plan.Later {
		j.Later = append(j.Later, Window{From: w.From, To: w.To})
	}
	return j
}

// LaterText says which windows wait for reads, and until when.
func LaterText(spec jobs.BackfillSpec, plan jobs.BackfillPlan) string {
	said := fmt.Sprintf("Stopped at the reads of the day: %s not been read, from %s on.",
		text.CountHave(len(plan.Later), "window"), plan.Later[0].From)
	if plan.Reads.Daily == 0 {
		return said + fmt.Sprintf(" The jobs of the connection take %s a day of each consent, "+
			"which is all that there are. Take a schedule away for a while, or ask for more reads_per_day.", text.Count(spec.LeavesReads, "read"))
	}
	said += fmt.Sprintf(" A backfill has %s a day of each consent, since %s left to the jobs of the connection.",
		text.Count(plan.Reads.Daily, "read"), text.AreSo(spec.LeavesReads))
	return said + " The same command goes on; the first reads are back at " + text.Clock(plan.Reads.Next) + "."
}
