package report

import (
	"fmt"
	"io"
	"time"

	"syncer/persist/admit"
	"syncer/persist/connections"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/persist/restore"
	"syncer/report/text"
)

// Overview is what there is to know at a glance.
type Overview struct {
	Open     []read.Report // of the unfinished runs, the newest first, as many as a screen has room for
	Last     []queue.Run   // the newest finished one of every job
	Parked   []connections.Connection
	Guards   []read.RemovalGuard // that withhold something now
	Drifts   []read.Drift        // of the last week, that have not ended
	Closed   []admit.ClosedGate
	Suspects []read.Suspects
	Quotas   []DayQuota
	Workers  []read.WorkerState
	Restored restore.State // of the database
}

// Write prints the overview for a person, on one screen.
func (o Overview) Write(w io.Writer, p text.Paint) {
	writeRestored(w, p, o.Restored)
	writeOpenRuns(w, p, o.Open)
	writeClosed(w, p, o.Closed)
	writeQuotas(w, p, o.Quotas)
	writeParkedConnections(w, p, o.Parked)
	if len(o.Guards) > 0 {
		fmt.Fprintf(w, "\n%s\n", p.Bold("Removals that are withheld"))
	}
	for _, g := range o.Guards {
		WriteGuard(w, p, g)
	}
	writeSuspects(w, p, o.Suspects)
	if len(o.Drifts) > 0 {
		fmt.Fprintf(w, "\n%s\n", p.Bold("Members that are missing"))
	}
	writeDrifts(w, p, o.Drifts, ofRun)
	writeWorkers(w, p, o.Workers)
	writeLastRuns(w, p, o.Last)
}

func writeOpenRuns(w io.Writer, p text.Paint, open []read.Report) {
	fmt.Fprintln(w, p.Bold("Runs that are not finished"))
	if len(open) == 0 {
		fmt.Fprintln(w, "  none")
	}
	for _, r := range open {
		done, all := decided(r)
		said := fmt.Sprintf("run %d %s: %s, %s of %s items, %s, %s", r.Run.ID, r.Run.Job,
			runState(r), text.Thousands(done), text.Thousands(all), text.Count(r.Calls, "call"), text.Took(r.Wall))
		fmt.Fprintln(w, text.Paragraph(w, "  ", said))
		if !r.ParkedUntil.IsZero() {
			fmt.Fprintln(w, text.Paragraph(w, "    ", batchesParked(r)))
		}
		for _, g := range r.Gates {
			if g.Stops() {
				fmt.Fprintln(w, text.Paragraph(w, "    ", ClosedText(g)))
			}
		}
		if r.LeftAlone > 0 {
			fmt.Fprintln(w, text.Paragraph(w, "    ", leftAlone(r)))
		}
		if said := unworkedText(r); said != "" {
			fmt.Fprintln(w, p.Warn(text.Paragraph(w, "    ", said)))
		}
	}
}

func writeWorkers(w io.Writer, p text.Paint, workers []read.WorkerState) {
	fmt.Fprintf(w, "\n%s\n", p.Bold("Workers"))
	if len(workers) == 0 {
		fmt.Fprintln(w, text.Paragraph(w, "  ", "none: syncer serve, syncer work and syncer run work batches"))
	}
	t := text.NewTable("~host", ">pid", "since", ">batches", "state")
	t.Indent = "  "
	for _, one := range workers {
		state := workerState(one)
		if !one.Alive {
			state += " since " + text.Clock(one.ExpiresAt)
		}
		t.Add(one.Host, one.PID, text.Clock(one.StartedAt), one.Batches, state)
	}
	t.Write(w)
}

// workerState is alive or dead. A process that is killed can't take its leave: its row stays for an hour, and its batches
// have been free since its lease has ended.
func workerState(w read.WorkerState) string {
	if w.Alive {
		return "alive"
	}
	return "dead"
}

func writeLastRuns(w io.Writer, p text.Paint, last []queue.Run) {
	if len(last) > 0 {
		fmt.Fprintf(w, "\n%s\n", p.Bold("Finished last, of every job"))
	}
	t := text.NewTable(">run", "~job", "for", "verdict")
	t.Indent = "  "
	for _, r := range last {
		t.Add(r.ID, r.Job, text.Clock(r.ScheduledFor), r.Verdict)
	}
	t.Write(w)
}

// Status is the JSON of `status`.
type Status struct {
	Open     []Report           `json:"open_runs"`
	Last     []Run              `json:"finished_last"`
	Parked   []Connection       `json:"parked_connections"`
	Closed   []ClosedGate       `json:"pauses"`
	Quotas   []DayQuota         `json:"quotas"`
	Guards   []WithheldRemovals `json:"withheld_removals"`
	Suspects []Suspects         `json:"suspected_consents"`
	Drifts   []Drift            `json:"drifts"`
	Workers  []Worker           `json:"workers"`
	Restored *Restored          `json:"restored,omitempty"`
}

// Worker is a process that works batches.
type Worker struct {
	Host      string    `json:"host"`
	PID       int       `json:"pid"`
	Version   string    `json:"version,omitempty"`
	StartedAt time.Time `json:"started_at"`
	ExpiresAt time.Time `json:"expires_at"` // when it is taken for dead, unless it is heard of
	State     string    `json:"state"`      // alive or dead
	Batches   int       `json:"batches"`    // in hand
}

// StatusOf is an overview for programs.
func StatusOf(o Overview) Status {
	j := Status{
		Open: []Report{}, Last: []Run{}, Parked: []Connection{}, Guards: []WithheldRemovals{},
		Workers: []Worker{}, Closed: ClosedGatesOf(o.Closed), Quotas: o.Quotas, Drifts: driftsOf(o.Drifts),
		Suspects: suspectsOf(o.Suspects), Restored: restoredOf(o.Restored),
	}
	for _, r := range o.Open {
		j.Open = append(j.Open, ProgressOf(r))
	}
	for _, r := range o.Last {
		j.Last = append(j.Last, RunOf(r))
	}
	for _, c := range o.Parked {
		j.Parked = append(j.Parked, ConnectionOf(c))
	}
	for _, g := range o.Guards {
		j.Guards = append(j.Guards, WithheldRemovalsOf(g))
	}
	for _, w := range o.Workers {
		j.Workers = append(j.Workers, Worker{w.Host, w.PID, w.Version, w.StartedAt, w.ExpiresAt, workerState(w), w.Batches})
	}
	return j
}
