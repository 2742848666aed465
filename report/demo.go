package report

import (
	"time"

	"syncer/persist/read"
)

// Demo is what a demo has brought about: the JSON of `demo`.
type Demo struct {
	Config string   `json:"config,omitempty"` // of the demo's database; left out: neither is there any more
	Took   float64  `json:"took_seconds"`
	Runs   []Report `json:"runs"` // as they stand after the morning
}

// DemoOf is a demo for programs.
func DemoOf(config string, kept bool, took time.Duration, runs []read.Report) Demo {
	d := Demo{Took: took.Seconds(), Runs: []Report{}}
	if kept {
		d.Config = config
	}
	for _, r := range runs {
		d.Runs = append(d.Runs, ReportOf(r))
	}
	return d
}
