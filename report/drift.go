package report

import (
	"fmt"
	"io"
	"time"

	"syncer/persist/read"
	"syncer/report/text"
)

// Drift is a member of records that most runs had and a run has missed.
type Drift struct {
	Run        int64     `json:"run"`
	Job        string    `json:"job"`
	Connection string    `json:"connection"`
	Kind       string    `json:"kind"` // of records
	Member     string    `json:"member"`
	Records    int64     `json:"records"` // of the run, none of which has it
	Consents   int64     `json:"consents"`
	Held       int64     `json:"before_with"` // records of the runs before, and those of them that had it
	Before     int64     `json:"before_records"`
	Runs       int       `json:"before_runs"`
	At         time.Time `json:"at"`
}

func driftsOf(list []read.Drift) []Drift {
	drifts := []Drift{}
	for _, d := range list {
		drifts = append(drifts, Drift(d))
	}
	return drifts
}

// writeDrifts names the members that a run has missed, and what a person can do about it.
func writeDrifts(w io.Writer, p text.Paint, list []read.Drift, where func(read.Drift) string) {
	for _, d := range list {
		what := where(d) + "drift: " + text.Printable(d.String())
		fmt.Fprintln(w, p.Warn(text.Paragraph(w, "  ", what)))
	}
	if len(list) > 0 {
		todo := "compare an answer with what is read from it, or ask the provider; " +
			"the rows are as they were answered"
		fmt.Fprintln(w, text.Paragraph(w, "    ", todo))
	}
}

// ofRun names the run that has missed a member.
func ofRun(d read.Drift) string {
	return fmt.Sprintf("run %d %s, over %s: ", d.Run, text.Printable(d.Job), text.Printable(d.Connection))
}
