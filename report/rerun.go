package report

import (
	"fmt"
	"io"

	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/report/text"
)

// RerunCost is what a rerun takes, before it takes it: the JSON of `rerun --plan`.
type RerunCost struct {
	Event      string `json:"event"` // cost
	Run        int64  `json:"run"`
	Job        string `json:"job"`
	Consents   int    `json:"consents"`
	Items      int    `json:"items"`
	Calls      int    `json:"calls"`
	Budgeted   int    `json:"budgeted_consents"`
	Spent      int    `json:"spent_consents"`
	Ended      int    `json:"ended_consents"`
	Open       bool   `json:"still_works"`
	Rerun      int64  `json:"rerun,omitempty"`     // that is going on
	Newer      int64  `json:"newer_run,omitempty"` // that has proven some of the items
	NewerItems int    `json:"newer_items"`

	NotComplete *Causes `json:"not_complete_causes,omitempty"` // of a plan: why
}

// RerunCostOf is what a rerun of a run takes, what has become of the run since, and why its items are not complete.
func RerunCostOf(run queue.Run, c read.Cost, news read.RerunNews, causes read.Causes) RerunCost {
	return RerunCost{
		Event: "cost", Run: run.ID, Job: run.Job, Consents: c.Consents, Items: c.Items, Calls: c.Calls,
		Budgeted: c.Budgeted, Spent: c.Spent, Ended: c.Ended,
		Open: news.Open, Rerun: news.Rerun, Newer: news.Newer, NewerItems: news.Items, NotComplete: causesOf(causes),
	}
}

// WriteRerunCost says what a rerun takes, before it takes it, and what has become of the run since. causes say why the
// items are not complete; they are empty where nobody has asked.
func WriteRerunCost(w io.Writer, p text.Paint, run queue.Run, c read.Cost, news read.RerunNews, causes read.Causes) {
	say := func(format string, args ...any) { fmt.Fprintln(w, text.Fit(w, fmt.Sprintf(format, args...))) }
	if news.Open {
		say("Run %d (%s) still works: %s undecided. It can be run again when it has its verdict.",
			run.ID, run.Job, text.CountIs(news.Undecided, "item"))
		return
	}
	if c.Items > 0 {
		say("A rerun of run %d (%s) takes %s of %s, about %s.",
			run.ID, run.Job, text.Count(c.Items, "item"), text.Count(c.Consents, "consent"), text.Count(c.Calls, "call"))
	}
	if c.Budgeted > 0 {
		say("%s a daily number of reads, and %s none left for now: those will be refused.",
			text.CountHave(c.Budgeted, "consent"), text.CountHave(c.Spent, "of them"))
	}
	if c.Ended > 0 {
		say("%s ended or become suspected since, and what is missing of them is left out.", text.CountHave(c.Ended, "consent"))
	}
	if news.Rerun != 0 {
		say("It is being run again already, as run %d.", news.Rerun)
	}
	if news.Newer != 0 {
		say("A newer run, %d, has %s of these already: a rerun reads them once more, for the verdict of run %d alone.",
			news.Newer, text.Count(news.Items, "item"), run.ID)
	}
	writeCauses(w, p, "Not complete: "+ofKinds(causes), causes)
}
