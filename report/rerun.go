package report

import (
	"fmt"
	"io"

	"syncer/persist/admit"
	"syncer/persist/connections"
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

	Unworked    string            `json:"unworked,omitempty"`            // why nobody goes on with the run, which is open
	Parked      *ParkedConnection `json:"connection_parked,omitempty"`   // its connection: nobody is called
	Closed      []ClosedGate      `json:"pauses,omitempty"`              // of its connection: nobody is called before they end
	NotComplete *Causes           `json:"not_complete_causes,omitempty"` // of a plan: why
}

// Rerun is what is known of a rerun before it is made. What only a plan asks for is empty elsewhere.
type Rerun struct {
	Of            queue.Run
	Cost          read.Cost
	News          read.RerunNews
	Causes        read.Causes            // of a plan: why the items are not complete
	Over          connections.Connection // of a plan: the run's connection as it stands now
	Gates         []admit.ClosedGate     // of a plan: those of its connection that are closed
	NotConfigured string                 // why nobody with this configuration goes on with the run, which is open
}

// stops are the gates that hold up everybody who works over the connection.
func (r Rerun) stops() (gates []admit.ClosedGate) {
	for _, g := range r.Gates {
		if g.Stops() {
			gates = append(gates, g)
		}
	}
	return gates
}

// RerunCostOf is what a rerun takes, what has become of the run since, and why its items are not complete.
func RerunCostOf(r Rerun) RerunCost {
	j := RerunCost{
		Event: "cost", Run: r.Of.ID, Job: r.Of.Job, Consents: r.Cost.Consents, Items: r.Cost.Items, Calls: r.Cost.Calls,
		Budgeted: r.Cost.Budgeted, Spent: r.Cost.Spent, Ended: r.Cost.Ended,
		Open: r.News.Open, Rerun: r.News.Rerun, Newer: r.News.Newer, NewerItems: r.News.Items,
		Unworked: r.NotConfigured, NotComplete: causesOf(r.Of.Connection, r.Causes),
	}
	if r.Over.Parked {
		j.Parked = &ParkedConnection{r.Over.ParkedAt, r.Over.ParkedClass, r.Over.ParkedReason}
	}
	if gates := r.stops(); len(gates) > 0 {
		j.Closed = ClosedGatesOf(gates)
	}
	return j
}

// WriteRerunCost says what a rerun takes, before it takes it, what has become of the run since, and what is in its way.
func WriteRerunCost(w io.Writer, p text.Paint, r Rerun) {
	say := func(format string, args ...any) { fmt.Fprintln(w, text.Fit(w, fmt.Sprintf(format, args...))) }
	run, c, news := r.Of, r.Cost, r.News
	if news.Open && r.NotConfigured != "" {
		fmt.Fprintln(w, text.Paragraph(w, "", fmt.Sprintf("Nobody works run %d, and %s undecided: %s", run.ID,
			text.CountIs(news.Undecided, "item"), r.NotConfigured)))
		return
	}
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
	if r.Over.Parked {
		fmt.Fprintln(w, p.Warn(text.Paragraph(w, "", fmt.Sprintf("Connection %s is parked since %s, so nobody is called: %s; %s",
			r.Over.Name, text.Clock(r.Over.ParkedAt), r.Over.ParkedReason, toOpen(r.Over)))))
	}
	for _, g := range r.stops() {
		fmt.Fprintln(w, p.Warn(text.Paragraph(w, "", "The rerun waits: "+ClosedText(g))))
	}
	writeCauses(w, p, "Not complete: "+ofKinds(r.Causes), r.Causes)
}
