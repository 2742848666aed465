package report

import (
	"fmt"
	"io"
	"time"

	"syncer/persist/read"
	"syncer/report/text"
)

// WithheldRemovals are what a run withholds of a dataset: the JSON of `removals list`.
type WithheldRemovals struct {
	Run        int64      `json:"run"`
	Job        string     `json:"job"`
	Connection string     `json:"connection"`
	Dataset    string     `json:"dataset"`
	ClosedAt   time.Time  `json:"withheld_from"`
	Reason     string     `json:"reason"`
	Withheld   int        `json:"withheld_records"`
	WithheldOf int        `json:"withheld_consents"`
	Removed    int        `json:"removed_records"` // before
	RemovedOf  int        `json:"removed_consents"`
	FirstAt    *time.Time `json:"missing_since,omitempty"`
}

// WithheldRemovalsOf is a guard that has closed, for programs.
func WithheldRemovalsOf(g read.RemovalGuard) WithheldRemovals {
	return WithheldRemovals{
		Run: g.Run, Job: g.Job, Connection: g.Connection, Dataset: string(g.Dataset), ClosedAt: g.ClosedAt, Reason: g.Reason,
		Withheld: g.Withheld, WithheldOf: g.WithheldOf, Removed: g.Records, RemovedOf: g.Consents,
		FirstAt: instant(g.FirstWithheldAt),
	}
}

// WriteGuard says what a run withholds, why, and what a person can do about it.
func WriteGuard(w io.Writer, p text.Paint, g read.RemovalGuard) {
	what := fmt.Sprintf("run %d %s, %s: ", g.Run, text.Short(w, g.Job, 44), g.Dataset)
	if g.Withheld == 0 {
		what += "removals were withheld, and none is any more"
	} else {
		what += fmt.Sprintf("removals withheld, %s of %s", text.Count(g.Withheld, "record"), text.Count(g.WithheldOf, "consent"))
	}
	fmt.Fprintln(w, p.Warn(text.Paragraph(w, "  ", what)))
	why := "from " + text.Clock(g.ClosedAt) + " on, because " + g.Reason
	if g.Records > 0 {
		why += fmt.Sprintf("; %s of %s had been removed before", text.Count(g.Records, "record"), text.Count(g.Consents, "consent"))
	}
	fmt.Fprintln(w, text.Paragraph(w, "    ", why))
	if g.Withheld == 0 {
		return
	}
	todo := fmt.Sprintf("ask the provider whether it means it; if so: `syncer removals accept %d`; if not", g.Run)
	if g.Records > 0 {
		todo += fmt.Sprintf(": `syncer removals undo %d`, and", g.Run)
	}
	todo += " the next good night ends this"
	fmt.Fprintln(w, text.Paragraph(w, "    ", todo))
}

// RemovalChange is what `removals accept` or `removals undo` has done.
type RemovalChange struct {
	Event    string `json:"event"` // accepted or undone
	Run      int64  `json:"run"`
	Records  int    `json:"records"`
	Consents int    `json:"consents"`
	Rekeyed  int    `json:"rekeyed,omitempty"` // left removed, since their keys were replaced after that
}
